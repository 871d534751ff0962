"""Fetching a document: limits, redirects, trust. Over loopback where a connection matters."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from oidc_factories import jwk, jwks
from oidc_provider import Fetcher, certificate, http_answer, serve, server_context

from authkit.oidc import JWKSKeys
from authkit.oidc.http import client as http_client
from authkit.oidc.http.errors import FetchError, FetchTimeoutError
from authkit.oidc.http.network import Network

URL = "https://issuer.example/keys"


def fetcher(answer, url=URL, max_bytes=100):
    """A fetcher whose requests `answer` answers."""
    return Fetcher(url, max_bytes=max_bytes, network=Network(transport=httpx.MockTransport(answer)))


@pytest.fixture
def ca_pem():
    """A private CA."""
    return certificate("ca", "ca", "p384", "p384", is_ca=True)


@pytest.fixture
def server_pem():
    """The certificate of a server, issued by that CA."""
    return certificate("server", "ca", "p256", "p384", is_ca=False)


@pytest.fixture
def server_tls(tmp_path, server_pem):
    """The context of that server."""
    return server_context(tmp_path, server_pem)


# --- address -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    ["", "keys", "/keys", "ftp://a/keys", "file:///etc/passwd", "https://", "https:///keys", "http://[::1/"],
)
def test_only_http_urls_are_taken(url):
    """Other schemes and URLs without a host are refused at once."""
    with pytest.raises(ValueError):
        JWKSKeys(url)


@pytest.mark.parametrize(
    "url", ["https://a:99999/", "https://a:0/", "https://a/\nb", "https://a/ b", "https://a/\x7f"]
)
def test_only_printable_urls_with_possible_ports_are_taken(url):
    """What a URL cannot hold is refused, not dropped without a word."""
    with pytest.raises(ValueError):
        JWKSKeys(url)


@pytest.mark.parametrize(
    "pem", ["garbage", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", "é", "\0"]
)
def test_a_bad_ca_bundle_is_refused(pem):
    """A bundle without a certificate is refused at once, not taken for the system's."""
    with pytest.raises(ValueError, match="the CA bundle holds no valid certificate"):
        JWKSKeys(URL, ca_pem=pem)


# --- answers -----------------------------------------------------------------------------------


async def test_a_document_is_fetched():
    """Body and cache header arrive as they are."""
    answer = httpx.Response(200, content=b"body", headers={"cache-control": "max-age=5"})
    document = await fetcher(lambda request: answer).fetch()
    assert (document.body, document.cache_control) == (b"body", "max-age=5")


async def test_a_document_of_the_largest_size_is_fetched():
    """The limit itself is allowed."""
    document = await fetcher(lambda request: httpx.Response(200, content=b"x" * 100)).fetch()
    assert len(document.body) == 100


async def test_reading_stops_at_the_limit():
    """A body without end is not read further than the limit."""
    sent = 0

    async def endless():
        nonlocal sent
        while True:
            sent += 10
            yield b"x" * 10

    with pytest.raises(FetchError, match="answer is larger than 100 bytes"):
        await fetcher(lambda request: httpx.Response(200, content=endless())).fetch()
    assert sent <= 120


@pytest.mark.parametrize("status", [201, 204, 300, 304, 400, 401, 500, 503])
async def test_only_200_is_a_document(status):
    """Any other status is a failure that names it."""
    with pytest.raises(FetchError, match=f"^{status}"):
        await fetcher(lambda request: httpx.Response(status, content=b"body")).fetch()


async def test_time_is_limited(monkeypatch):
    """A provider that accepts and stays silent does not keep logins waiting."""
    monkeypatch.setattr(http_client, "TOTAL_TIMEOUT", 0.01)

    async def hang(request):
        await asyncio.Event().wait()

    with pytest.raises(FetchTimeoutError) as caught:
        await fetcher(hang).fetch()
    assert caught.value.public == "context deadline exceeded"
    assert str(caught.value) == "context deadline exceeded: no answer within 0.01 s"


async def test_a_bearer_token_is_sent_anew_each_time():
    """It is asked for before each fetch, and sent as it is."""
    sent = []
    tokens = iter(["one", "two"])

    def answer(request):
        sent.append(request.headers["authorization"])
        return httpx.Response(200, content=b"body")

    fetcher = Fetcher(
        URL, max_bytes=9, bearer=lambda: next(tokens), network=Network(transport=httpx.MockTransport(answer))
    )
    await fetcher.fetch()
    await fetcher.fetch()
    assert sent == ["Bearer one", "Bearer two"]


@pytest.mark.parametrize("token", ["", "sesame\n", "sesamé", "ses\0ame", FileNotFoundError("gone")])
async def test_a_bad_bearer_token_is_a_failure_that_does_not_show_it(token):
    """A token that cannot be read or sent fails the fetch."""

    def read():
        if isinstance(token, Exception):
            raise token
        return token

    asked = []
    fetcher = Fetcher(
        URL, max_bytes=9, bearer=read, network=Network(transport=httpx.MockTransport(asked.append))
    )
    with pytest.raises(FetchError, match="no usable answer") as caught:
        await fetcher.fetch()
    assert asked == []
    assert "ses" not in str(caught.value)


async def test_unusable_proxy_settings_are_a_failure(monkeypatch):
    """A mistake in the environment is not another exception."""
    monkeypatch.setenv("HTTPS_PROXY", "ftp://proxy.example")
    with pytest.raises(FetchError, match="no usable answer: ProxyError: the proxy of the environment"):
        await Fetcher("https://issuer.invalid/keys", max_bytes=9, network=Network()).fetch()


# --- redirects ---------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    "location", ["/new", "new", "https://issuer.example/new", "https://ISSUER.example:443/new"]
)
async def test_a_redirect_on_the_same_origin_is_followed(status, location):
    """Scheme, host and port stay, the path may change."""

    def answer(request):
        if request.url.path == "/keys":
            return httpx.Response(status, headers={"location": location})
        assert str(request.url) == "https://issuer.example/new"
        return httpx.Response(200, content=b"body")

    assert (await fetcher(answer).fetch()).body == b"body"


@pytest.mark.parametrize(
    "location",
    [
        "http://issuer.example/new",
        "https://evil.example/new",
        "https://issuer.example:8443/new",
        "//evil.example/new",
        "https://issuer.example.evil.example/new",
        "https://issuer.example@evil.example/new",
        "ftp://issuer.example/new",
        "file:///etc/passwd",
    ],
)
async def test_a_redirect_elsewhere_is_refused(location):
    """No other scheme, host or port is asked."""
    asked = []

    def answer(request):
        asked.append(request.url.host)
        return httpx.Response(302, headers={"location": location})

    with pytest.raises(FetchError, match="redirect to another scheme, host or port"):
        await fetcher(answer).fetch()
    assert asked == ["issuer.example"]


async def test_redirects_are_bounded():
    """A loop ends after three."""
    asked = []

    def answer(request):
        asked.append(request.url)
        return httpx.Response(302, headers={"location": "/keys"})

    with pytest.raises(FetchError, match="too many redirects"):
        await fetcher(answer).fetch()
    assert len(asked) == 4


@pytest.mark.parametrize(
    "headers", [{}, {"location": ""}, {"location": "https://[::1/"}, {"location": "http://a b\x7f"}]
)
async def test_a_broken_redirect_is_a_failure(headers):
    """A redirect to nowhere causes no other exception."""
    with pytest.raises(FetchError):
        await fetcher(lambda request: httpx.Response(302, headers=headers)).fetch()


# --- connections -------------------------------------------------------------------------------


async def test_keys_are_fetched_over_plain_http():
    """Plain http works, as operators of development issuers expect."""
    async with serve(http_answer(jwks(jwk("p256")))) as (port, requests):
        keys = JWKSKeys(f"http://127.0.0.1:{port}/keys?a=b")
        assert [key.kid for key in await keys.find_keys("p256")] == ["p256"]
        assert requests[0].startswith(b"GET /keys?a=b HTTP/1.1\r\n")
        await keys.close()


async def test_a_given_ca_is_trusted(ca_pem, server_tls):
    """A server with a certificate of the given CA is asked."""
    async with serve(http_answer(jwks(jwk("p256"))), server_tls) as (port, _):
        keys = JWKSKeys(f"https://127.0.0.1:{port}/keys", ca_pem=ca_pem)
        assert await keys.find_keys("p256")


async def test_a_given_certificate_need_not_be_a_root(server_pem, server_tls):
    """Any given certificate is an anchor, as in Go."""
    async with serve(http_answer(b"body"), server_tls) as (port, _):
        url = f"https://127.0.0.1:{port}/"
        assert (await Fetcher(url, max_bytes=99, network=Network(ca_pem=server_pem)).fetch()).body == b"body"


@pytest.mark.parametrize("other", [True, False])
async def test_nothing_else_is_trusted(server_tls, other):
    """Neither the system's roots nor another CA vouch for that server, and nothing is asked."""
    ca_pem = certificate("ca", "ca", "p521", "p521", is_ca=True) if other else ""
    async with serve(http_answer(b"body"), server_tls) as (port, requests):
        with pytest.raises(FetchError, match="no usable answer") as caught:
            await Fetcher(f"https://127.0.0.1:{port}/", max_bytes=99, network=Network(ca_pem=ca_pem)).fetch()
    assert "certificate verify failed" in str(caught.value.__cause__)
    assert requests == []


async def test_the_name_of_the_server_is_checked(ca_pem, server_tls):
    """A certificate for another name does not do."""
    async with serve(http_answer(b"body"), server_tls) as (port, requests):
        with pytest.raises(FetchError):
            await Fetcher(f"https://localhost:{port}/", max_bytes=99, network=Network(ca_pem=ca_pem)).fetch()
    assert requests == []


async def test_a_loopback_host_needs_no_proxy(monkeypatch):
    """Proxy settings of the environment are for other hosts."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    async with serve(http_answer(b"body")) as (port, _):
        assert (
            await Fetcher(f"http://127.0.0.1:{port}/", max_bytes=99, network=Network()).fetch()
        ).body == b"body"


async def test_other_hosts_are_asked_through_the_proxy(monkeypatch):
    """Proxy settings of the environment apply."""
    async with serve(http_answer(b"body")) as (port, requests):
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{port}")
        assert (
            await Fetcher("http://issuer.invalid/keys", max_bytes=99, network=Network()).fetch()
        ).body == b"body"
    assert requests[0].startswith(b"GET http://issuer.invalid/keys HTTP/1.1\r\n")


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"garbage\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000,
        http_answer(b"\x1f\x8b", "Content-Encoding: gzip"),
    ],
)
async def test_a_broken_server_is_a_failure(raw):
    """Whatever a server sends, the failure is ours."""
    async with serve(raw) as (port, _):
        with pytest.raises(FetchError):
            await Fetcher(f"http://127.0.0.1:{port}/", max_bytes=99, network=Network()).fetch()


async def test_a_closed_port_is_a_failure():
    """Nobody there is a failure like others."""
    async with serve(b"") as (port, _):
        pass
    with pytest.raises(FetchError, match="no usable answer: ConnectError: ") as caught:
        await Fetcher(f"http://127.0.0.1:{port}/", max_bytes=99, network=Network()).fetch()
    assert caught.value.public == "no usable answer"


@pytest.mark.parametrize(
    "proxy",
    [
        "http://user:sesame@[::1",
        "socks5://user:sesame@p.example",
        "user:sesame@p.example:x",
        "http://sesame:1:2",
    ],
)
async def test_a_bad_proxy_is_a_failure_that_does_not_show_its_credentials(monkeypatch, proxy):
    """The operator reads what is wrong, and looks at the environment."""
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    with pytest.raises(FetchError, match="no usable answer") as caught:
        await Fetcher("https://issuer.invalid/keys", max_bytes=9, network=Network()).fetch()
    assert "sesame" not in str(caught.value)
    assert "sesame" not in str(caught.value.__cause__)


async def test_a_proxy_gets_its_credentials_and_the_server_none_of_them(monkeypatch):
    """They are of the environment, for the proxy alone."""
    async with serve(http_answer(b"body")) as (port, requests):
        monkeypatch.setenv("HTTP_PROXY", f"http://user:sesame@127.0.0.1:{port}")
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        assert (await fetcher_at("http://issuer.invalid/keys").fetch()).body == b"body"
    assert requests[0].startswith(b"GET http://issuer.invalid/keys HTTP/1.1\r\n")
    assert b"Proxy-Authorization: Basic dXNlcjpzZXNhbWU=\r\n" in requests[0]
    assert b"\r\nAuthorization" not in requests[0]


def fetcher_at(url):
    """A fetcher over the network."""
    return Fetcher(url, max_bytes=99, network=Network())
