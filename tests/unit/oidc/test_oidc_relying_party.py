"""What a relying party has to refuse: one table of providers gone wrong, each with the words of its refusal.

The cases are those of the OpenID Foundation's conformance profiles for relying parties, as far as they are
about what a provider answers, and those of the official plugin's library.
"""

from __future__ import annotations

import asyncio
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jwt_auth.texts.words import say_of_id_token
from oidc_factories import NOW, b64, jwk, make_token, private_key, public_pem, sign
from oidc_login_provider import ACCESS_TOKEN, CLIENT, CODE, ISSUER, REQUEST, FakeProvider, half_hash

from authkit.errors import LoginError
from authkit.oidc import Explanation, Record
from authkit.values import replace

ID_TOKEN = "id_token failed verification: Provider.VerifyIDToken: "
EXCHANGE = "unable to exchange auth code with provider: "
FETCH = EXCHANGE + "oauth2: cannot fetch token: "
UNSIGNED = "error verifying token signature: "
MALFORMED = f"{ID_TOKEN}{UNSIGNED}oidc: malformed jwt: "
NO_KEY = f"{ID_TOKEN}{UNSIGNED}failed to verify id token signature"
EVIL = "https://evil.example"
OTHER_ISSUER = (
    f'{ID_TOKEN}invalid id_token: oidc: id token issued by a different provider, expected "{ISSUER}" got '
)
EXPIRED = f"{ID_TOKEN}invalid id_token: oidc: token is expired (Token Expiry: "
BAD_DATE = f"{ID_TOKEN}go-jose/go-jose/jwt: expected number value to unmarshal NumericDate"
BAD_ALGORITHMS = 'expected ["RS256" "RS384" "RS512" "ES256" "ES384" "ES512" "PS256" "PS384" "PS512" "EdDSA"]'
AZP = "invalid authorized party (azp)"
AT_HASH = (
    "access_token failed verification: VerifyAccessToken: verifyHashClaim: "
    "access_token hash does not match value in id_token"
)
C_HASH = (
    "code hash failed verification: VerifyAccessToken: verifyHashClaim: "
    "authorization code hash does not match value in id_token"
)
MISMATCH = (
    "error getting provider for login operation: oidc: issuer did not match the issuer returned by provider"
)
NAN = b'{"iss":"%s","sub":"ann","aud":"client-1","exp":NaN}' % ISSUER.encode()


def claims(**changes):
    """A provider whose ID tokens have these claims; `...` leaves one out."""

    def change(provider):
        changed = {**provider.claims, **changes}
        provider.claims = {name: value for name, value in changed.items() if value is not ...}

    return change


def signed(**how):
    """A provider that signs its ID tokens in this way."""
    return lambda provider: provider.signed.update(how)


def published(*entries):
    """A provider that publishes these keys."""
    return lambda provider: setattr(provider, "keys", list(entries))


def answering(path, status, body, kind="application/json"):
    """A provider with one endpoint that always answers this."""
    body = json.dumps(body) if isinstance(body, dict) else body
    return lambda provider: provider.answers.update({path: (status, body, kind)})


def both(*changes):
    """All of these at once."""
    return lambda provider: [change(provider) for change in changes]


def userinfo(**changes):
    """A provider whose userinfo has these members."""
    return lambda provider: provider.userinfo.update(changes)


def signed_userinfo(content, **how):
    """A provider with signed userinfo."""
    return answering("/userinfo", 200, make_token(content, **how), "application/jwt")


def raw_token(text):
    """A provider whose ID token is this text."""
    return answering("/token", 200, {"access_token": ACCESS_TOKEN, "id_token": text})


def signed_with_public_key(provider):
    """An ID token whose HMAC key is the provider's public key."""
    head, body = (b64(json.dumps(part).encode()) for part in ({"alg": "HS256"}, provider.claims))
    message = f"{head}.{body}"
    raw_token(f"{message}.{b64(sign(public_pem('rsa').encode(), 'HS256', message.encode()))}")(provider)


def unsigned(provider):
    """An ID token that says that it is not signed."""
    head, body = (b64(json.dumps(part).encode()) for part in ({"alg": "none"}, provider.claims))
    raw_token(f"{head}.{body}.")(provider)


def changed_after_signing(provider):
    """An ID token with another subject than the one that was signed."""
    head, _, signature = provider.id_token.split(".")
    raw_token(f"{head}.{b64(json.dumps({**provider.claims, 'sub': 'root'}).encode())}.{signature}")(provider)


def several(**azp):
    """A provider whose ID tokens are for several audiences."""
    return claims(aud=[CLIENT, "api"], **azp)


CASES = {
    # The token endpoint (RFC 6749 section 5.2).
    "the code is refused": (
        answering("/token", 400, {"error": "invalid_grant", "error_description": "<script>"}),
        EXCHANGE + 'oauth2: "invalid_grant"',
    ),
    "the client is refused": (
        answering("/token", 401, {"error": "invalid_client"}),
        EXCHANGE + 'oauth2: "invalid_client"',
    ),
    "an error with status 200": (
        answering("/token", 200, {"error": "server_error", "access_token": "x", "id_token": "x"}),
        EXCHANGE + 'oauth2: "server_error"',
    ),
    "an unknown error": (
        answering("/token", 400, {"error": "<b>pay here</b>"}),
        EXCHANGE + 'oauth2: "unknown_error"',
    ),
    "an error that is no text": (
        answering("/token", 400, {"error": {"code": 1}}),
        EXCHANGE + 'oauth2: "unknown_error"',
    ),
    "HTML in place of an error": (
        answering("/token", 503, "<html>busy</html>", "text/html"),
        FETCH + "503 Service Unavailable",
    ),
    "HTML in place of tokens": (
        answering("/token", 200, "<html>log in</html>", "text/html"),
        FETCH + "200 OK, but no usable answer",
    ),
    "a form in place of JSON": (
        answering("/token", 200, f"access_token={ACCESS_TOKEN}", "application/x-www-form-urlencoded"),
        FETCH + "200 OK, but no usable answer",
    ),
    "a list in place of an object": (
        answering("/token", 200, "[]"),
        FETCH + "200 OK, but no usable answer",
    ),
    "an error status with tokens": (
        answering("/token", 500, {"access_token": "x", "id_token": "x"}),
        FETCH + "500 Internal Server Error",
    ),
    "a refusal with tokens": (
        answering("/token", 401, {"access_token": "x", "id_token": "x"}),
        FETCH + "401 Unauthorized",
    ),
    "a redirect with tokens": (
        answering("/token", 302, {"access_token": "x", "id_token": "x"}),
        FETCH + "302 Found, but no usable answer",
    ),
    "a redirect": (answering("/token", 307, ""), FETCH + "307 Temporary Redirect, but no usable answer"),
    "a huge answer": (
        answering("/token", 200, b" " * 300_000),
        FETCH + "answer is larger than 262144 bytes",
    ),
    "members that occur twice": (
        answering("/token", 200, '{"access_token":"a","id_token":"a","id_token":"b"}'),
        FETCH + "200 OK, but no usable answer",
    ),
    "no access token": (
        answering("/token", 200, {"id_token": "x"}),
        EXCHANGE + "oauth2: server response missing access_token: access_token is missing",
    ),
    "no ID token": (
        answering("/token", 200, {"access_token": "x"}),
        "id_token is missing from auth code exchange: id_token is missing",
    ),
    "an ID token that is no text": (
        answering("/token", 200, {"access_token": "x", "id_token": {"sub": "ann"}}),
        "id_token is missing from auth code exchange: id_token is missing",
    ),
    # Its metadata.
    "the metadata of another issuer": (
        lambda provider: provider.metadata.update(issuer=EVIL),
        MISMATCH,
    ),
    "an issuer with a slash": (lambda provider: provider.metadata.update(issuer=ISSUER + "/"), MISMATCH),
    "endpoints without TLS": (
        lambda provider: provider.metadata.update(token_endpoint="http://issuer.example/token"),
        "error getting provider for login operation: the discovery document cannot be used",
    ),
    "no token endpoint": (
        lambda provider: provider.metadata.update(token_endpoint=None),
        EXCHANGE + "no token endpoint url discovered",
    ),
    # The form of the ID token.
    "no token at all": (
        raw_token("x"),
        MALFORMED + "go-jose/go-jose: compact JWS format must have three parts",
    ),
    "an encrypted token": (
        raw_token("a.b.c.d.e"),
        MALFORMED + "go-jose/go-jose: compact JWS format must have three parts",
    ),
    "JSON serialisation": (raw_token('{"payload":"e30"}'), MALFORMED + "JSON serialisation is not accepted"),
    "alg none": (
        unsigned,
        f'{MALFORMED}unexpected signature algorithm "none"; {BAD_ALGORITHMS}: unsupported signing algorithm',
    ),
    "alg none, with a signature": (
        signed(header={"alg": "none", "kid": "one"}),
        f'{MALFORMED}unexpected signature algorithm "none"; {BAD_ALGORITHMS}: unsupported signing algorithm',
    ),
    "the public key as a shared secret": (
        signed_with_public_key,
        f'{MALFORMED}unexpected signature algorithm "HS256"; {BAD_ALGORITHMS}: unsupported signing algorithm',
    ),
    "the client's secret as a key": (
        signed(algorithm="HS256", key=b"the secret of the client"),
        f'{MALFORMED}unexpected signature algorithm "HS256"; {BAD_ALGORITHMS}: unsupported signing algorithm',
    ),
    "critical header parameters": (
        signed(header={"alg": "RS256", "kid": "one", "crit": ["b64"], "b64": False}),
        MALFORMED + "critical header parameters are not supported",
    ),
    "an access token in its place": (
        signed(header={"alg": "RS256", "kid": "one", "typ": "at+jwt"}),
        ID_TOKEN + "invalid type (typ) header parameter: token is no id_token",
    ),
    "a logout token in its place": (
        signed(header={"alg": "RS256", "kid": "one", "typ": "logout+jwt"}),
        ID_TOKEN + "invalid type (typ) header parameter: token is no id_token",
    ),
    # Its signature.
    "changed after signing": (changed_after_signing, NO_KEY),
    "signed with another's key": (signed(key=private_key("rsa-other")), NO_KEY),
    "an unknown key id": (signed(kid="two"), NO_KEY),
    "a key in its header": (
        signed(
            key=private_key("rsa-other"),
            header={"alg": "RS256", "kid": "one", "jwk": jwk("rsa-other"), "jku": f"{EVIL}/keys"},
        ),
        NO_KEY,
    ),
    "no key id, and several keys": (
        both(published(jwk("rsa", kid="one"), jwk("rsa-other", kid="two")), signed(kid=None)),
        NO_KEY + ": no key id (kid) though the issuer has several keys",
    ),
    "no keys": (published(), NO_KEY),
    "keys for encryption only": (published(jwk("rsa", kid="one", use="enc")), NO_KEY),
    "no key set": (
        answering("/keys", 500, "broken"),
        f"{ID_TOKEN}{UNSIGNED}fetching keys oidc: get keys failed: 500 Internal Server Error",
    ),
    "an algorithm that was not agreed on": (
        both(published(jwk("p256", kid="one")), signed(algorithm="ES256")),
        ID_TOKEN + "invalid id_token: oidc: id token signed with unsupported algorithm, "
        'expected ["RS256"] got "ES256": unsupported signing algorithm',
    ),
    "PSS in place of PKCS #1": (
        signed(algorithm="PS256"),
        ID_TOKEN + "invalid id_token: oidc: id token signed with unsupported algorithm, "
        'expected ["RS256"] got "PS256": unsupported signing algorithm',
    ),
    # Its claims.
    "claims that are no JSON": (
        lambda provider: setattr(provider, "claims", NAN),
        f"{ID_TOKEN}{UNSIGNED}malformed claims: NaN is not valid JSON",
    ),
    "a claim that occurs twice": (
        lambda provider: setattr(provider, "claims", b'{"sub":"ann","sub":"root"}'),
        f"{ID_TOKEN}{UNSIGNED}malformed claims: a member name occurs twice",
    ),
    "claims from nowhere": (
        claims(_claim_names={"groups": "a"}, _claim_sources={"b": {}}),
        ID_TOKEN + "invalid id_token: oidc: source does not exist",
    ),
    "claims from an unnamed place": (
        claims(_claim_names={"groups": 1}),
        ID_TOKEN + "invalid id_token: oidc: source does not exist",
    ),
    "another issuer": (claims(iss=EVIL), f'{OTHER_ISSUER}"{EVIL}": invalid issuer'),
    "an issuer that differs by a slash": (
        claims(iss=f"{ISSUER}/"),
        f'{OTHER_ISSUER}"{ISSUER}/": invalid issuer',
    ),
    "no issuer": (claims(iss=...), f'{OTHER_ISSUER}"": invalid issuer'),
    "an issuer that is no text": (
        claims(iss=[ISSUER]),
        ID_TOKEN + "json: cannot unmarshal array into Go struct field Claims.iss of type string",
    ),
    "expired": (
        claims(exp=NOW),
        EXPIRED + "2023-11-14 22:13:20 UTC): token is expired",
    ),
    "expired this second": (
        claims(exp=NOW + 1),
        EXPIRED + "2023-11-14 22:13:21 UTC): token is expired",
    ),
    "no expiry": (claims(exp=...), EXPIRED + "none): token is expired"),
    "an expiry of zero": (claims(exp=0), EXPIRED + "1970-01-01 00:00:00 UTC): token is expired"),
    "an expiry that is text": (claims(exp="2100-01-01"), BAD_DATE),
    "an expiry beyond all clocks": (claims(exp=10**18), BAD_DATE),
    "not valid yet": (
        claims(nbf=NOW + 302),
        ID_TOKEN + "invalid id_token: oidc: current time 2023-11-14 22:13:21 UTC before the nbf "
        "(not before) time: 2023-11-14 22:18:22 UTC: invalid not before",
    ),
    "another login's nonce": (
        claims(nonce="n_of_somebody_else"),
        ID_TOKEN + "invalid id_token nonce: invalid nonce",
    ),
    "no nonce": (claims(nonce=...), ID_TOKEN + "invalid id_token nonce: invalid nonce"),
    "a list of nonces": (
        claims(nonce=[REQUEST.nonce]),
        ID_TOKEN + "invalid id_token nonce: invalid nonce",
    ),
    "issued in the future": (
        claims(iat=NOW + 62),
        ID_TOKEN + "invalid id_token current time 2023-11-14 22:13:21 UTC before the iat (issued at) time "
        "2023-11-14 22:14:22 UTC: invalid issued at (iat)",
    ),
    "no subject": (claims(sub=...), ID_TOKEN + "invalid id_token: sub: missing required claim"),
    "an empty subject": (claims(sub=""), ID_TOKEN + "invalid id_token: sub: missing required claim"),
    "a subject that is no text": (
        claims(sub=1),
        ID_TOKEN + "json: cannot unmarshal number into Go struct field Claims.sub of type string",
    ),
    "no audience": (claims(aud=...), ID_TOKEN + "invalid id_token: aud: missing required claim"),
    "an empty list of audiences": (
        claims(aud=[]),
        ID_TOKEN + "invalid id_token: aud: missing required claim",
    ),
    "an audience that is no text": (
        claims(aud={CLIENT: 1}),
        ID_TOKEN + "go-jose/go-jose/jwt: expected string or array value to unmarshal to Audience",
    ),
    "another client's": (
        claims(aud="client-2"),
        ID_TOKEN + "invalid id_token: one audience (client-2) which is not the client_id (client-1) and "
        f"authorized party () is not equal client_id (client-1): {AZP}",
    ),
    "other clients'": (
        claims(aud=["a", "b"], azp=CLIENT),
        ID_TOKEN + "invalid id_token: multiple audiences ([a b]) and one of them is not equal client_id "
        "(client-1): invalid audience",
    ),
    "for another party": (
        claims(azp="client-2"),
        ID_TOKEN + "invalid id_token: authorized party (client-2) is not equal client_id (client-1): " + AZP,
    ),
    "for an empty party": (
        claims(azp=""),
        ID_TOKEN + f"invalid id_token: authorized party () is not equal client_id (client-1): {AZP}",
    ),
    "for a party of null": (
        claims(azp=None),
        ID_TOKEN + f"invalid id_token: authorized party () is not equal client_id (client-1): {AZP}",
    ),
    "for several audiences and no party": (
        several(),
        ID_TOKEN + "invalid id_token: multiple audiences and authorized party () is not equal client_id "
        f"(client-1): {AZP}",
    ),
    "for several audiences and another party": (
        several(azp="api"),
        ID_TOKEN + f"invalid id_token: authorized party (api) is not equal client_id (client-1): {AZP}",
    ),
    "a party that is no text": (
        claims(azp=[CLIENT]),
        ID_TOKEN + "json: cannot unmarshal array into Go struct field Claims.azp of type string",
    ),
    # What came with it.
    "another access token's hash": (claims(at_hash=half_hash("another")), AT_HASH),
    "the hash of another algorithm": (claims(at_hash=half_hash(ACCESS_TOKEN, "sha512")), AT_HASH),
    "a hash that is no text": (claims(at_hash=1), AT_HASH),
    "another code's hash": (claims(c_hash=half_hash("another")), C_HASH),
    # Userinfo (OpenID Connect Core 1.0, 5.3).
    "userinfo about somebody else": (
        userinfo(sub="root"),
        "userinfo: the userinfo is about somebody else than the ID token",
    ),
    "userinfo about nobody": (
        answering("/userinfo", 200, {"groups": ["admins"]}),
        "userinfo: the userinfo is about somebody else than the ID token",
    ),
    "userinfo of another issuer": (
        userinfo(iss=EVIL),
        "userinfo: the userinfo is of another issuer than the ID token",
    ),
    "userinfo that is HTML": (
        answering("/userinfo", 200, "<html>", "text/html"),
        "userinfo: the userinfo is no usable JSON object",
    ),
    "userinfo that is huge": (
        answering("/userinfo", 200, b" " * 300_000),
        "userinfo: answer is larger than 262144 bytes",
    ),
    "userinfo that is refused": (answering("/userinfo", 401, ""), "userinfo: 401 Unauthorized"),
    "userinfo elsewhere": (
        answering("/userinfo", 302, ""),
        "userinfo: 302 Found, but no usable answer",
    ),
    "userinfo signed by somebody else": (
        signed_userinfo({"sub": "ann"}, kid="one", key=private_key("rsa-other")),
        "userinfo: the signature is not by one of the issuer's keys",
    ),
    "userinfo that says that it is not signed": (
        answering("/userinfo", 200, f"{b64(b'{}')}.{b64(b'{}')}.", "application/jwt"),
        "userinfo: the token is malformed: header parameter alg is not a string",
    ),
    "userinfo signed for another client": (
        signed_userinfo({"sub": "ann", "aud": "client-2"}, kid="one"),
        "userinfo: the userinfo is for another client",
    ),
    "userinfo that has expired": (
        signed_userinfo({"sub": "ann", "exp": NOW}, kid="one"),
        "userinfo: the userinfo has expired",
    ),
    "signed userinfo about somebody else": (
        signed_userinfo({"sub": "root"}, kid="one"),
        "userinfo: the userinfo is about somebody else than the ID token",
    ),
}


async def log_in(provider, request=REQUEST, checks=None, **options):
    """A whole login."""
    client = provider.client(**options)
    checks = Record() if checks is None else checks
    try:
        tokens = await client.exchange(CODE, request)
        claims = await client.verify_id_token(
            tokens.id_token, request, access_token=tokens.access_token, code=CODE, checks=checks
        )
        return await client.add_userinfo(tokens.access_token, claims)
    finally:
        await client.close()


def official(error):
    """What the JWT example makes of a refusal: the text of the official plugin."""
    return say_of_id_token(error, is_implicit=False).public


@pytest.mark.parametrize("case", CASES)
async def test_it_is_refused(case, caplog):
    """With these words, which hold no token and no word of the provider; the code was sent once at most."""
    change, text = CASES[case]
    provider = FakeProvider()
    change(provider)
    with pytest.raises(LoginError) as caught:
        await log_in(provider)
    assert official(caught.value) == text
    assert provider.count("/token") <= 1
    for shown in (text, caught.value.public, caught.value.detail, caplog.text):
        assert ACCESS_TOKEN not in shown
        assert CODE not in shown
    assert len(caught.value.detail) < 400


ACCEPTED = {
    "a good provider": lambda provider: None,
    "no at_hash": claims(at_hash=...),
    "a code's hash": claims(c_hash=half_hash(CODE)),
    "no iat": claims(iat=...),
    "a clock a minute ahead": claims(iat=NOW + 61),
    "an nbf five minutes ahead": claims(nbf=NOW + 301),
    "several audiences and the client as party": several(azp=CLIENT),
    "a list of one audience": claims(aud=[CLIENT]),
    "another audience, and the client as party": claims(aud="api", azp=CLIENT),
    "no key id, and one key": signed(kid=None),
    "no key id, and one key that fits": both(
        published(jwk("rsa", kid="one"), jwk("p256", kid="two")), signed(kid=None)
    ),
    "claims from elsewhere": claims(_claim_names={"x": "a"}, _claim_sources={"a": {}}),
    "userinfo of the issuer": userinfo(iss=ISSUER),
    "signed userinfo": signed_userinfo(
        {"sub": "ann", "iss": ISSUER, "aud": [CLIENT, "b"], "exp": NOW + 9, "groups": ["red"]}, kid="one"
    ),
    "no type": signed(header={"alg": "RS256", "kid": "one"}),
}


@pytest.mark.parametrize("case", ACCEPTED)
async def test_it_is_accepted(case):
    """What a provider may do, and does."""
    provider = FakeProvider()
    ACCEPTED[case](provider)
    found = await log_in(provider)
    assert (found["sub"], found["groups"]) == ("ann", ["red"])


@pytest.mark.parametrize(
    ("algorithm", "key", "digest"),
    [
        ("RS384", "rsa", "sha384"),
        ("RS512", "rsa", "sha512"),
        ("PS256", "rsa", "sha256"),
        ("ES256", "p256", "sha256"),
        ("ES384", "p384", "sha384"),
        ("ES512", "p521", "sha512"),
    ],
)
async def test_a_hash_is_that_of_the_token_s_algorithm(algorithm, key, digest):
    """And of no other."""
    provider = FakeProvider(jwk(key, kid="one"))
    both(signed(algorithm=algorithm), claims(at_hash=half_hash(ACCESS_TOKEN, digest)))(provider)
    assert (await log_in(provider, algorithms=[algorithm]))["sub"] == "ann"
    claims(at_hash=half_hash(ACCESS_TOKEN, "sha1"))(provider)
    with pytest.raises(LoginError, match=r"^the token is not for what came with it \(at_hash\)$"):
        await log_in(provider, algorithms=[algorithm])


async def test_hashes_of_eddsa_are_not_looked_at():
    """Nobody has settled which hash it is; the official plugin leaves them out too."""
    provider = FakeProvider(jwk("ed25519", kid="one"))
    both(signed(algorithm="EdDSA"), claims(at_hash="anything", c_hash="anything"))(provider)
    assert (await log_in(provider, algorithms=["EdDSA"]))["sub"] == "ann"


@pytest.mark.parametrize(
    ("claim", "text"),
    [
        (..., "missing auth_time claim when max age was requested: missing required claim"),
        ("now", "missing auth_time claim when max age was requested: missing required claim"),
        (True, "missing auth_time claim when max age was requested: missing required claim"),
        (
            NOW - 360,
            (
                "auth_time (2023-11-14 22:07:20 UTC) is beyond max age (300 / 2023-11-14 22:08:20 UTC): "
                "expired auth_time"
            ),
        ),
        (NOW - 359, None),
        (NOW, None),
    ],
)
async def test_the_last_proof_is_not_older_than_asked_for(claim, text):
    """Counted from the beginning of the login, with a minute for clocks that differ."""
    provider = FakeProvider()
    claims(auth_time=claim)(provider)
    request = replace(REQUEST, max_age=300)
    if text is None:
        assert (await log_in(provider, request))["sub"] == "ann"
        return
    with pytest.raises(LoginError) as caught:
        await log_in(provider, request)
    assert official(caught.value) == ID_TOKEN + text


async def test_a_role_s_audiences_count():
    """One of them is enough; without any the client's own will do."""
    provider = FakeProvider()
    several(azp=CLIENT)(provider)
    assert await log_in(provider, replace(REQUEST, audiences=("api", "other")))
    with pytest.raises(LoginError) as caught:
        await log_in(provider, replace(REQUEST, audiences=("other",)))
    assert official(caught.value) == (
        ID_TOKEN + "invalid id_token audiences: verifyAudiences: invalid id_token audiences: invalid audience"
    )


async def test_a_request_without_nonce_lets_nobody_in():
    """An empty nonce is equal to one that a provider makes up."""
    provider = FakeProvider()
    claims(nonce="")(provider)
    with pytest.raises(LoginError, match=r"^the token is for another login \(nonce\)$"):
        await log_in(provider, replace(REQUEST, nonce=""))


async def test_google_may_leave_out_the_scheme():
    """Google alone, and its own name alone."""
    from authkit.errors import TokenError
    from authkit.oidc import StaticKeys
    from authkit.oidc.tokens.id_token import IDTokenRules, verify_id_token

    keys = StaticKeys.from_pem([public_pem("rsa")])
    google = "https://accounts.google.com"
    for issuer, found, is_taken in [
        (google, "accounts.google.com", True),
        (google, google, True),
        (google, "accounts.google.com/", False),
        (ISSUER, "issuer.example", False),
        (ISSUER, "accounts.google.com", False),
    ]:
        token = make_token({"iss": found, "sub": "ann", "aud": CLIENT, "exp": NOW + 60})
        rules = IDTokenRules(issuer=issuer, client_id=CLIENT)
        if is_taken:
            assert (await verify_id_token(token, keys, rules, now=NOW))[1]["sub"] == "ann"
        else:
            with pytest.raises(TokenError, match="of another issuer"):
                await verify_id_token(token, keys, rules, now=NOW)


@pytest.mark.parametrize("change", [claims(iss=EVIL), claims(exp=NOW), signed(algorithm="PS256"), unsigned])
async def test_keys_are_asked_for_last(change):
    """A token that is refused anyway costs no fetch, and no keys are searched for another issuer's."""
    provider = FakeProvider()
    change(provider)
    with pytest.raises(LoginError):
        await log_in(provider)
    assert provider.count("/keys") == 0


async def test_checks_tell_what_was_looked_at_in_its_order():
    """Those of the official library, in the order of the official library."""
    provider = FakeProvider()
    both(claims(c_hash=half_hash(CODE), nbf=NOW, auth_time=NOW, azp=CLIENT))(provider)
    checks = Record()
    await log_in(provider, replace(REQUEST, max_age=60, audiences=(CLIENT,)), checks)
    assert all(check.passed for check in checks.checks)
    assert [check.name for check in checks.checks] == [
        "form",
        "claims",
        "registered claims",
        "iss",
        "exp",
        "nbf",
        "typ",
        "algorithm of the kind",
        "algorithm",
        "keys",
        "kid",
        "signature",
        "nonce",
        "iat",
        "sub",
        "aud",
        "bound aud",
        "aud has the client",
        "azp",
        "auth_time",
        "max_age",
        "at_hash",
        "c_hash",
    ]
    shown = repr(checks.checks)
    assert not any(secret in shown for secret in (ACCESS_TOKEN, CODE, REQUEST.nonce))


async def test_an_explanation_goes_on():
    """An operator sees everything that is wrong at once."""
    provider = FakeProvider()
    claims(exp=NOW, nonce="other", sub=..., aud="b", iat=NOW + 999, at_hash="other")(provider)
    checks = Explanation()
    await log_in_explained(provider, checks)
    failed = {check.name: check.error for check in checks.checks if not check.passed}
    assert list(failed) == ["exp", "nonce", "iat", "sub", "azp", "at_hash"]
    assert failed["nonce"] == "the token is for another login (nonce)"
    assert checks.refusal == "the token has expired (exp)"


async def log_in_explained(provider, checks):
    """A login as far as the ID token."""
    client = provider.client()
    tokens = await client.exchange(CODE, REQUEST)
    await client.verify_id_token(
        tokens.id_token, REQUEST, access_token=tokens.access_token, code=CODE, checks=checks
    )
    await client.close()


async def test_an_explanation_shows_what_was_compared():
    """Beginnings of nonces, which tell two apart; nothing where a claim is not there."""
    provider, checks = FakeProvider(), Explanation()
    claims(nonce="m_98765432109876543210", at_hash="other", aud=[], sub="")(provider)
    await log_in_explained(provider, checks)
    found = {check.name: (check.expected, check.had) for check in checks.checks}
    assert found["nonce"] == ('"n_123...", the nonce of this login', '"m_987..."')
    assert found["at_hash"] == (
        f'"{half_hash(ACCESS_TOKEN)}", the hash of what came with the token',
        '"other"',
    )
    assert (found["aud"][1], found["sub"][1]) == ("nothing", "nothing")
    assert found["azp"][1] == "nothing"
    text = str(checks.checks)
    assert REQUEST.nonce not in text
    assert ACCESS_TOKEN not in text


@pytest.mark.parametrize("name", ["iss", "aud", "exp", "iat", "nbf", "azp", "nonce", "sub"])
async def test_userinfo_replaces_nothing_that_was_verified(name):
    """Whatever it says of these; other claims are replaced as a whole, by null too."""
    provider = FakeProvider()
    claims(azp=CLIENT, nbf=NOW, email="a@old.example", address={"a": 1}, phone="1")(provider)
    before = provider.claims[name]
    answering(
        "/userinfo",
        200,
        {
            "sub": "ann",
            **({} if name in ("sub", "iss") else {name: "evil"}),
            "email": "a@new.example",
            "address": {"b": 2},
            "phone": None,
        },
    )(provider)
    found = await log_in(provider)
    assert found[name] == before
    assert (found["email"], found["address"], found["phone"]) == ("a@new.example", {"b": 2}, None)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
MEMBERS = ["iss", "sub", "aud", "azp", "exp", "nbf", "iat", "nonce", "auth_time", "at_hash", "c_hash"]
MEMBERS += ["_claim_names", "_claim_sources", "access_token", "id_token", "refresh_token", "expires_in"]
MEMBERS += ["error", "error_description", "device_code", "user_code", "verification_uri", "interval"]


@settings(max_examples=150, deadline=None)
@given(changes=st.dictionaries(st.sampled_from(MEMBERS), JSON, max_size=4), path=st.sampled_from("tdui"))
def test_nothing_but_a_refusal_comes_of_nonsense(changes, path):
    """Whatever stands where a text or a number should: never another error, and never somebody else."""
    provider = FakeProvider()
    if path == "t":
        provider.tokens |= changes
    elif path == "i":
        provider.claims |= {"auth_time": NOW, **changes}
    else:
        provider.userinfo |= changes
    provider.answers["/device"] = (200, json.dumps(changes), "application/json")

    async def run():
        if path == "d":
            return await provider.client().authorize_device()
        return await log_in(provider, replace(REQUEST, max_age=60))

    try:
        found = asyncio.run(run())
    except LoginError:
        return
    if path != "d":
        assert found["sub"] == "ann"
