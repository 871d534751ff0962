"""What becomes of exceptions that are faults: logged under a reference, and neutral outside."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from datetime import timedelta

from authkit.rpc.cancellation import is_cancellation

__all__ = ["NEUTRAL_TEXT", "contain", "failure", "neutral_text", "note_late", "within"]

logger = logging.getLogger("authkit.wire")

NEUTRAL_TEXT = "internal error"
"""What a caller reads of a fault. The cause is in the log."""


def failure(what: str, exc: BaseException, **context: str) -> str:
    """Log `exc` with its traceback and return the reference under which it is found."""
    reference = context.pop("request_id", "") or os.urandom(4).hex()
    logger.error(what, exc_info=exc, extra={"kv": {"request_id": reference, **context}})
    return reference


def neutral_text(reference: str) -> str:
    """Return what a caller reads of a fault."""
    return f"{NEUTRAL_TEXT} (request {reference})"


async def contain(call: Callable[[], Awaitable[None]], what: str, mount: str) -> None:
    """Call and await; log whatever it raises but a cancellation. For calls whose failure no host reads."""
    try:
        await call()
    except BaseException as exc:
        if is_cancellation(exc):
            raise
        failure(what, exc, mount=mount)


async def within(timeout: timedelta, call: Callable[[], Awaitable[None]], what: str, mount: str) -> None:
    """Make a call that must not hold anybody up: not by failing, nor by refusing to end."""
    task = asyncio.ensure_future(contain(call, f"{what} failed", mount))
    try:
        # Not asyncio.timeout, which waits for code that ignores a cancellation.
        _, late = await asyncio.wait({task}, timeout=timeout.total_seconds())
        if late:
            note_late(what, mount)
    finally:
        task.cancel()


def note_late(what: str, mount: str) -> None:
    """Log that a call of the author's code takes longer than it may."""
    logger.warning(f"{what} takes too long", extra={"kv": {"mount": mount}})
