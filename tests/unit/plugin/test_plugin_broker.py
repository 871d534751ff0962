"""Announcements of the host and the connections made of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta

import pytest

from authkit.errors import BrokerError, RPCError, StatusCode
from authkit.plugin.pb.broker_pb2 import ConnInfo
from authkit.plugin.services import broker as module
from authkit.plugin.services.broker import MAX_PENDING, Announcements, Broker
from authkit.plugin.services.open_calls import OpenCalls
from authkit.rpc import Address, CallContext

HERE = Address("unix", "/h")


class FakeChannel:
    """A channel that connects, or does not."""

    def __init__(self, address: Address, failure: RPCError | None = None) -> None:
        self.address, self.failure, self.closed = address, failure, False

    async def ready(self, timeout: timedelta) -> None:
        if self.failure:
            raise self.failure

    async def close(self) -> None:
        self.closed = True


class Host:
    """The host's end of the stream, and a broker on the other."""

    def __init__(self, failure: RPCError | None = None) -> None:
        self.channels: list[FakeChannel] = []
        self.failure = failure
        self.broker = Broker(self.connect, OpenCalls())  # type: ignore[arg-type]
        self.outgoing: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.replies: list[ConnInfo] = []
        self.task: asyncio.Task[None] | None = None

    def connect(self, address: Address) -> FakeChannel:
        self.channels.append(FakeChannel(address, self.failure))
        return self.channels[-1]

    def announce(self, service_id: int, address: str = "/h", network: str = "unix") -> None:
        self.send(ConnInfo(service_id=service_id, network=network, address=address))

    def send(self, info: ConnInfo) -> None:
        self.outgoing.put_nowait(info.SerializeToString())

    async def requests(self) -> AsyncIterator[bytes]:
        while (message := await self.outgoing.get()) is not None:
            yield message

    async def talk(self) -> None:
        (method,) = self.broker.methods()
        assert method.path == "/plugin.GRPCBroker/StartStream"
        async for reply in method.handler(self.requests(), CallContext(method.path)):
            self.replies.append(ConnInfo.FromString(reply))

    async def __aenter__(self) -> Host:
        self.task = asyncio.ensure_future(self.talk())
        await self.broker.host_came.wait()
        return self

    async def __aexit__(self, *error: Sequence[object]) -> None:
        self.outgoing.put_nowait(None)
        assert self.task is not None
        await self.task


def test_an_announcement_is_taken_once() -> None:
    """Whoever asks gets it; the next one does not."""
    kept = Announcements()
    kept.keep(1, HERE, now=0)
    assert kept.take(1, now=1) == HERE
    assert kept.take(1, now=1) is None


def test_an_announcement_expires() -> None:
    """Nobody asked for five seconds: it is forgotten."""
    kept = Announcements()
    kept.keep(1, HERE, now=0)
    assert kept.take(1, now=5.1) is None


def test_the_number_of_announcements_is_bounded() -> None:
    """The oldest go first."""
    kept = Announcements()
    for number in range(MAX_PENDING + 10):
        kept.keep(number, HERE, now=0)
    assert kept.take(9, now=0) is None
    assert kept.take(10, now=0) == HERE


@pytest.mark.parametrize("announced_first", [True, False])
async def test_either_order_of_announcement_and_dial_works(announced_first: bool) -> None:
    """The host announces and calls at the same time; whichever comes first waits for the other."""
    async with Host() as host:
        if announced_first:
            host.announce(7)
            dialled = await host.broker.dial(7)
        else:
            dialling = asyncio.ensure_future(host.broker.dial(7))
            await asyncio.sleep(0)
            host.announce(7)
            dialled = await dialling
        assert dialled is host.channels[0]
        assert host.channels[0].address == HERE


async def test_no_announcement_is_an_error_after_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """The wait is bounded and the error names the number."""
    monkeypatch.setattr(module, "WAIT", timedelta(milliseconds=10))
    async with Host() as host:
        with pytest.raises(BrokerError, match="did not announce connection 3"):
            await host.broker.dial(3)


async def test_a_failed_connection_is_closed_and_explained() -> None:
    """A host with another certificate ends the dial with the reason, and nothing stays open."""
    failure = RPCError(StatusCode.UNAVAILABLE, "the peer's certificate is not the announced one")
    async with Host(failure) as host:
        host.announce(1)
        with pytest.raises(BrokerError, match="not the announced one"):
            await host.broker.dial(1)
        assert host.channels[0].closed


async def test_a_dial_that_is_cancelled_closes_its_channel() -> None:
    """Nobody else knows of it."""
    async with Host(asyncio.CancelledError()) as host:  # type: ignore[arg-type]
        host.announce(7)
        with pytest.raises(asyncio.CancelledError):
            await host.broker.dial(7)
        assert [channel.closed for channel in host.channels] == [True]


async def test_one_announcement_is_waited_for_once() -> None:
    """The first who waits gets the connection; the second is told at once."""
    async with Host() as host:
        first = asyncio.ensure_future(host.broker.dial(7))
        await asyncio.sleep(0)
        with pytest.raises(BrokerError, match="connection 7 is already being waited for"):
            await host.broker.dial(7)
        host.announce(7)
        assert await first is host.channels[0]  # type: ignore[comparison-overlap]


async def test_an_address_that_cannot_be_dialled_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unknown networks and empty addresses count as not announced."""
    monkeypatch.setattr(module, "WAIT", timedelta(milliseconds=10))
    async with Host() as host:
        host.announce(1, network="udp")
        host.announce(2, address="")
        for number in (1, 2):
            with pytest.raises(BrokerError, match="did not announce"):
                await host.broker.dial(number)
        assert host.channels == []


async def test_a_knock_is_refused_cleanly() -> None:
    """A host that tries brokered multiplexing is told that there is none."""
    async with Host() as host:
        host.send(ConnInfo(service_id=4, knock=ConnInfo.Knock(knock=True)))
    (reply,) = host.replies
    assert reply.service_id == 4
    assert reply.knock.knock
    assert not reply.knock.ack
    assert "not supported" in reply.knock.error


async def test_the_end_of_the_stream_tells_that_the_host_left() -> None:
    """It is the only sign on the wire that a host has gone."""
    async with Host() as host:
        assert not host.broker.host_left.is_set()
    assert host.broker.host_left.is_set()


async def test_open_calls_end_on_demand() -> None:
    """A stop does not wait for the stream that lasts as long as the process."""
    host = Host()
    calls = OpenCalls()
    host.broker = Broker(host.connect, calls)  # type: ignore[arg-type]
    task = asyncio.ensure_future(host.talk())
    await host.broker.host_came.wait()
    calls.ended.set()
    await task
    assert host.broker.host_left.is_set()


async def test_a_process_with_few_descriptors_connects_no_further_mount(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is left is for the mounts that are there."""
    monkeypatch.setattr(module, "find_shortage", lambda: "too few descriptors")
    async with Host() as host:
        host.announce(7)
        with pytest.raises(BrokerError, match="too few descriptors"):
            await host.broker.dial(7)
        assert host.channels == []
