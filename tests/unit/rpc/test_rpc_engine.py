"""The promises of the seam, checked on every engine over real TLS with a host's P-521 certificate."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from certificates import client_context, host_identity, server_context

from authkit.errors import RPCError, StatusCode
from authkit.plugin.security.certificates import TLSIdentity, generate_identity
from authkit.rpc import (
    DEFAULT_MAX_MESSAGE_BYTES,
    ENGINES,
    Address,
    CallContext,
    Channel,
    Engine,
    RevocableReply,
    Server,
    StreamMethod,
    UnaryMethod,
    load_engine,
)

SECOND = timedelta(seconds=1)
NO_GRACE = timedelta(0)


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest, short_directory: Path) -> Engine:
    """Each engine in turn."""
    return load_engine(request.param, short_directory)


class Service:
    """Methods that show what an engine does."""

    def __init__(self) -> None:
        self.calls: list[CallContext] = []
        self.cancelled = asyncio.Event()
        self.entered = asyncio.Event()
        self.release = asyncio.Event()

    def methods(self) -> list[UnaryMethod | StreamMethod]:
        handlers: dict[str, Callable[..., object]] = {
            "Echo": self.echo,
            "Async": self.echo_async,
            "Revocable": self.echo_revocably,
            "Refuse": self.refuse,
            "Break": self.break_down,
            "Exit": self.leave,
            "Hang": self.hang,
        }
        unary = [UnaryMethod(f"/t.T/{name}", handler) for name, handler in handlers.items()]  # type: ignore[arg-type]
        return [*unary, StreamMethod("/t.T/Chat", self.chat), StreamMethod("/t.T/Silent", self.silent)]

    def echo(self, request: bytes, call: CallContext) -> bytes:
        self.calls.append(call)
        return request

    async def echo_async(self, request: bytes, call: CallContext) -> bytes:
        await asyncio.sleep(0)
        return request

    async def echo_revocably(self, request: bytes, call: CallContext) -> bytes:
        reply = RevocableReply(request)
        reply.on_untaken = lambda: None
        return reply

    def refuse(self, request: bytes, call: CallContext) -> bytes:
        raise RPCError(StatusCode.FAILED_PRECONDITION, "nicht heute: 100 %")

    def break_down(self, request: bytes, call: CallContext) -> bytes:
        raise ValueError("a detail of the inside")

    async def leave(self, request: bytes, call: CallContext) -> bytes:
        raise SystemExit(3)

    async def hang(self, request: bytes, call: CallContext) -> bytes:
        self.calls.append(call)
        self.entered.set()
        try:
            await self.release.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return b"released"

    async def chat(self, requests: AsyncIterator[bytes], call: CallContext) -> AsyncIterator[bytes]:
        async for request in requests:
            yield request.upper()
            if request == b"stop":
                raise RPCError(StatusCode.ABORTED, "stopped")

    async def silent(self, requests: AsyncIterator[bytes], call: CallContext) -> AsyncIterator[bytes]:
        self.entered.set()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self.cancelled.set()
        yield b"never"


class Pair:
    """A server, a channel to it, and what is needed to make wrong ones."""

    def __init__(
        self, engine: Engine, directory: Path, methods: Sequence[UnaryMethod | StreamMethod], limit: int
    ) -> None:
        self.engine, self.directory = engine, directory
        self.host, self.plugin = host_identity(), generate_identity()
        self.service = Service()
        self.refusals: list[str] = []
        self.refused = asyncio.Event()
        self.address = Address("unix", str(directory / "s"))
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(self.address.target)
        listener.listen()
        listener.setblocking(False)
        self.server: Server = engine.server(
            methods or self.service.methods(),
            listener,
            tls=server_context(self.plugin, self.host, directory),
            on_refused=self.note,
            max_message_bytes=limit,
        )

    def note(self, reason: str) -> None:
        self.refusals.append(reason)
        self.refused.set()

    def channel(self, identity: TLSIdentity | None = None, trusted: TLSIdentity | None = None) -> Channel:
        context = client_context(identity or self.host, trusted or self.plugin, self.directory)
        return self.engine.channel(self.address, tls=context, server_name="localhost")


@asynccontextmanager
async def running(
    engine: Engine,
    directory: Path,
    methods: Sequence[UnaryMethod | StreamMethod] = (),
    *,
    limit: int = DEFAULT_MAX_MESSAGE_BYTES,
) -> AsyncIterator[tuple[Pair, Channel]]:
    """A started server and a channel to it, both closed afterwards."""
    pair = Pair(engine, directory, methods, limit)
    await pair.server.start()
    channel = pair.channel()
    try:
        yield pair, channel
    finally:
        await channel.close()
        await pair.server.drain(NO_GRACE)


async def test_unary_calls_carry_bytes_both_ways(engine: Engine, short_directory: Path) -> None:
    """Handlers that answer at once and handlers that wait give the same result, of any size."""
    async with running(engine, short_directory) as (_, channel):
        await channel.ready(SECOND * 5)
        for size in (0, 1, 100_000, 9_000_000):
            message = bytes(size)
            assert await channel.call("/t.T/Echo", message) == message
            assert await channel.call("/t.T/Async", message) == message
            assert await channel.call("/t.T/Revocable", message) == message


async def test_calls_run_side_by_side(engine: Engine, short_directory: Path) -> None:
    """A call that waits holds up no other."""
    async with running(engine, short_directory) as (pair, channel):
        waiting = asyncio.ensure_future(channel.call("/t.T/Hang", b""))
        await pair.service.entered.wait()
        replies = await asyncio.gather(*(channel.call("/t.T/Async", b"%d" % n) for n in range(200)))
        assert replies == [b"%d" % n for n in range(200)]
        pair.service.release.set()
        assert await waiting == b"released"


async def test_metadata_and_deadline_reach_the_handler(engine: Engine, short_directory: Path) -> None:
    """A handler sees text metadata by key, and the caller's deadline in the loop's time."""
    async with running(engine, short_directory) as (pair, channel):
        loop = asyncio.get_running_loop()
        metadata = [("multiplex_id", "abc"), ("twice", "1"), ("twice", "2")]
        await channel.call("/t.T/Echo", b"", timeout=SECOND * 30, metadata=metadata)
        await channel.call("/t.T/Echo", b"")
        with_deadline, without = pair.service.calls
        assert with_deadline.path == "/t.T/Echo"
        assert with_deadline.one("multiplex_id") == "abc"
        assert with_deadline.one("twice") is None
        assert with_deadline.metadata["twice"] == ["1", "2"]
        assert with_deadline.deadline is not None
        assert 0 < with_deadline.deadline - loop.time() <= 30
        assert without.deadline is None


@pytest.mark.parametrize(
    ("method", "code", "text"),
    [
        ("Refuse", StatusCode.FAILED_PRECONDITION, "nicht heute: 100 %"),
        ("Break", StatusCode.INTERNAL, "internal error"),
        ("Exit", StatusCode.INTERNAL, "internal error"),
        ("Unknown", StatusCode.UNIMPLEMENTED, None),
    ],
)
async def test_failures_become_statuses(
    engine: Engine,
    short_directory: Path,
    method: str,
    code: StatusCode,
    text: str | None,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A chosen status arrives whole; anything else is neutral outside, logged inside, and ends nothing."""
    async with running(engine, short_directory) as (_, channel):
        with caplog.at_level(logging.ERROR), pytest.raises(RPCError) as caught:
            await channel.call(f"/t.T/{method}", b"")
        assert caught.value.code is code
        assert text is None or caught.value.message == text
        assert await channel.call("/t.T/Echo", b"alive") == b"alive"
        assert ("detail of the inside" in caplog.text) == (method == "Break")


async def test_a_deadline_ends_the_call_on_both_sides(engine: Engine, short_directory: Path) -> None:
    """The caller gets DEADLINE_EXCEEDED and the handler is cancelled."""
    async with running(engine, short_directory) as (pair, channel):
        await channel.ready(SECOND * 5)
        with pytest.raises(RPCError) as caught:
            await channel.call("/t.T/Hang", b"", timeout=timedelta(milliseconds=50))
        assert caught.value.code is StatusCode.DEADLINE_EXCEEDED
        await asyncio.wait_for(pair.service.cancelled.wait(), 5)


async def test_a_cancelled_call_cancels_its_handler(engine: Engine, short_directory: Path) -> None:
    """Whoever stops waiting stops the work."""
    async with running(engine, short_directory) as (pair, channel):
        waiting = asyncio.ensure_future(channel.call("/t.T/Hang", b""))
        await pair.service.entered.wait()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await asyncio.wait_for(pair.service.cancelled.wait(), 5)


async def test_streams_carry_messages_both_ways(engine: Engine, short_directory: Path) -> None:
    """Messages are answered while the stream is open; a status at its end arrives."""
    async with running(engine, short_directory) as (_, channel):
        outgoing: asyncio.Queue[bytes] = asyncio.Queue()

        async def requests() -> AsyncIterator[bytes]:
            while True:
                yield await outgoing.get()

        replies = channel.stream("/t.T/Chat", requests())
        outgoing.put_nowait(b"a")
        assert await anext(replies) == b"A"
        outgoing.put_nowait(b"stop")
        assert await anext(replies) == b"STOP"
        with pytest.raises(RPCError) as caught:
            await anext(replies)
        assert caught.value.code is StatusCode.ABORTED


async def test_a_closed_channel_ends_its_streams_at_the_server(engine: Engine, short_directory: Path) -> None:
    """The server side of a stream ends with its client: the only sign that a host has gone."""
    async with running(engine, short_directory) as (pair, channel):

        async def nothing() -> AsyncIterator[bytes]:
            await asyncio.get_running_loop().create_future()
            yield b""

        replies = channel.stream("/t.T/Silent", nothing())
        reading = asyncio.ensure_future(anext(replies))
        await pair.service.entered.wait()
        await channel.close()
        await asyncio.wait_for(pair.service.cancelled.wait(), 5)
        with pytest.raises((RPCError, asyncio.CancelledError, StopAsyncIteration)):
            await reading


async def test_drain_lets_calls_in_flight_end(engine: Engine, short_directory: Path) -> None:
    """During the grace a call that has begun gets its answer; afterwards nobody is served."""
    async with running(engine, short_directory) as (pair, channel):
        waiting = asyncio.ensure_future(channel.call("/t.T/Hang", b""))
        await pair.service.entered.wait()
        draining = asyncio.ensure_future(pair.server.drain(SECOND * 10))
        await asyncio.sleep(0)
        pair.service.release.set()
        assert await waiting == b"released"
        await draining
        with pytest.raises(RPCError) as caught:
            await channel.call("/t.T/Echo", b"", timeout=SECOND * 5)
        assert caught.value.code in (StatusCode.UNAVAILABLE, StatusCode.CANCELLED)


async def test_drain_without_grace_cancels(engine: Engine, short_directory: Path) -> None:
    """A call that does not end in time is cancelled, and the server ends all the same."""
    async with running(engine, short_directory) as (pair, channel):
        waiting = asyncio.ensure_future(channel.call("/t.T/Hang", b""))
        await pair.service.entered.wait()
        await pair.server.drain(timedelta(milliseconds=10))
        with pytest.raises(RPCError):
            await waiting
        assert pair.service.cancelled.is_set()


async def test_a_client_with_a_certificate_of_its_own_is_refused(
    engine: Engine, short_directory: Path
) -> None:
    """Only the announced certificate opens the door; the reason is told, and the server serves on."""
    async with running(engine, short_directory) as (pair, channel):
        stranger = pair.channel(identity=host_identity())
        with pytest.raises(RPCError) as caught:
            await stranger.call("/t.T/Echo", b"", timeout=SECOND * 5)
        assert caught.value.code is StatusCode.UNAVAILABLE
        await stranger.close()
        assert "certificate" in pair.refusals[0]
        assert pair.service.calls == []
        assert await channel.call("/t.T/Echo", b"alive") == b"alive"


async def test_a_client_without_certificate_is_refused(engine: Engine, short_directory: Path) -> None:
    """No certificate, no connection."""
    async with running(engine, short_directory) as (pair, channel):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=pair.plugin.certificate)
        context.set_alpn_protocols(["h2"])
        reader, writer = await asyncio.open_unix_connection(
            pair.address.target, ssl=context, server_hostname="localhost"
        )
        with contextlib.suppress(OSError):  # the refusal may arrive as an alert
            assert await reader.read() == b""
        writer.transport.abort()
        await asyncio.wait_for(pair.refused.wait(), 5)
        assert "PEER_DID_NOT_RETURN_A_CERTIFICATE" in pair.refusals[0]
        assert await channel.call("/t.T/Echo", b"alive") == b"alive"


async def test_plaintext_and_missing_alpn_are_refused(engine: Engine, short_directory: Path) -> None:
    """Neither plaintext nor TLS without HTTP/2 gets through."""
    async with running(engine, short_directory) as (pair, channel):
        reader, writer = await asyncio.open_unix_connection(pair.address.target)
        writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(64))
        await reader.read()
        writer.close()
        context = client_context(pair.host, pair.plugin, short_directory)
        context.set_alpn_protocols(["http/1.1"])
        with pytest.raises(OSError):  # noqa: PT012 - either step may see it
            reader, writer = await asyncio.open_unix_connection(
                pair.address.target, ssl=context, server_hostname="localhost"
            )
            if not await reader.read():
                writer.transport.abort()
                raise ConnectionResetError
        assert len(pair.refusals) >= 1
        assert await channel.call("/t.T/Echo", b"alive") == b"alive"


async def test_a_server_with_another_certificate_is_refused(engine: Engine, short_directory: Path) -> None:
    """A channel trusts the announced certificate alone, and says that this is what failed."""
    async with running(engine, short_directory) as (pair, _):
        deceived = pair.channel(trusted=host_identity())
        with pytest.raises(RPCError, match="certificate is not the announced one") as caught:
            await deceived.ready(SECOND * 5)
        assert caught.value.code is StatusCode.UNAVAILABLE
        await deceived.close()


async def test_nobody_listening_is_unavailable(engine: Engine, short_directory: Path) -> None:
    """A missing socket is told as such, at once."""
    context = client_context(host_identity(), generate_identity(), short_directory)
    channel = engine.channel(
        Address("unix", str(short_directory / "nobody")), tls=context, server_name="localhost"
    )
    with pytest.raises(RPCError, match="No such file") as caught:
        await channel.ready(SECOND * 5)
    assert caught.value.code is StatusCode.UNAVAILABLE
    await channel.close()
    with pytest.raises(RPCError, match="closed"):
        await channel.call("/t.T/Echo", b"")


def test_an_unknown_engine_is_named(short_directory: Path) -> None:
    """A misspelt engine is an error that lists the right ones."""
    with pytest.raises(ValueError, match="grpcio"):
        load_engine("grpicio", short_directory)


async def test_a_stream_handler_that_fails_at_once_is_answered(engine: Engine, short_directory: Path) -> None:
    """Also when it raises before it has become an iterator."""

    def refuse(requests: AsyncIterator[bytes], call: CallContext) -> AsyncIterator[bytes]:
        raise RPCError(StatusCode.PERMISSION_DENIED, "not you")

    methods = [StreamMethod("/t.T/Refuse", refuse)]
    async with running(engine, short_directory, methods) as (_, channel), asyncio.timeout(5):
        with pytest.raises(RPCError, match="not you") as caught:
            await anext(channel.stream("/t.T/Refuse", nothing()))
        assert caught.value.code is StatusCode.PERMISSION_DENIED


async def nothing() -> AsyncIterator[bytes]:
    """No request."""
    return
    yield b""


async def test_an_answer_over_the_limit_is_refused_in_words(engine: Engine, short_directory: Path) -> None:
    """Of a unary call and of a stream; the caller reads both numbers."""

    async def each(requests: AsyncIterator[bytes], call: CallContext) -> AsyncIterator[bytes]:
        yield bytes(1001)

    methods = [UnaryMethod("/t.T/Long", lambda request, call: bytes(1001)), StreamMethod("/t.T/Each", each)]
    async with running(engine, short_directory, methods, limit=1000) as (_, channel):
        with pytest.raises(RPCError) as unary:
            await channel.call("/t.T/Long", b"")
        with pytest.raises(RPCError) as stream:
            await anext(aiter(channel.stream("/t.T/Each", nothing())))
        for caught in (unary, stream):
            assert caught.value.code is StatusCode.RESOURCE_EXHAUSTED
            assert "1001" in caught.value.message
            assert "1000" in caught.value.message


@pytest.mark.parametrize(
    "entry", [("schlüssel", "v"), ("Key", "v"), ("", "v"), ("k", "wért"), ("k", "line\nbreak"), ("k", "\0")]
)
async def test_metadata_that_cannot_be_sent_is_refused(
    engine: Engine, short_directory: Path, entry: tuple[str, str]
) -> None:
    """Before anything is sent, by either kind of call, and the channel goes on."""
    async with running(engine, short_directory) as (_, channel):
        with pytest.raises(RPCError) as caught:
            await channel.call("/t.T/Echo", b"", metadata=[entry])
        assert caught.value.code is StatusCode.INTERNAL
        with pytest.raises(RPCError):
            await anext(aiter(channel.stream("/t.T/Chat", nothing(), metadata=[entry])))
        assert await channel.call("/t.T/Echo", b"on", metadata=[("k", "plain")]) == b"on"


async def test_a_client_that_never_takes_leave_delays_no_drain(engine: Engine, short_directory: Path) -> None:
    """One that ignores the end of TLS (close_notify): nothing is in flight, so nothing is waited for."""
    async with running(engine, short_directory) as (two, _):
        context = client_context(two.host, two.plugin, short_directory)
        with socket.socket(socket.AF_UNIX) as raw:
            raw.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(raw, two.address.target)
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            client = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
            await shake_hands(raw, client, incoming, outgoing)
            started = loop.time()
            async with asyncio.timeout(20):
                await two.server.drain(timedelta(seconds=15))
            assert loop.time() - started < 10


async def shake_hands(
    raw: socket.socket, client: ssl.SSLObject, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO
) -> None:
    """Do the handshake by hand, so that nobody answers what comes after it."""
    loop = asyncio.get_running_loop()
    while True:
        try:
            client.do_handshake()
        except ssl.SSLWantReadError:
            await loop.sock_sendall(raw, outgoing.read())
            incoming.write(await loop.sock_recv(raw, 65536))
        else:
            await loop.sock_sendall(raw, outgoing.read())
            return
