"""Stand-ins for both ends of the wire: a channel to a host, and a backend."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from google.protobuf.message import Message

from authkit.errors import RPCError, StatusCode
from authkit.logical import Request, Response, SpecialPaths
from authkit.rpc import CallContext
from authkit.wire.multiplexing import MULTIPLEX_ID


class FakeChannel:
    """A host's connection: answers each method with a prepared reply or error, and keeps the calls."""

    def __init__(self, **replies: Message | Exception | bytes) -> None:
        self.replies = replies
        self.calls: list[tuple[str, bytes]] = []
        self.timeouts: list[timedelta | None] = []
        self.closed = 0

    async def ready(self, timeout: timedelta) -> None:
        """Be connected at once."""

    async def call(
        self,
        path: str,
        request: bytes,
        *,
        timeout: timedelta | None = None,
        metadata: Sequence[tuple[str, str]] = (),
    ) -> bytes:
        """Return the prepared reply of the method, or raise the prepared error."""
        self.calls.append((path, request))
        self.timeouts.append(timeout)
        reply = self.replies.get(
            path.rpartition("/")[2], RPCError(StatusCode.UNIMPLEMENTED, "no such method")
        )
        if isinstance(reply, Exception):
            raise reply
        return reply if isinstance(reply, bytes) else reply.SerializeToString()

    async def close(self) -> None:
        """Count."""
        self.closed += 1


class FakeBackend:
    """A backend that answers with what it was given: a value, or an exception to raise."""

    def __init__(
        self, reply: Any = None, *, exists: Any = None, paths: Any = None, cleanup: Any = None
    ) -> None:
        self.reply, self.exists, self.cleanup_result = reply, exists, cleanup
        self.paths = SpecialPaths() if paths is None else paths
        self.initialize_result: BaseException | None = None
        self.requests: list[Request] = []
        self.invalidated: list[str] = []
        self.cleaned = 0

    def special_paths(self) -> SpecialPaths:
        """Return the paths."""
        return _give(self.paths)

    async def initialize(self) -> None:
        """Succeed, or fail as told."""
        _give(self.initialize_result)

    async def handle_request(self, request: Request) -> Response | None:
        """Answer."""
        self.requests.append(request)
        reply = self.reply(request) if isinstance(self.reply, Callable) else self.reply
        return _give(reply)

    async def handle_existence_check(self, request: Request) -> bool | None:
        """Answer."""
        self.requests.append(request)
        return _give(self.exists)

    async def invalidate_key(self, key: str) -> None:
        """Remember the key; fail for the key `bad`."""
        self.invalidated.append(key)
        if key == "bad":
            raise ValueError(key)

    async def cleanup(self) -> None:
        """Count, then do as told."""
        self.cleaned += 1
        if isinstance(self.cleanup_result, BaseException):
            raise self.cleanup_result
        if self.cleanup_result is not None:
            await self.cleanup_result()


def _give(value: Any) -> Any:
    if isinstance(value, BaseException):
        raise value
    return value


def call_of(mount: str | None = "m1", *more: str) -> CallContext:
    """Return the metadata of a call for a mount."""
    values = () if mount is None else (mount, *more)
    return CallContext(path="/test", metadata={MULTIPLEX_ID: values} if values else {})
