"""What a handler's exception becomes for its caller."""

from __future__ import annotations

import logging

from authkit.errors import RPCError, StatusCode

__all__ = ["as_rpc_error"]

log = logging.getLogger("authkit.rpc")


def as_rpc_error(path: str, error: BaseException) -> RPCError:
    """Return the status for what the handler of `path` raised.

    An `RPCError` is an answer. Anything else is a fault: neutral outside, its cause in the log.
    """
    if isinstance(error, RPCError):
        return error
    log.error("gRPC handler of %s failed", path, exc_info=error)
    return RPCError(StatusCode.INTERNAL, "internal error")
