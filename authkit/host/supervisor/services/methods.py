"""One method that a host serves: its message read, its failure worded as by a server in Go.

The methods themselves: `authkit.host.supervisor.services.mount` and `.system`.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar

from google.protobuf.message import DecodeError, Message

from authkit.errors import RPCError, StatusCode, SystemViewError, UnsupportedByHostError
from authkit.rpc.cancellation import is_cancellation
from authkit.rpc.interface import CallContext, Method, UnaryMethod

__all__ = ["ErrorReply", "Handler", "as_status", "as_text", "method", "required"]

logger = logging.getLogger("authkit.host")

_NEUTRAL = "internal error"
"""What a plugin reads of a fault of ours. The cause is in the log."""

_A = TypeVar("_A", bound=Message)

Handler = Callable[[Any], Awaitable[Message]]


class ErrorReply(Protocol):
    """Turns an error into the reply that carries it, or raises the status for it."""

    def __call__(self, error: Exception) -> Message:
        """Return the reply, or raise `RPCError`."""
        ...


def method(
    path: str, args: type[_A], handler: Callable[[_A], Awaitable[Message]], failed: ErrorReply
) -> Method:
    """Return a method that hands its message to `handler`, and an error of it to `failed`.

    A message that cannot be read, a call that this host does not have, and a status that the handler
    raised are answered here.
    """

    async def serve(data: bytes, call: CallContext) -> bytes:
        try:
            message = args.FromString(data)
        except DecodeError:
            raise RPCError(StatusCode.INVALID_ARGUMENT, "the message cannot be read") from None
        try:
            reply = await handler(message)
        except RPCError:
            raise
        except UnsupportedByHostError as error:
            # The host in Go that lacks a call does not have its method at all.
            raise RPCError(StatusCode.UNIMPLEMENTED, str(error)) from error
        except Exception as error:
            if is_cancellation(error):
                raise
            reply = failed(error)
        return bytes(reply.SerializeToString())

    return UnaryMethod(path, serve)


def required(args: Message, name: str) -> Any:
    """Return an inner message. A Vault server dies of its absence (1.21.1); this one refuses."""
    if not args.HasField(name):
        raise RPCError(StatusCode.INVALID_ARGUMENT, f"{name} is missing")
    return getattr(args, name)


def as_text(reply: type[Message], expected: type[Exception]) -> ErrorReply:
    """Return the error as the reply's text."""

    def fail(error: Exception) -> Message:
        return reply(err=_text(error, expected))

    return fail


def as_status(code: StatusCode, text: str = "") -> ErrorReply:
    """Raise the error as a status with its own text, or with a fixed one."""

    def fail(error: Exception) -> Message:
        own = _text(error, SystemViewError)
        raise RPCError(code, text or own) from error

    return fail


def _text(error: Exception, expected: type[Exception]) -> str:
    """Return what the plugin reads of an error: its text where it was raised on purpose."""
    if isinstance(error, expected):
        return str(error) or type(error).__name__
    logger.error("serving a plugin failed", exc_info=error)
    return _NEUTRAL
