"""Calls of a database plugin, measured: a wrapper around each method that the host calls."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Iterable
from typing import Final

from authkit.metrics.plugin_meter import PluginMeter
from authkit.rpc.cancellation import is_cancellation
from authkit.rpc.interface import CallContext, Method, UnaryHandler, UnaryMethod

__all__ = ["CALLS", "measured_methods"]

CALLS: Final = {
    "/dbplugin.v5.Database/Initialize": "initialize",
    "/dbplugin.v5.Database/NewUser": "new_user",
    "/dbplugin.v5.Database/UpdateUser": "update_user",
    "/dbplugin.v5.Database/DeleteUser": "delete_user",
    "/dbplugin.v5.Database/Close": "close",
}
"""What is measured, by path: all calls but those about the plugin itself."""


def measured_methods(methods: Iterable[Method], meter: PluginMeter) -> list[Method]:
    """Return the methods, those of `CALLS` measured."""
    return [
        UnaryMethod(each.path, _measured(each.handler, CALLS[each.path], meter))
        if isinstance(each, UnaryMethod) and each.path in CALLS
        else each
        for each in methods
    ]


def _measured(handler: UnaryHandler, call: str, meter: PluginMeter) -> UnaryHandler:
    async def measure(data: bytes, context: CallContext) -> bytes:
        outcome, started = "failed", time.perf_counter()
        try:
            answer = handler(data, context)
            reply = await answer if isinstance(answer, Awaitable) else answer
            outcome = "ok"
            return reply
        except BaseException as exc:
            if is_cancellation(exc):
                outcome = "cancelled"
            raise
        finally:
            meter.database_called(call, outcome, time.perf_counter() - started)

    return measure
