"""The services that every go-plugin plugin offers beside its own: controller, stdio and health.

What they set in motion is decided by `authkit.plugin.server`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

from authkit.errors import RPCError, StatusCode
from authkit.plugin.pb.stdio_pb2 import StdioData
from authkit.plugin.services.open_calls import OpenCalls
from authkit.plugin.streams import CapturedStream, StandardStreams
from authkit.rpc import CallContext, Method, StreamMethod, UnaryMethod

__all__ = ["Controller", "Health", "Stdio"]


class Controller:
    """Lets the host end the process. `stop` is called once the answer is on its way."""

    def __init__(self, stop: Callable[[], None]) -> None:
        self._stop = stop

    def methods(self) -> list[Method]:
        """Return the methods to serve."""
        return [UnaryMethod("/plugin.GRPCController/Shutdown", self._shutdown)]

    def _shutdown(self, request: bytes, call: CallContext) -> bytes:
        self._stop()
        return b""


class Stdio:
    """Forwards what the author's code prints. Vault and OpenBao discard it; other hosts may not.

    There is one listener at a time, the latest; what is printed while nobody listens, or faster than
    the host reads, is not kept: every line is in the log anyway.
    """

    MAX_WAITING = 256
    """Lines kept for a host that reads slowly."""

    def __init__(self, streams: StandardStreams, calls: OpenCalls) -> None:
        self._streams = streams
        self._calls = calls

    def methods(self) -> list[Method]:
        """Return the methods to serve."""
        return [StreamMethod("/plugin.GRPCStdio/StreamStdio", self._stream)]

    async def _stream(self, requests: AsyncIterator[bytes], call: CallContext) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        printed: asyncio.Queue[bytes] = asyncio.Queue(self.MAX_WAITING)

        def keep(message: bytes) -> None:
            if not printed.full():
                printed.put_nowait(message)

        def listener(stream: CapturedStream, data: bytes) -> None:
            channel = StdioData.STDOUT if stream is CapturedStream.STDOUT else StdioData.STDERR
            message = StdioData(channel=channel, data=data).SerializeToString()
            loop.call_soon_threadsafe(keep, message)

        self._streams.listen(listener)
        try:
            async for message in self._calls.while_open(_items(printed)):
                yield message
        finally:
            self._streams.listen(None)


async def _items(queue: asyncio.Queue[bytes]) -> AsyncIterator[bytes]:
    while True:
        yield await queue.get()


class Health:
    """The standard health service: what runs, serves (grpc/grpc, doc/health-checking.md)."""

    SERVICES = ("", "plugin")
    """The whole server, and the name that go-plugin asks for."""

    def __init__(self, calls: OpenCalls) -> None:
        self._calls = calls

    def methods(self) -> list[Method]:
        """Return the methods to serve."""
        return [
            UnaryMethod("/grpc.health.v1.Health/Check", self._check),
            StreamMethod("/grpc.health.v1.Health/Watch", self._watch),
        ]

    def _check(self, request: bytes, call: CallContext) -> bytes:
        if not self._knows(request):
            raise RPCError(StatusCode.NOT_FOUND, "unknown service")
        return self._status(serving=True)

    async def _watch(self, requests: AsyncIterator[bytes], call: CallContext) -> AsyncIterator[bytes]:
        async for request in self._calls.while_open(requests):
            yield self._status(serving=self._knows(request))
            break
        # The status does not change as long as the process lives.
        await self._calls.ended.wait()

    def _knows(self, request: bytes) -> bool:
        from authkit.plugin.pb.health_pb2 import HealthCheckRequest

        return HealthCheckRequest.FromString(request).service in self.SERVICES

    def _status(self, *, serving: bool) -> bytes:
        from authkit.plugin.pb.health_pb2 import HealthCheckResponse

        status = HealthCheckResponse.SERVING if serving else HealthCheckResponse.SERVICE_UNKNOWN
        return bytes(HealthCheckResponse(status=status).SerializeToString())
