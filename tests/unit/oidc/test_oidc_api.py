"""Calls of a provider's API, on real connections: limits, trust, and what a failure says."""

from __future__ import annotations

import asyncio
import json

import httpx
import pytest
from oidc_provider import certificate, http_answer, serve, server_context

from authkit.oidc.http import client as api
from authkit.oidc.http.client import HTTPClient
from authkit.oidc.http.errors import FetchError, FetchTimeoutError
from authkit.oidc.http.network import Network

URL = "https://api.example/groups"
SESAME = 'open sesame/"'


async def ask(answer, url=URL, **options):
    """One GET, answered by `answer`."""
    async with HTTPClient(Network(transport=httpx.MockTransport(answer))).session(url) as session:
        return await session.get(url, **options)


async def test_json_is_read_over_tls_with_the_given_ca(tmp_path):
    """Nothing else is trusted, and the connection is used again."""
    ca_pem = certificate("ca", "ca", "p384", "p384", is_ca=True)
    tls = server_context(tmp_path, certificate("server", "ca", "p256", "p384", is_ca=False))
    async with serve(http_answer(b'{"a": 1}'), tls) as (port, requests):
        url = f"https://127.0.0.1:{port}/x"
        async with HTTPClient(Network(ca_pem=ca_pem)).session(url) as session:
            assert (await session.get(url, authorization="Bearer t")).content == {"a": 1}
            assert (await session.post(url, b"body", "text/plain")).content == {"a": 1}
        with pytest.raises(FetchError, match="certificate verify failed"):
            async with HTTPClient(Network()).session(url) as session:
                await session.get(url)
    assert requests[0].startswith(b"GET /x HTTP/1.1\r\n")
    assert b"Authorization: Bearer t\r\n" in requests[0]
    assert b"Authorization" not in requests[1]
    assert len(requests) == 2


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (httpx.Response(500, text="x" * 1000), "500 Internal Server Error: " + "x" * 200),
        (httpx.Response(302, headers={"location": "https://evil.example"}), "302 Found"),
        (httpx.Response(200, text="<html>"), "answer is not valid JSON"),
        (httpx.Response(200, content=b"[" * 100_000), "answer is not valid JSON"),
        (httpx.Response(200, content=b"\xff"), "answer is not valid JSON"),
        (httpx.Response(200, content=b" " * (api.MAX_RESPONSE_BYTES + 1)), "answer is larger than"),
        (httpx.Response(200, text="{}", headers={"content-encoding": "br"}), "answer is compressed"),
    ],
)
async def test_other_answers_are_failures(answer, text):
    """Redirects are not followed; what was sent is the detail, cut."""
    with pytest.raises(FetchError) as caught:
        await ask(lambda request: answer)
    assert str(caught.value).startswith(text)
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (httpx.ReadTimeout("slow"), FetchTimeoutError, "context deadline exceeded"),
        (httpx.ConnectError("refused"), FetchError, "no usable answer"),
    ],
)
async def test_connections_that_fail_are_failures(error, kind, text):
    """With the cause for the operator."""

    def answer(request):
        raise error

    with pytest.raises(kind) as caught:
        await ask(answer)
    assert caught.value.public == text
    assert str(error) in caught.value.detail


async def test_a_lookup_has_one_time_limit(monkeypatch):
    """However many requests it makes."""
    monkeypatch.setattr(api, "SESSION_TIMEOUT", 0.02)

    async def hang(request):
        await asyncio.Event().wait()

    with pytest.raises(FetchTimeoutError, match=r"no answer within 0\.02 s"):
        await ask(hang)


async def test_an_impossible_url_is_a_failure():
    """It may come from a token."""
    with pytest.raises(FetchError, match="no usable answer"):
        await ask(lambda request: httpx.Response(200), "https://a b")
    network = Network(transport=httpx.MockTransport(lambda request: None))
    with pytest.raises(FetchError, match="no usable answer"):
        async with HTTPClient(network).session(URL) as session:
            await session.get("https://[::1/")


async def test_unusable_proxy_settings_are_a_failure(monkeypatch):
    """As they are for key sets."""
    monkeypatch.setenv("HTTPS_PROXY", "ftp://proxy.example")
    with pytest.raises(FetchError, match="no usable answer: ProxyError: the proxy of the environment"):
        async with HTTPClient(Network()).session(URL) as session:
            await session.get(URL)


@pytest.mark.parametrize(
    ("link", "url"),
    [
        ('<https://b.example/x>; rel="next"', "https://b.example/x"),
        ('</x?a=b>; rel="next"', "https://api.example/x?a=b"),
        ('</y>; rel="self", </x>; rel="next"', "https://api.example/x"),
        ('</y>; rel="self"', ""),
        ("nonsense", ""),
        ('<>; rel="next"', ""),
    ],
)
async def test_the_next_page_is_found(link, url):
    """By the relation of that name, made absolute."""
    answer = await ask(lambda request: httpx.Response(200, json=[], headers={"link": link}))
    assert answer.next_url == url


def test_a_bad_ca_bundle_is_refused():
    """It does not stand for the system's roots."""
    with pytest.raises(ValueError, match="the CA bundle holds no valid certificate"):
        Network(ca_pem="garbage")


@pytest.mark.parametrize("link", ["https://[::1/x", "https://a b\x7f/", "http://[x]/", "//[::1"])
async def test_an_impossible_next_page_is_a_failure(link):
    """A provider that sends one is at fault, not the plugin."""
    with pytest.raises(FetchError, match="no usable answer"):
        await ask(lambda request: httpx.Response(200, json=[], headers={"link": f'<{link}>; rel="next"'}))


async def test_what_is_sent_with_an_error_forges_no_line_of_the_log():
    """Control characters are escaped."""
    with pytest.raises(FetchError) as caught:
        await ask(lambda request: httpx.Response(500, text="a\n2026 [INFO] b\x1b[2J"))
    assert caught.value.detail == "a\\n2026 [INFO] b\\u001b[2J"


@pytest.mark.parametrize("scheme", ["SSWS", "Bearer"])
async def test_a_provider_that_repeats_the_token_it_was_asked_with(scheme):
    """Nobody reads it in the detail, not even where the detail is cut."""
    token = "an-api-token-in-no-known-shape"
    said = "." * (api.MAX_DETAIL_CHARACTERS - 10) + token
    with pytest.raises(FetchError) as caught:
        await ask(lambda request: httpx.Response(500, text=said), authorization=f"{scheme} {token}")
    assert "an-api" not in f"{caught.value.public}{caught.value.detail}"


@pytest.mark.parametrize("length", [100, 790, 1500])
@pytest.mark.parametrize("count", [1, 7, 60])
async def test_a_repeated_credential_is_masked_whatever_its_length(length, count):
    """Access tokens may be longer than what is shown of an answer."""
    token = "sesame" * (length // 6)
    answer = httpx.Response(403, text=f"{token} " * count)
    with pytest.raises(FetchError) as caught:
        await ask(lambda request: answer, authorization=f"Bearer {token}")
    assert "sesame" not in caught.value.detail


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/x-www-form-urlencoded", b"client_id=vault&client_secret=open+sesame%2F%22&code=sesame"),
        ("application/json", json.dumps({"client_id": "vault", "password": SESAME, "n": 5}).encode()),
        ("application/json; charset=utf-8", json.dumps({"client_id": "vault", "token": SESAME}).encode()),
    ],
)
async def test_a_provider_that_repeats_a_body(content_type, body):
    """Its secrets are masked as those of headers are, decoded or as they were sent."""

    def repeat(request):
        return httpx.Response(400, text=f"{request.content.decode()} {SESAME}")

    async with HTTPClient(Network(transport=httpx.MockTransport(repeat))).session(URL) as session:
        with pytest.raises(FetchError) as caught:
            await session.post(URL, body, content_type)
    assert "vault" in caught.value.detail
    assert "sesame" not in caught.value.detail
