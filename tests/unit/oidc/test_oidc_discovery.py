"""Discovery: what an issuer may say about itself, and what its operator reads when it does not."""

from __future__ import annotations

import json

import httpx
import pytest

from authkit.oidc import DiscoveredKeys, Discovery, DiscoveryError, IssuerMismatchError, ProviderMetadata
from authkit.oidc.http.errors import FetchError, FetchTimeoutError, ProviderError
from authkit.oidc.http.network import Network
from authkit.oidc.keys.discovery import MAX_METADATA_BYTES, parse_metadata

ISSUER = "https://issuer.example/realm"
ENDPOINTS = [
    "jwks_uri",
    "authorization_endpoint",
    "token_endpoint",
    "userinfo_endpoint",
    "device_authorization_endpoint",
]


def metadata(**members):
    """A document with all we read; a member given as `...` is left out."""
    found = {
        "issuer": ISSUER,
        **{name: f"https://other.example/{name}" for name in ENDPOINTS},
        "token_endpoint_auth_methods_supported": ["client_secret_post"],
        "id_token_signing_alg_values_supported": ["RS256", "HS256"],
        "scopes_supported": ["openid"],
        **members,
    }
    return json.dumps({name: value for name, value in found.items() if value is not ...}).encode()


def discovery(answer, url=ISSUER):
    """Discovery whose request `answer` answers."""
    return Discovery(url, network=Network(transport=httpx.MockTransport(answer)))


def serving(body, status=200, **headers):
    """An answer to every request."""
    return lambda request: httpx.Response(status, content=body, headers=headers)


async def fail(answer, url=ISSUER):
    """The failure to discover."""
    with pytest.raises(DiscoveryError) as caught:
        await discovery(answer, url).fetch()
    return caught.value


async def test_metadata_are_read():
    """Every endpoint arrives, on whatever host; members beyond ours are ignored."""
    assert await discovery(serving(metadata())).fetch() == ProviderMetadata(
        issuer=ISSUER,
        jwks_uri="https://other.example/jwks_uri",
        authorization_endpoint="https://other.example/authorization_endpoint",
        token_endpoint="https://other.example/token_endpoint",
        userinfo_endpoint="https://other.example/userinfo_endpoint",
        device_authorization_endpoint="https://other.example/device_authorization_endpoint",
        token_endpoint_auth_methods=("client_secret_post",),
        signing_algorithms=("RS256", "HS256"),
    )


async def test_of_members_that_occur_twice_the_last_counts():
    """As for the official plugin: what works there is no reason to lock a company out here."""
    body = b'{"issuer":"x","claims":1,"claims":2,"jwks_uri":"https://a/","issuer":"%s"}' % ISSUER.encode()
    assert (await discovery(serving(body)).fetch()).issuer == ISSUER


async def test_an_issuer_with_keys_alone_is_enough():
    """For a login with a JWT nothing else is needed; null counts as absent."""
    body = json.dumps({"issuer": ISSUER, "jwks_uri": "https://a/keys", "token_endpoint": None}).encode()
    assert await discovery(serving(body)).fetch() == ProviderMetadata(ISSUER, "https://a/keys")


@pytest.mark.parametrize(
    ("url", "asked"),
    [
        (ISSUER, ISSUER + "/.well-known/openid-configuration"),
        (ISSUER + "/", ISSUER + "/.well-known/openid-configuration"),
        (ISSUER + "//", ISSUER + "//.well-known/openid-configuration"),
    ],
)
async def test_the_well_known_path_is_appended(url, asked):
    """After one slash at the end was left out."""
    requests = []

    def answer(request):
        requests.append(str(request.url))
        return httpx.Response(200, content=metadata(issuer=url))

    await discovery(answer, url).fetch()
    assert requests == [asked]


@pytest.mark.parametrize(
    "found",
    [ISSUER + "/", ISSUER.upper(), "http" + ISSUER[5:], ISSUER + "/.", "https://evil.example", "", None, ...],
)
async def test_another_issuer_is_refused(found):
    """Byte for byte: a slash or a letter's case matters."""
    error = await fail(serving(metadata(issuer=found)))
    assert isinstance(error, IssuerMismatchError)
    assert error.public == "oidc: issuer did not match the issuer returned by provider"
    got = found if isinstance(found, str) else ""
    assert error.detail == f'expected "{ISSUER}", got "{got}"'


async def test_a_long_wrong_issuer_is_cut():
    """What a provider sends does not fill the operator's screen."""
    error = await fail(serving(metadata(issuer="x" * 10_000)))
    assert len(str(error)) < 500


@pytest.mark.parametrize("name", ENDPOINTS)
@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://issuer.example/x", "is not https, the document itself is"),
        ("http://127.0.0.1/x", "is not https, the document itself is"),
        ("https://ann:pw@issuer.example/x", "holds credentials or a fragment"),
        ("https://issuer.example@evil.example/x", "holds credentials or a fragment"),
        ("https://@issuer.example/x", "holds credentials or a fragment"),
        ("https://issuer.example/x#", "holds credentials or a fragment"),
        ("file:///etc/passwd", "is no http or https URL"),
        ("javascript:alert(1)", "is no http or https URL"),
        ("//issuer.example/x", "is no http or https URL"),
        ("/x", "is no http or https URL"),
        ("https:///x", "is no http or https URL"),
        ("https://[::1/x", "is no http or https URL"),
        ("https://issuer.example:0/x", "is no http or https URL"),
        ("https://issuer.example:port/x", "is no http or https URL"),
        ("https://issuer.example/x\ny", "is no http or https URL"),
        (" https://issuer.example/x", "is no http or https URL"),
        ("https://issuer.example/" + "x" * 2048, "is longer than 2048 characters"),
        (5, "is not a string"),
        (["https://issuer.example/x"], "is not a string"),
    ],
)
async def test_endpoints_that_lead_elsewhere_are_refused(name, url, reason):
    """None is weaker than the way the document came, and none carries credentials."""
    error = await fail(serving(metadata(**{name: url})))
    assert str(error) == f"the discovery document cannot be used: its {name} {reason}"
    assert error.public == "the discovery document cannot be used"


@pytest.mark.parametrize("host", ["127.0.0.1:8200", "keycloak.internal"])
async def test_a_plain_http_issuer_may_have_plain_http_endpoints(host):
    """Operators of development issuers expect it, and nothing gets weaker."""
    url = f"http://{host}"
    body = json.dumps({"issuer": url, "jwks_uri": f"{url}/keys"}).encode()
    assert (await discovery(serving(body), url).fetch()).jwks_uri == f"{url}/keys"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"<html>sesame</html>", "not valid JSON"),
        (b"", "not valid JSON"),
        (b"[]", "not a JSON object"),
        (b'"issuer"', "not a JSON object"),
        (b"\xff", "not UTF-8"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"issuer":' + b"9" * 10_000 + b"}", "not valid JSON"),
        (b'{"issuer":5}', "its issuer is not a string"),
        (metadata(jwks_uri=...), "it names no jwks_uri"),
        (metadata(jwks_uri=""), "it names no jwks_uri"),
        (metadata(id_token_signing_alg_values_supported="RS256"), "is not a list of strings"),
        (metadata(token_endpoint_auth_methods_supported=[1]), "is not a list of strings"),
    ],
)
async def test_another_document_is_refused(body, reason):
    """The operator reads why; nothing of the document is repeated."""
    error = await fail(serving(body))
    assert reason in error.detail
    assert error.public == "the discovery document cannot be used"
    assert "sesame" not in str(error)


@pytest.mark.parametrize(
    ("answer", "public"),
    [
        (serving(b"sesame", 404), "404 Not Found"),
        (serving(b"sesame", 500), "500 Internal Server Error"),
        (serving(b"x" * (MAX_METADATA_BYTES + 1)), f"answer is larger than {MAX_METADATA_BYTES} bytes"),
        (serving(b"", 302, location="https://evil.example"), "redirect to another scheme, host or port"),
        (serving(b"", 302, location="/again"), "too many redirects"),
    ],
)
async def test_a_failed_fetch_is_a_failed_discovery(answer, public):
    """Its reason is told, its cause kept."""
    error = await fail(answer)
    assert error.public == public
    assert isinstance(error.__cause__, FetchError)
    assert "sesame" not in str(error)


async def test_a_slow_provider_is_a_failed_discovery():
    """Limits of time are those of every fetch."""

    def answer(request):
        raise httpx.ConnectTimeout("slow")

    error = await fail(answer)
    assert str(error) == "context deadline exceeded: ConnectTimeout: slow"
    assert isinstance(error.__cause__, FetchTimeoutError)


@pytest.mark.parametrize("url", ["", "issuer", "ftp://issuer.example", "https://", "https://a b"])
def test_an_impossible_url_is_refused_at_once(url):
    """Before anything is fetched."""
    with pytest.raises(ValueError):
        Discovery(url, network=Network())


def test_a_bad_bundle_is_refused_at_once():
    """It does not stand for the system's roots."""
    with pytest.raises(ValueError, match="the CA bundle holds no valid certificate"):
        DiscoveredKeys(ISSUER, ca_pem="garbage")


def test_the_way_of_a_document_is_the_callers_to_say():
    """Over plain http it may name plain http."""
    found = parse_metadata(b'{"issuer":"http://a","jwks_uri":"http://a/"}', issuer="http://a", is_https=False)
    assert found.jwks_uri == "http://a/"


def test_every_error_is_a_provider_error():
    """Whoever asks a provider has one class to catch."""
    for kind in (FetchError, FetchTimeoutError, DiscoveryError, IssuerMismatchError):
        assert issubclass(kind, ProviderError)


@pytest.mark.parametrize(
    ("endpoint", "is_taken"),
    [
        ("http://127.0.0.1:9/token", True),
        ("http://localhost/token", True),
        ("https://idp.example/token", True),
        ("http://idp.example/token", False),
        ("http://127.0.0.1.idp.example/token", False),
    ],
)
def test_a_provider_on_this_machine_sends_nobody_elsewhere_in_plaintext(endpoint, is_taken):
    """Nobody but this machine sees what is said to it in plaintext; that must not change by its document."""
    issuer = "http://127.0.0.1:9"
    content = {"issuer": issuer, "jwks_uri": f"{issuer}/keys", "token_endpoint": endpoint}
    document = json.dumps(content).encode()
    if is_taken:
        found = parse_metadata(document, issuer=issuer, is_https=False, is_local=True)
        assert found.token_endpoint == endpoint
    else:
        with pytest.raises(DiscoveryError):
            parse_metadata(document, issuer=issuer, is_https=False, is_local=True)
