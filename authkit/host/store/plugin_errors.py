"""Errors of plugins, in the words of a server in Go."""

from __future__ import annotations

import logging

from authkit.errors import AuthKitError, HostingError, RPCError, StatusCode

__all__ = ["in_go_words", "status_text"]

logger = logging.getLogger("authkit.host")


def status_text(error: RPCError) -> str:
    """Return a status as a server in Go words it: `rpc error: code = Unavailable desc = ...`."""
    name = "Canceled" if error.code is StatusCode.CANCELLED else error.code.name.title().replace("_", "")
    return f"rpc error: code = {name} desc = {error.message}"


def in_go_words(error: AuthKitError) -> Exception:
    """Return the error with the text that a server in Go has for it."""
    if isinstance(error, HostingError):
        logger.error(str(error), extra={"kv": {"hint": error.hint}})
    if isinstance(error, RPCError):
        return Exception(status_text(error))
    return error
