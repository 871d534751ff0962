"""One call to the host, and what its failures mean."""

from __future__ import annotations

from datetime import timedelta
from typing import NoReturn, TypeVar

from google.protobuf.message import DecodeError, Message

from authkit.errors import (
    AuthKitError,
    PluginError,
    RPCError,
    StatusCode,
    SystemViewError,
    UnsupportedByHostError,
)
from authkit.rpc.interface import Channel

__all__ = ["CALL_FAILURES", "HOST_CALL_TIMEOUT", "call_host", "is_unimplemented", "raise_system_error"]

HOST_CALL_TIMEOUT = timedelta(seconds=30)
"""For one call. Storage may be slow behind a network, but a host gives a request up after 90 seconds."""

CALL_FAILURES = (RPCError, PluginError)
"""What `call_host` raises: a status other than OK, or no connection any more."""

_R = TypeVar("_R", bound=Message)


async def call_host(channel: Channel, method: str, request: Message, reply: type[_R]) -> _R:
    """Call a method of the host's and return its reply.

    Raises:
        RPCError: it failed, or the reply cannot be read.
        PluginError: the connection is gone.
    """
    data = await channel.call(method, request.SerializeToString(), timeout=HOST_CALL_TIMEOUT)
    try:
        return reply.FromString(data)
    except DecodeError as exc:
        raise RPCError(StatusCode.INTERNAL, "the host's reply cannot be read") from exc


def is_unimplemented(exc: BaseException | None) -> bool:
    """Whether a call failed because the host does not have the method."""
    return isinstance(exc, RPCError) and exc.code is StatusCode.UNIMPLEMENTED


def raise_system_error(method: str, exc: AuthKitError) -> NoReturn:
    """Raise the `SystemViewError` that a failed call means."""
    if is_unimplemented(exc):
        raise UnsupportedByHostError(f"this host has no {method}") from exc
    raise SystemViewError(f"{method} failed: {exc}") from exc
