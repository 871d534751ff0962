"""Whether the host is still there, as its stream shows it.

A host that hangs up says nothing more than that. Of one that is killed the process gets another parent
as well: see `authkit.plugin.ending`, which works also while the event loop is blocked.
"""

from __future__ import annotations

import asyncio

from authkit.plugin.services.broker import Broker

__all__ = ["HOST_MUST_CONNECT_SECONDS", "wait_for_host_to_leave"]

HOST_MUST_CONNECT_SECONDS = 60.0
"""A host that has not connected a minute after the handshake line will not come: it has given up
waiting for us by then (go-plugin 1.8, StartTimeout)."""

SHUTDOWN_GRACE_SECONDS = 1.5
"""After the end of its stream a living host asks for shutdown at once; it kills us 2 s later."""


async def wait_for_host_to_leave(broker: Broker) -> str:
    """Return, with the reason, when the host has gone without asking for shutdown, or never came."""
    try:
        async with asyncio.timeout(HOST_MUST_CONNECT_SECONDS):
            await broker.host_came.wait()
    except TimeoutError:
        return f"no host connected within {HOST_MUST_CONNECT_SECONDS:.0f} s"
    while True:
        await broker.host_left.wait()
        await asyncio.sleep(SHUTDOWN_GRACE_SECONDS)
        if broker.host_left.is_set():
            return "the host has closed its connection"
