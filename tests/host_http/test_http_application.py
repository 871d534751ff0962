"""The application on a socket: what reaches the core, and what comes back."""

from __future__ import annotations

import asyncio
import json
import socket

import httpx
import pytest
from http_fakes import FakeCore, served

from authkit.host.http.application import Bounds
from authkit.host.http.server import NotLoopbackError, listen
from authkit.host.messages import HostRequest, HostResponse

PATH = "/v1/auth/x/role/dev"
MFA = 'failed to parse X-Vault-MFA header: invalid data in header "X-Vault-MFA"; missing method '
MERGE_PATCH = {"Content-Type": "application/merge-patch+json"}


def errors(response: httpx.Response) -> tuple[int, list[str]]:
    """Return the status and texts of a refusal."""
    return response.status_code, response.json()["errors"]


async def test_a_request_reaches_the_core_with_all_that_it_says() -> None:
    """Method, path, body, query, token, headers and address."""
    async with served() as at:
        headers = {"X-Vault-Token": "t", "X-Vault-Wrap-TTL": "60", "X-Vault-Namespace": "ns", "X-Own": "1"}
        response = await at.http.post(PATH + "?a=1&a=2", json={"ttl": 5}, headers=headers)
    asked = at.core.last
    assert response.json() == {"data": {"a": 1}}
    assert (asked.method, asked.path, asked.body) == ("POST", "auth/x/role/dev", {"ttl": 5})
    assert asked.query == {"a": ["1", "2"]}
    assert (asked.token, asked.wrap_ttl, asked.namespace) == ("t", "60", "ns")
    assert asked.headers["X-Own"] == ["1"]
    assert asked.remote_addr == "127.0.0.1"
    assert asked.remote_port > 0
    assert response.headers["X-Vault-Namespace"] == "ns"


async def test_answers_look_like_vault_s() -> None:
    """Never cached, JSON, one line, characters of HTML escaped."""
    body = {"data": {"t": "<&>é", "n": 5, "f": 0.5, "none": None}}
    answer = HostResponse(status=200, body=body, headers={"X-Two": ["a", "b"]})
    async with served(FakeCore(answer)) as at:
        response = await at.http.get(PATH)
    assert response.content == (b'{"data":{"t":"\\u003c\\u0026\\u003e\xc3\xa9","n":5,"f":0.5,"none":null}}\n')
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["Content-Type"] == "application/json"
    assert response.headers.get_list("X-Two") == ["a", "b"]


async def test_an_answer_without_a_body() -> None:
    """204 has neither body nor length."""
    async with served(FakeCore(HostResponse(status=204))) as at:
        response = await at.http.delete(PATH)
    assert (response.status_code, response.content) == (204, b"")
    assert "Content-Length" not in response.headers


async def test_a_raw_answer_keeps_its_type() -> None:
    """A plugin's own bytes, type and headers arrive as they are."""
    answer = HostResponse(
        status=418, raw=b"\x00tea", content_type="text/plain", headers={"Cache-Control": ["max-age=5"]}
    )
    async with served(FakeCore(answer)) as at:
        response = await at.http.get(PATH)
    assert (response.status_code, response.content) == (418, b"\x00tea")
    assert response.headers["Content-Type"] == "text/plain"
    assert response.headers["Cache-Control"] == "max-age=5"


async def test_a_plugin_s_headers_stay_headers() -> None:
    """No line of its own, and no name that is none; text beyond ASCII arrives as UTF-8."""
    given = {"X-A": ["é\r\nSet-Cookie: x=1"], "X B": ["1"], "X-C:": ["1"], "Location": ["/v1/a\x00b"]}
    async with served(FakeCore(HostResponse(status=200, body={}, headers=given))) as at:
        response = await at.http.get(PATH)
    assert response.headers.encoding == "utf-8"
    assert response.headers["X-A"] == "é  Set-Cookie: x=1"
    assert response.headers["Location"] == "/v1/a b"
    assert not {"set-cookie", "x b", "x-c:", "x-c"} & set(response.headers)


@pytest.mark.parametrize(
    ("headers", "token"),
    [
        ({"X-Vault-Token": "a"}, "a"),
        ({"Authorization": "Bearer a"}, "a"),
        ({"Authorization": "Bearer b", "X-Vault-Token": "a"}, "a"),
        ({"Authorization": "bearer a"}, ""),
        ({"Authorization": "Basic YTpi"}, ""),
        ({}, ""),
    ],
)
async def test_the_token(headers: dict[str, str], token: str) -> None:
    """X-Vault-Token goes first; the scheme is spelt `Bearer`."""
    async with served() as at:
        await at.http.get(PATH, headers=headers)
    assert at.core.last.token == token


@pytest.mark.parametrize(
    ("method", "query"), [("LIST", {}), ("GET", {"list": ["true"]}), ("GET", {"help": ["1"]}), ("HELP", {})]
)
async def test_lists_and_help_are_the_core_s(method: str, query: dict[str, list[str]]) -> None:
    """Method and query arrive as they are."""
    async with served() as at:
        await at.http.request(method, PATH, params=query)
    assert (at.core.last.method, at.core.last.path) == (method, "auth/x/role/dev")
    assert at.core.last.query == query


async def test_merge_patches_say_that_they_are() -> None:
    """PATCH needs its type; its parameters don't matter."""
    async with served() as at:
        assert errors(await at.http.patch(PATH, content=b"{}")) == (400, ["mime: no media type"])
        assert errors(await at.http.patch(PATH, json={})) == (
            415,
            ["PATCH requires Content-Type of application/merge-patch+json, provided application/json"],
        )
        assert errors(await at.http.patch(PATH, content=b"[1]", headers=MERGE_PATCH)) == (
            400,
            ["error parsing JSON: not a JSON object"],
        )
        headers = {"Content-Type": "application/merge-patch+json; charset=utf-8"}
        await at.http.patch(PATH, content=b'{"ttl": null}', headers=headers)
    assert [request.method for request in at.core.asked] == ["PATCH"]
    assert at.core.last.body == {"ttl": None}


async def test_the_body_of_a_read_is_left_out() -> None:
    """Nobody looks at it."""
    async with served() as at:
        await at.http.request("DELETE", PATH, json={"a": 1})
        assert at.core.last.body is None
        await at.http.request("GET", PATH, content=b"{bad")
        assert at.core.last.body is None


async def test_head_has_no_body() -> None:
    """The core is asked for HEAD; the client gets the status and headers alone."""
    async with served() as at:
        response = await at.http.head(PATH)
    assert at.core.last.method == "HEAD"
    assert (response.status_code, response.content) == (200, b"")


@pytest.mark.parametrize(
    ("header", "value", "text"),
    [
        ("X-Vault-Forward", "active-node", "forwarding via header X-Vault-Forward disabled in configuration"),
        (
            "X-Vault-MFA",
            ":1",
            MFA + "name or ID",
        ),
        (
            "X-Vault-MFA",
            "totp:",
            MFA + "value",
        ),
    ],
)
async def test_headers_that_are_refused(header: str, value: str, text: str) -> None:
    """400 with Vault's text."""
    async with served() as at:
        assert errors(await at.http.get(PATH, headers={header: value})) == (400, [text])
    assert not at.core.asked


async def test_headers_that_are_ignored() -> None:
    """X-Vault-Request is for agents: a server doesn't care what it says, nor about an empty X-Vault-MFA."""
    async with served() as at:
        for headers in ({"X-Vault-Request": "false"}, {"X-Vault-MFA": ""}, {"X-Vault-MFA": "totp"}):
            assert (await at.http.get(PATH, headers=headers)).status_code == 200


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("/v1//auth/x", "/v1/auth/x"),
        ("/v1/auth/./x?a=1", "/v1/auth/x?a=1"),
        ("/v1/auth/y/../x/", "/v1/auth/x/"),
        ("/v1", "/v1/"),
    ],
)
async def test_paths_that_lead_around_are_corrected(path: str, location: str) -> None:
    """307 to the straight path, method and body kept."""
    async with served() as at:
        answer = await at.send(
            f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
        )
    head = answer.decode().lower().split("\r\n")
    assert head[0].startswith("http/1.1 307 ")
    assert f"location: {location}" in head


@pytest.mark.parametrize("path", ["/v1/a%zz", "/v1/a%00b"])
async def test_malformed_paths_are_refused(path: str) -> None:
    """A 400 without a body."""
    async with served() as at:
        answer = await at.send(
            f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
        )
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert not at.core.asked


async def test_another_host_s_name_is_refused() -> None:
    """A page whose name was made to point here can't act through its visitor's browser."""
    async with served(names=("Build7",)) as at:
        refused = await at.http.get(PATH, headers={"Host": "evil.example:8200"})
        assert refused.status_code == 403
        assert not at.core.asked
        for host in ("localhost:8200", "[::1]", "build7:8200", "10.1.2.3"):
            assert (await at.http.get(PATH, headers={"Host": host})).status_code == 200


async def test_a_body_that_is_announced_too_long_is_refused_unread() -> None:
    """413 before a byte of it has come, and the connection is closed."""
    async with served() as at:
        head = f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {33 << 20}\r\n\r\n"
        answer = await at.send(head.encode())
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert answer.endswith(b'{"errors":["http: request body too large"]}\n')


async def test_a_body_that_grows_too_long_is_refused() -> None:
    """Without a length announced the bytes are counted."""
    async with served(bounds=Bounds(body_bytes=10)) as at:
        head = f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        answer = await at.send(head.encode() + b"8\r\n12345678\r\n" * 2)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert not at.core.asked


async def test_a_body_that_never_ends_is_given_up() -> None:
    """The time for all of it is bounded."""
    async with served(bounds=Bounds(body_seconds=0.05)) as at:
        head = f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n{{}}"
        answer = await at.send(head.encode())
    assert answer.startswith(b"HTTP/1.1 500 ")
    assert answer.endswith(b'{"errors":["i/o timeout"]}\n')


async def test_an_answer_that_never_comes_is_given_up() -> None:
    """The core is stopped after the longest time that a request may take."""
    async with served(FakeCore(hangs=True), bounds=Bounds(answer_seconds=0.05)) as at:
        assert errors(await at.http.get(PATH)) == (500, ["context deadline exceeded"])
    assert at.core.cancelled.is_set()


async def test_a_client_that_leaves_stops_its_request() -> None:
    """Nobody works for a connection that is closed."""
    core = FakeCore(hangs=True)
    async with served(core) as at:
        _, writer = await asyncio.open_connection("127.0.0.1", at.port)
        writer.write(f"GET {PATH} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        async with asyncio.timeout(10):
            await core.begun.wait()
            writer.close()
            await core.cancelled.wait()


async def test_a_fault_of_the_core_is_a_500(caplog: pytest.LogCaptureFixture) -> None:
    """The client learns nothing of it; the log has the traceback, and not the body."""

    def fail(request: HostRequest) -> HostResponse:
        raise RuntimeError("inner secret")

    async with served(FakeCore(fail)) as at:
        assert errors(await at.http.post(PATH, json={"jwt": "abc.def"})) == (500, ["internal error"])
    assert "inner secret" in caplog.text
    assert "abc.def" not in caplog.text


async def test_broken_http_is_refused() -> None:
    """What isn't HTTP at all gets a 400 and the end of the connection."""
    async with served() as at:
        assert (await at.send(b"\x16\x03\x01\r\n\r\n")).startswith(b"HTTP/1.1 400 ")
        twice = b"GET /v1/x HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n"
        assert (await at.send(twice)).startswith(b"HTTP/1.1 400 ")


async def test_many_requests_on_one_connection() -> None:
    """Connections are kept, also after a refusal."""
    async with served() as at:
        for _ in range(3):
            await at.http.get(PATH)
            await at.http.post(PATH, content=b"{bad")
    ports = {request.remote_port for request in at.core.asked}
    assert len(at.core.asked) == 3
    assert len(ports) == 1


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
def test_only_loopback_is_listened_on(host: str) -> None:
    """Any other address has to be allowed by an option whose name says that it is insecure."""
    with pytest.raises(NotLoopbackError):
        listen(host, 0)


def test_answers_are_sent_at_once() -> None:
    """The socket names its protocol: without, asyncio leaves a delay of 40 ms in each answer."""
    with listen("127.0.0.1", 0) as listener:
        assert listener.proto == socket.IPPROTO_TCP


def test_an_address_is_allowed_by_name() -> None:
    """It is then listened on."""
    with listen("0.0.0.0", 0, allow_insecure_address=True) as listener:
        assert listener.getsockname()[1] > 0


def test_answers_don_t_wait_for_acknowledgements() -> None:
    """asyncio sends small pieces at once on sockets whose protocol is named, and only on those."""
    with listen("127.0.0.1", 0) as listener:
        assert listener.proto == socket.IPPROTO_TCP


async def test_the_body_of_a_form_is_read() -> None:
    """As a browser posts it to an OIDC callback."""
    async with served() as at:
        await at.http.post(PATH, data={"state": "s", "code": "c d"})
    assert at.core.last.body == {"state": "s", "code": "c d"}


async def test_paths_outside_the_api_are_not_found() -> None:
    """Without a page there is nothing but the API."""
    async with served() as at:
        for path in ("/", "/ui/", "/.well-known/x", "/v2/x"):
            assert errors(await at.http.get(path)) == (404, [])


async def test_json_is_read_exactly() -> None:
    """Integers beyond 64 bits arrive with all digits."""
    async with served() as at:
        await at.http.post(PATH, content=json.dumps({"n": 2**70}).encode())
    assert at.core.last.body == {"n": 2**70}
