"""The broker: how a plugin gets connections back to its host.

The host announces one address per mount on a long-lived stream (`plugin.GRPCBroker/StartStream`,
go-plugin 1.8, grpc_broker.go), and at the same time asks the mount to set itself up: either may
arrive first. The state (`Announcements`) does no I/O; `Broker` drives it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from datetime import timedelta

from authkit.errors import BrokerError, RPCError
from authkit.plugin.descriptors import find_shortage
from authkit.plugin.pb.broker_pb2 import ConnInfo
from authkit.plugin.services.open_calls import OpenCalls
from authkit.rpc import Address, CallContext, Channel, StreamMethod

__all__ = ["Announcements", "Broker"]

log = logging.getLogger(__name__)

WAIT = timedelta(seconds=5)
"""How long an announcement is waited for, and kept for somebody to ask (go-plugin: the same)."""

MAX_PENDING = 1024
"""Announcements kept at a time. A host makes one per mount, and somebody asks for it at once."""


class Announcements:
    """What the host has announced and nobody has asked for yet. No I/O, no clock."""

    def __init__(self) -> None:
        self._kept: dict[int, tuple[float, Address]] = {}

    def keep(self, service_id: int, address: Address, now: float) -> None:
        """Remember an announcement; the newest of an id counts."""
        self._expire(now)
        if len(self._kept) >= MAX_PENDING:
            self._kept.pop(next(iter(self._kept)))
        self._kept[service_id] = (now, address)

    def take(self, service_id: int, now: float) -> Address | None:
        """Return and forget the announcement of this id, `None` when there is none."""
        self._expire(now)
        _, address = self._kept.pop(service_id, (0.0, None))
        return address

    def _expire(self, now: float) -> None:
        limit = now - WAIT.total_seconds()
        for service_id in [key for key, (since, _) in self._kept.items() if since < limit]:
            del self._kept[service_id]


def address_of(info: ConnInfo) -> Address:
    """Return the announced address.

    Raises:
        BrokerError: it is not one that can be dialled.
    """
    if info.network not in ("unix", "tcp") or not info.address:
        raise BrokerError(f"the host announced an address that cannot be dialled ({info.network!r})")
    return Address(info.network, info.address)


class Broker:
    """Receives announcements and dials them.

    `connect` makes a channel to an address; the broker knows nothing of TLS.
    """

    def __init__(self, connect: Callable[[Address], Channel], calls: OpenCalls) -> None:
        self._connect = connect
        self._calls = calls
        self._announcements = Announcements()
        self._waiting: dict[int, asyncio.Future[Address]] = {}
        self._streams = 0
        self.host_came = asyncio.Event()
        """Set when the host has opened its stream."""
        self.host_left = asyncio.Event()
        """Set when the host's stream has ended: no mount can be set up any more."""

    def methods(self) -> list[StreamMethod]:
        """Return the methods to serve."""
        return [StreamMethod("/plugin.GRPCBroker/StartStream", self._start_stream)]

    async def dial(self, service_id: int) -> Channel:
        """Return a connected channel to the service that the host announces under this id.

        Raises:
            BrokerError: no announcement came in time, the connection failed, or the process has too few
                descriptors for another one.
        """
        address = await self._announced(service_id)
        shortage = find_shortage()
        if shortage:
            raise BrokerError(shortage)
        channel = self._connect(address)
        try:
            await channel.ready(WAIT)
        except RPCError as error:
            await channel.close()
            raise BrokerError(f"cannot connect back to the host: {error.message}") from error
        except BaseException:
            await channel.close()
            raise
        return channel

    async def _announced(self, service_id: int) -> Address:
        loop = asyncio.get_running_loop()
        early = self._announcements.take(service_id, loop.time())
        if early is not None:
            return early
        if service_id in self._waiting:
            raise BrokerError(f"connection {service_id} is already being waited for")
        waiting: asyncio.Future[Address] = loop.create_future()
        self._waiting[service_id] = waiting
        try:
            async with asyncio.timeout(WAIT.total_seconds()):
                return await waiting
        except TimeoutError as error:
            raise BrokerError(f"the host did not announce connection {service_id}") from error
        finally:
            del self._waiting[service_id]

    async def _start_stream(self, requests: AsyncIterator[bytes], call: CallContext) -> AsyncIterator[bytes]:
        self._streams += 1
        self.host_came.set()
        self.host_left.clear()
        try:
            async for message in self._calls.while_open(requests):
                info = ConnInfo.FromString(message)
                if info.HasField("knock"):
                    yield self._refuse_knock(info)
                else:
                    self._announce(info)
        finally:
            self._streams -= 1
            if self._streams == 0:
                self.host_left.set()

    def _announce(self, info: ConnInfo) -> None:
        try:
            address = address_of(info)
        except BrokerError as error:
            log.error("%s", error)
            return
        waiting = self._waiting.get(info.service_id)
        if waiting is not None and not waiting.done():
            waiting.set_result(address)
        else:
            self._announcements.keep(info.service_id, address, asyncio.get_running_loop().time())

    def _refuse_knock(self, info: ConnInfo) -> bytes:
        # Brokered multiplexing was declined in the handshake line, so no host should knock.
        knock = ConnInfo.Knock(knock=True, ack=False, error="brokered multiplexing is not supported")
        return ConnInfo(service_id=info.service_id, knock=knock).SerializeToString()
