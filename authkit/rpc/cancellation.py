"""Telling a cancellation that was asked for from one that a handler raised by itself."""

from __future__ import annotations

import asyncio

__all__ = ["is_cancellation"]


def is_cancellation(error: BaseException) -> bool:
    """Whether the current task is being cancelled and `error` is the sign of it, to be passed on.

    A handler's own `CancelledError`, from a task or future of its own, is a failure like any other:
    passed on, it would leave the caller without an answer.
    """
    task = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and (task is None or task.cancelling() > 0)
