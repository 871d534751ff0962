"""`GET /metrics`, and nothing else, whatever is sent."""

from __future__ import annotations

import asyncio
import contextlib
import encodings
import socket
from collections.abc import AsyncIterator
from random import Random

import pytest

from authkit.metrics import http
from authkit.metrics.http import MAX_CONNECTIONS, MAX_REQUEST_BYTES, Body, serve_http

GET = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Scraper:
    """A server on a port of its own, and what it was asked."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.accepted: list[str] = []
        self.fails = False

    def render(self, accept: str) -> Body | None:
        self.accepted.append(accept)
        return None if self.fails else Body(b"metrics", "text/plain; version=0.0.4")

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection on which nothing was said."""
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def send(self, request: bytes) -> bytes:
        """The whole answer to a request, after which there is nothing more to come."""
        reader, writer = await self.connect()
        writer.write(request)
        writer.write_eof()
        try:
            async with asyncio.timeout(10):
                return await reader.read()
        finally:
            writer.close()


@pytest.fixture
async def scraper() -> AsyncIterator[Scraper]:
    """A running server."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    scraper = Scraper(listener.getsockname()[1])
    is_for = "localhost".__eq__
    serving = asyncio.create_task(serve_http(listener, scraper.render, is_for))
    yield scraper
    serving.cancel()
    await asyncio.wait([serving])
    assert serving.cancelled()
    listener.close()


def status_of(answer: bytes) -> int:
    """The status of an answer, whose length is right."""
    head, _, body = answer.partition(b"\r\n\r\n")
    length = next(line for line in head.split(b"\r\n") if line.startswith(b"Content-Length: "))
    assert int(length.removeprefix(b"Content-Length: ")) == len(body)
    assert b"Connection: close" in head
    return int(head.split(b" ")[1])


async def test_the_metrics_are_sent(scraper: Scraper) -> None:
    """With the form that was asked for, and a query is taken for nothing."""
    answer = await scraper.send(GET.replace(b"\r\n\r\n", b"\r\nAccept: a/b\r\naccept: c/d\r\n\r\n"))
    assert status_of(answer) == 200
    assert answer.endswith(b"\r\n\r\nmetrics")
    assert scraper.accepted == ["a/b,c/d"]
    assert status_of(await scraper.send(GET.replace(b"/metrics", b"/metrics?name[]=x"))) == 200


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (GET.replace(b"GET", b"POST"), 405),
        (GET.replace(b"GET", b"HEAD"), 405),
        (GET.replace(b"GET", b"get"), 405),
        (GET.replace(b"/metrics", b"/"), 404),
        (GET.replace(b"/metrics", b"/metrics/"), 404),
        (GET.replace(b"/metrics", b"/../metrics"), 404),
        (GET.replace(b"/metrics", b"http://localhost/metrics"), 404),
        (GET.replace(b"HTTP/1.1", b"HTTP/2.0"), 400),
        (GET.replace(b" HTTP/1.1", b""), 400),
        (GET.replace(b"localhost", b"attacker.example"), 403),
        (GET.replace(b"Host: localhost\r\n", b""), 403),
        (GET.replace(b"localhost", b"localhost\r\n attacker.example"), 400),
        (GET.replace(b"Host: ", b"Host: attacker.example\r\nHost: "), 400),
        (GET.replace(b"Host: ", b"Host : "), 400),
        (GET.replace(b"Host: ", b"no field\r\nHost: "), 400),
        (b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n", 400),
        (b"\r\n\r\n", 400),
        (b"\0\xff\xfe\r\n\r\n", 400),
        (b"GET /metrics HTTP/1.1\r\n" + b"A: b\r\n" * 1400 + b"\r\n", 431),
    ],
)
async def test_everything_else_is_refused(scraper: Scraper, request_: bytes, status: int) -> None:
    """Each with its status, and without metrics."""
    answer = await scraper.send(request_)
    assert status_of(answer) == status
    assert scraper.accepted == []


async def test_a_long_request_is_not_read_to_its_end(scraper: Scraper) -> None:
    """It gets its answer at the limit, and the next one is served."""
    reader, writer = await scraper.connect()
    writer.write(b"GET /metrics HTTP/1.1\r\nA: " + b"x" * (MAX_REQUEST_BYTES - 10))
    await writer.drain()
    async with asyncio.timeout(10):
        assert status_of(await reader.read()) == 431
    writer.close()
    assert status_of(await scraper.send(GET)) == 200


@pytest.mark.parametrize("boundary", [b"undefined''x", b"a\0b''x", b"idna''x", b"1" * 5000 + b"=x", b"zz''x"])
async def test_fields_that_mean_nothing_here_are_not_read(scraper: Scraper, boundary: bytes) -> None:
    """A parser of mail would look the encoding up, keep its name for ever, or end the service by an error."""
    field = b"\r\nContent-Type: multipart/mixed; boundary*=" + boundary
    before = len(encodings._cache)  # type: ignore[attr-defined]
    assert status_of(await scraper.send(GET.replace(b"localhost", b"localhost" + field))) == 200
    assert len(encodings._cache) == before  # type: ignore[attr-defined]
    assert status_of(await scraper.send(GET)) == 200


async def test_a_text_that_fails_is_an_answer(scraper: Scraper) -> None:
    """The next request is served."""
    scraper.fails = True
    assert status_of(await scraper.send(GET)) == 500
    scraper.fails = False
    assert status_of(await scraper.send(GET)) == 200


async def test_who_asks_nothing_gets_nothing(scraper: Scraper) -> None:
    """The connection is closed."""
    assert await scraper.send(b"") == b""


async def test_time_is_bounded_as_a_whole(scraper: Scraper, monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte now and then does not help."""
    monkeypatch.setattr(http, "REQUEST_SECONDS", 0.2)
    reader, writer = await scraper.connect()

    async def drip() -> None:
        while True:
            writer.write(b"G")
            await asyncio.sleep(0.01)

    dripping = asyncio.create_task(drip())
    async with asyncio.timeout(10):
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""
    dripping.cancel()
    writer.close()
    assert status_of(await scraper.send(GET)) == 200


async def test_a_request_in_many_pieces_is_read_at_a_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each byte on its own would have the interpreter work all the time, logins waiting for it."""
    monkeypatch.setattr(http, "PACE_SECONDS", 0.05)
    loop, reads = asyncio.get_running_loop(), 0
    ours, theirs = socket.socketpair()
    recv = loop.sock_recv

    async def counted(connection: socket.socket, size: int) -> bytes:
        nonlocal reads
        reads += 1
        return await recv(connection, size)

    monkeypatch.setattr(loop, "sock_recv", counted)
    with ours, theirs:
        ours.setblocking(False)
        reading = asyncio.create_task(http._read_head(ours))
        for byte in GET:
            theirs.send(bytes([byte]))
            for _ in range(5):  # turns of the loop until a byte could be read
                await asyncio.sleep(0)
        assert await reading == GET
    assert reads < len(GET)


async def test_silent_connections_keep_nobody_out(scraper: Scraper) -> None:
    """The oldest is closed for a new one."""
    silent = [await scraper.connect() for _ in range(MAX_CONNECTIONS + 5)]
    assert status_of(await scraper.send(GET)) == 200
    async with asyncio.timeout(10):
        assert await silent[0][0].read() == b""
    for _, writer in silent:
        writer.close()


def test_any_bytes_get_one_answer() -> None:
    """Metrics go out for a whole request of a loopback name alone, whatever else is sent."""
    chooser = Random(20)
    parts = [b"GET", b" ", b"/metrics", b"HTTP/1.1", b"\r\n", b"\n", b"\r", b":", b"Host: localhost", b"\0"]
    parts += [
        b"Accept: ",
        b"\xff\xfe",
        b"x" * 300,
        b"Host: attacker.example",
        b"\t",
        b"Transfer-Encoding: chunked",
    ]
    for _ in range(5_000):
        more = chooser.choices(parts, k=chooser.randrange(12))
        head = b"".join([chooser.choice([b"", GET, GET[:-2]]), *more])
        place = chooser.randrange(len(head) + 1)
        head = head[:place] + chooser.choice(parts) + head[place:]
        answer = http._answer(head, lambda accept: Body(b"metrics", "text/plain"), "localhost".__eq__)
        assert status_of(answer) in (200, 400, 403, 404, 405, 431)
        if status_of(answer) == 200:
            assert head.startswith(b"GET /metrics HTTP/1.1\r\n")
            assert b"localhost" in head
