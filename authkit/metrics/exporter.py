"""Offers the metrics of this process at an endpoint, from a thread of its own.

Nothing of it keeps the plugin from serving: the place may be taken, wrong or lost, and the log says so.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from prometheus_client.exposition import choose_encoder

from authkit.metrics.endpoint import Endpoint, EndpointError, InUseError, Listening
from authkit.metrics.http import Body, serve_http

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

__all__ = ["Exporter"]

log = logging.getLogger(__name__)

RETRY_SECONDS = 1.0
"""Between two tries to get the place. At a reload the process before has it for some two seconds."""

PATIENCE_SECONDS = 60.0
"""Until a place that another process has is an error: until then it may be an earlier run of this plugin."""

REMINDER_SECONDS = 3600.0
"""Between two lines in the log about the same trouble."""

CLOSE_SECONDS = 0.5
"""For the file of the socket to be removed at the end. It takes a millisecond, and is no harm if it stays."""

MAX_TOLD = 10
"""Troubles in the log in that time: whoever moves links about before a socket could cause any number."""

MAX_SHARE = 0.1
"""Of the time, for making texts: more often than that the last one is sent again."""


class Exporter:
    """Offers a registry at an endpoint until `close`. There is one in a process."""

    def __init__(self, endpoint: Endpoint, registry: CollectorRegistry) -> None:
        self._endpoint = endpoint
        self._registry = registry
        self._bodies: dict[bool, tuple[float, Body | None]] = {}
        self._listening: Listening | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._thread = threading.Thread(target=self._run, name="authkit-metrics", daemon=True)
        self._told: dict[str, float] = {}

    def start(self) -> None:
        """Begin to offer, as soon as the place can be had. Returns at once."""
        os.register_at_fork(after_in_child=self._forget)
        self._loop = asyncio.new_event_loop()
        self._task = self._loop.create_task(self._offer())
        self._thread.start()

    def stop(self) -> None:
        """Begin to leave the place. Returns at once."""
        if self._loop is None or self._task is None:
            return
        with suppress(RuntimeError):  # the thread has ended
            self._loop.call_soon_threadsafe(self._task.cancel)

    def close(self) -> None:
        """Leave the place, in `CLOSE_SECONDS` at most."""
        self.stop()
        if self._thread.is_alive():
            self._thread.join(CLOSE_SECONDS)

    def render(self, accept: str) -> Body | None:
        """Return the metrics, as OpenMetrics text where the header `Accept` has it, `None` where it fails."""
        try:
            is_open = choose_encoder(accept)[1].startswith("application/openmetrics-text")
        except Exception:
            is_open = False
        # A version that a client invents does not come into the answer.
        encode, content_type = choose_encoder("application/openmetrics-text" if is_open else "")
        now = time.monotonic()
        until, body = self._bodies.get(is_open, (0.0, None))
        if now >= until:
            try:
                body = Body(encode(self._registry), content_type)
            except Exception as error:
                # Such as what a plugin's own backend raises that is asked for its gauges.
                body = None
                self._tell("the text could not be made", error)
            done = time.monotonic()
            self._bodies[is_open] = (done + (done - now) / MAX_SHARE, body)
        return body

    # --- the thread ----------------------------------------------------------------------------

    def _run(self) -> None:
        assert self._loop is not None
        assert self._task is not None
        try:
            self._loop.run_until_complete(self._task)
        except asyncio.CancelledError:
            pass
        finally:
            self._loop.close()

    def _forget(self) -> None:
        """Let go of the socket in a forked child: it would keep the place of a process that has ended."""
        if self._listening is not None:
            self._listening.socket.close()

    async def _offer(self) -> None:
        while True:
            self._listening = listening = await self._listen()
            log.info("metrics are offered at %s", self._endpoint)
            try:
                await serve_http(listening.socket, self.render, self._endpoint.is_for)
            except Exception as error:
                log.exception("metrics are interrupted: %s", error)
            finally:
                listening.leave()
            await asyncio.sleep(RETRY_SECONDS)

    async def _listen(self) -> Listening:
        """Return once the place could be had."""
        began = time.monotonic()
        while True:
            try:
                return self._endpoint.listen()
            except InUseError as error:
                if time.monotonic() - began >= PATIENCE_SECONDS:
                    self._tell(f"{error}. Two plugins need two places")
            except EndpointError as error:
                self._tell(str(error))
            except Exception as error:
                self._tell(f"{type(error).__name__}: {error}")
            await asyncio.sleep(RETRY_SECONDS)

    def _tell(self, text: str, error: Exception | None = None) -> None:
        """Log a trouble: the first time, and every hour."""
        now = time.monotonic()
        self._told = {each: at for each, at in self._told.items() if now - at < REMINDER_SECONDS}
        if text not in self._told and len(self._told) < MAX_TOLD:
            self._told[text] = now
            log.error("no metrics: %s", text, exc_info=error)
