"""How a client shows its provider who it is, and the keys that it signs with."""

from __future__ import annotations

import base64
import json

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from oidc_factories import NOW, jwk, jwks, private_key, private_pem, verify_signature
from oidc_login_provider import CLIENT, CODE, ISSUER, REQUEST, FakeProvider

from authkit.masking import Secret
from authkit.oidc import ClientAuthentication, OAuthError, SigningKey, parse_jwks
from authkit.oidc.tokens.jws import split_token

SECRET = Secret("s:ecret ü%")


async def sent(authentication, methods=None, call=None):
    """The Authorization header and the form of one request."""
    provider = FakeProvider()
    provider.metadata["token_endpoint_auth_methods_supported"] = methods
    await (call or (lambda client: client.exchange(CODE, REQUEST)))(provider.client(authentication))
    return provider.requests[-1].headers.get("authorization"), provider.forms()[-1]


@pytest.mark.parametrize(
    ("methods", "method", "is_posted"),
    [
        (None, "", False),
        (["client_secret_basic"], "", False),
        (["client_secret_post", "client_secret_basic"], "", False),
        (["client_secret_post"], "", True),
        (["private_key_jwt", "client_secret_post"], "", True),
        (["private_key_jwt"], "", False),
        (["client_secret_basic"], "client_secret_post", True),
        (["client_secret_post"], "client_secret_basic", False),
    ],
)
async def test_a_secret_goes_where_the_provider_takes_it(methods, method, is_posted):
    """Its metadata decide, or the operator; one that says nothing takes HTTP Basic."""
    header, form = await sent(ClientAuthentication.by_secret(SECRET, method), methods)
    if is_posted:
        assert header is None
        assert (form["client_id"], form["client_secret"]) == (CLIENT, SECRET.reveal())
    else:
        assert base64.b64decode(header.removeprefix("Basic ")).decode() == "client-1:s%3Aecret+%C3%BC%25"
        assert "client_secret" not in form


@pytest.mark.parametrize(
    ("methods", "method", "learns"),
    [
        (None, "", True),
        (["client_secret_post", "client_secret_basic"], "", True),
        (["private_key_jwt"], "", True),
        (["client_secret_basic"], "", False),
        (None, "client_secret_basic", False),
    ],
)
async def test_the_other_way_is_for_the_next_request(methods, method, learns, caplog):
    """Where the metadata leave it open: the code that was refused is not sent again."""
    provider = FakeProvider()
    provider.metadata["token_endpoint_auth_methods_supported"] = methods
    client = provider.client(ClientAuthentication.by_secret(SECRET, method))
    for error, is_posted in [
        ("invalid_grant", False),
        ("invalid_client", False),
        ("invalid_grant", learns),
        ("invalid_client", learns),
        ("invalid_grant", False),
    ]:
        provider.answers["/token"] = (401, json.dumps({"error": error}))
        with pytest.raises(OAuthError):
            await client.exchange(CODE, REQUEST)
        assert ("client_secret" in provider.forms()[-1]) is is_posted
    assert provider.count("/token") == 5
    assert ("the next request uses client_secret_post" in caplog.text) is learns
    assert SECRET.reveal() not in caplog.text


async def test_a_public_client_says_its_name():
    """And has PKCE to prove that the login is its own."""
    header, form = await sent(ClientAuthentication.none())
    assert header is None
    assert (form["client_id"], form["code_verifier"]) == (CLIENT, REQUEST.verifier)
    assert not {"client_secret", "client_assertion"} & set(form)


@pytest.mark.parametrize(
    ("name", "algorithm"),
    [("rsa", "RS256"), ("p256", "ES256"), ("p384", "ES384"), ("p521", "ES512"), ("ed25519", "EdDSA")],
)
async def test_a_key_signs_an_assertion(name, algorithm):
    """For this issuer, for a minute, and verified by the public half that is published."""
    authentication = ClientAuthentication.by_key(Secret(private_pem(name)))
    header, form = await sent(authentication)
    assert header is None
    assert form["client_id"] == CLIENT
    assert form["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    token, published = split_token(form["client_assertion"]), SigningKey(private_pem(name)).jwk()
    assert (token.algorithm, token.kid) == (algorithm, published["kid"])
    verify_signature(token, parse_jwks(jwks(published)).find(token.kid), [algorithm])
    claims = json.loads(token.payload)
    assert len(claims.pop("jti")) >= 32
    assert claims == {
        "iss": CLIENT,
        "sub": CLIENT,
        "aud": ISSUER,
        "iat": NOW + 1,
        "exp": NOW + 61,
    }


async def test_an_assertion_is_used_once():
    """Each request has its own."""
    authentication = ClientAuthentication.by_key(Secret(private_pem("p256")), kid="mine")
    ids = set()
    for _ in range(3):
        _, form = await sent(authentication)
        token = split_token(form["client_assertion"])
        assert token.kid == "mine"
        ids.add(json.loads(token.payload)["jti"])
    assert len(ids) == 3


async def test_a_key_that_is_replaced():
    """Each request is signed with the key of that moment."""
    keys = [SigningKey(private_pem("p256"), kid="old"), SigningKey(private_pem("p384"), kid="new")]
    authentication = ClientAuthentication.by_signer(lambda: keys[0])
    signed = []
    for _ in range(2):
        _, form = await sent(authentication)
        signed.append(split_token(form["client_assertion"]).kid)
        keys.reverse()
    assert signed == ["old", "new"]


async def test_every_request_shows_who_it_is():
    """A refresh and a device too."""
    authentication = ClientAuthentication.by_secret(SECRET, "client_secret_post")
    for call in (
        lambda client: client.refresh(Secret("r")),
        lambda client: client.poll_device(Secret("d")),
    ):
        _, form = await sent(authentication, call=call)
        assert form["client_secret"] == SECRET.reveal()


def encrypted():
    """A private key with a password."""
    return (
        private_key("rsa")
        .private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"x"),
        )
        .decode()
    )


@pytest.mark.parametrize(
    ("pem", "text"),
    [
        ("", "no private key in PEM form"),
        ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----", "no private key in PEM form"),
        (encrypted, "without a password"),
        (lambda: private_pem("rsa-1024"), "RSA keys of less than 2048 bits"),
        (lambda: private_pem("k1"), "use an RSA, an ECDSA"),
        (lambda: private_pem("ed448"), "use an RSA, an ECDSA"),
    ],
)
def test_other_keys_are_refused(pem, text):
    """Without a word of them."""
    pem = pem() if callable(pem) else pem
    with pytest.raises(ValueError, match=text) as caught:
        ClientAuthentication.by_key(Secret(pem))
    assert caught.value.__cause__ is None


def test_other_secrets_are_refused():
    """An empty one is no secret, and there are two ways to send one."""
    with pytest.raises(ValueError, match="the client's secret is empty"):
        ClientAuthentication.by_secret(Secret(""))
    with pytest.raises(ValueError, match="use 'client_secret_basic' or 'client_secret_post'"):
        ClientAuthentication.by_secret(SECRET, "client_secret_jwt")


@pytest.mark.parametrize("name", ["rsa", "p256", "p384", "p521", "ed25519"])
def test_only_the_public_half_is_published(name):
    """As any key set has it, with a use and an algorithm."""
    found = SigningKey(private_pem(name), kid="one").jwk()
    assert found == {**jwk(name, kid="one"), "use": "sig", "alg": found["alg"]}


def test_a_key_s_id_is_its_thumbprint():
    """The one of RFC 7638, section 3.1, has this modulus."""
    from authkit.oidc.keys.key import VerificationKey
    from authkit.oidc.tokens.signing import _members, _thumbprint

    modulus = int.from_bytes(
        base64.urlsafe_b64decode(
            "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n"
            "3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zg"
            "dAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCu"
            "r-kEgU8awapJzKnqDKgw=="
        ),
        "big",
    )
    public = rsa.RSAPublicNumbers(65537, modulus).public_key()
    members = _members(VerificationKey.from_public_key(public))
    assert _thumbprint(members) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


def test_credentials_do_not_show():
    """Neither do the ways to make them."""
    from authkit.oidc import ProviderMetadata

    metadata = ProviderMetadata(ISSUER, f"{ISSUER}/keys", token_endpoint=f"{ISSUER}/token")
    for authentication in (
        ClientAuthentication.by_secret(SECRET),
        ClientAuthentication.by_key(Secret(private_pem("p256"))),
    ):
        found = authentication.credentials(CLIENT, metadata, NOW)
        assert repr(found) == "Credentials()"
        assert SECRET.reveal() not in repr(authentication)
