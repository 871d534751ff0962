"""The thread that offers metrics: what it renders, waits for and leaves, and what stays after a fork."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import httpx
import pytest
from prometheus_client import CollectorRegistry, Counter

from authkit.metrics import exporter as module
from authkit.metrics.endpoint import EndpointError, InUseError, Listening, UnixEndpoint
from authkit.metrics.exporter import Exporter

OPEN = "application/openmetrics-text"


class Nowhere:
    """A place that cannot be had."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.tries = 0

    def listen(self) -> Listening:
        self.tries += 1
        raise self.error

    def is_for(self, host: str) -> bool:
        return True


class Forgetful(dict[bool, Any]):
    """Keeps no text."""

    def __setitem__(self, key: bool, value: Any) -> None:
        pass


@pytest.fixture
def registry() -> CollectorRegistry:
    """One counter."""
    registry = CollectorRegistry()
    Counter("logins", "Logins.", registry=registry).inc()
    return registry


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        (f"{OPEN};version=1.0.0,text/plain;q=0.1", f"{OPEN}; version=1.0.0; charset=utf-8"),
        (f"{OPEN};version=1.0.0;escaping=allow-utf-8", f"{OPEN}; version=1.0.0; charset=utf-8"),
        (f"{OPEN}; version=9.9.9\r\n X: y", f"{OPEN}; version=1.0.0; charset=utf-8"),
        (f"{OPEN}; version=\r\n a.b", "text/plain; version=0.0.4; charset=utf-8"),
        ("text/plain;version=0.0.4", "text/plain; version=0.0.4; charset=utf-8"),
        ("", "text/plain; version=0.0.4; charset=utf-8"),
        ("*/*", "text/plain; version=0.0.4; charset=utf-8"),
    ],
)
def test_the_form_is_one_of_two(registry: CollectorRegistry, accept: str, form: str) -> None:
    """As the library chooses it; nothing that a client writes comes back in a header."""
    body = Exporter(Nowhere(InUseError()), registry).render(accept)
    assert body is not None
    assert body.content_type == form
    assert b"logins_total 1.0" in body.content
    assert body.content.endswith(b"# EOF\n") is body.content_type.startswith(OPEN)


def test_a_text_is_sent_again_for_a_while(
    registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Making texts takes a share of the time, however often somebody asks."""
    now = [100.0]

    def clock() -> float:
        now[0] += 0.005  # reading it twice is what a text takes
        return now[0]

    monkeypatch.setattr(module.time, "monotonic", clock)
    exporter = Exporter(Nowhere(InUseError()), registry)
    first = exporter.render("")
    assert exporter.render("") is first
    assert exporter.render(OPEN) is not first
    now[0] += 0.1
    assert exporter.render("") is not first


async def test_a_place_is_waited_for_in_silence(
    registry: CollectorRegistry, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process has it, most likely the one before: an error only when that lasts."""
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.0)
    place = Nowhere(InUseError("another process listens"))
    exporter = Exporter(place, registry)
    exporter.start()
    async with asyncio.timeout(10):
        while place.tries < 50:
            await asyncio.sleep(0.001)
    assert not [each for each in caplog.records if each.levelno >= logging.WARNING]
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.0)
    tries = place.tries
    async with asyncio.timeout(10):
        while place.tries < tries + 50:
            await asyncio.sleep(0.001)
    exporter.close()
    (told,) = [each for each in caplog.records if each.levelno >= logging.WARNING]
    assert "Two plugins need two places" in told.getMessage()


@pytest.mark.parametrize("error", [EndpointError("a wrong directory"), RuntimeError("a fault of ours")])
async def test_a_trouble_is_told_once(
    registry: CollectorRegistry,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
) -> None:
    """And again an hour later; the next try may succeed."""
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.0)
    place = Nowhere(error)
    exporter = Exporter(place, registry)
    exporter.start()
    async with asyncio.timeout(10):
        while place.tries < 50:
            await asyncio.sleep(0.001)
    exporter.close()
    (told,) = [each for each in caplog.records if each.levelno >= logging.WARNING]
    assert str(error) in told.getMessage()


def test_a_text_that_fails_is_told_once(
    registry: CollectorRegistry, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often somebody asks; the cause stays in the log, and the next one may succeed."""
    fault = RuntimeError("a detail of the inside")
    exporter = Exporter(Nowhere(InUseError()), registry)
    monkeypatch.setattr(exporter, "_bodies", Forgetful())
    with monkeypatch.context() as patch:
        patch.setattr(registry, "collect", Mock(side_effect=fault))
        assert [exporter.render("") for _ in range(50)] == [None] * 50
    (told,) = caplog.records
    assert told.exc_info is not None
    assert told.exc_info[1] is fault
    assert exporter.render("") is not None


def test_troubles_are_bounded(registry: CollectorRegistry, caplog: pytest.LogCaptureFixture) -> None:
    """Also those whose text changes, such as by where a link leads."""
    exporter = Exporter(Nowhere(InUseError()), registry)
    for number in range(module.MAX_TOLD * 5):
        exporter._tell("first")
        exporter._tell(f"link to {number}")
    assert len(caplog.records) == module.MAX_TOLD


async def test_a_forked_child_lets_the_place_go(registry: CollectorRegistry, short_directory: Path) -> None:
    """A child that outlives its parent would keep the next process from listening."""
    path = short_directory / "m.sock"
    exporter = Exporter(UnixEndpoint(str(path)), registry)
    exporter.start()
    transport = httpx.AsyncHTTPTransport(uds=str(path))
    async with asyncio.timeout(10), httpx.AsyncClient(transport=transport) as client:
        while not path.is_socket():
            await asyncio.sleep(0.001)
        assert (await client.get("http://localhost/metrics")).status_code == 200
    listening = exporter._listening
    assert listening is not None
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, b"closed" if listening.socket.fileno() == -1 else b"open")
        os._exit(0)
    assert os.read(reader, 10) == b"closed"
    os.waitpid(child, 0)
    assert listening.socket.fileno() != -1
    exporter.close()
    assert not path.exists()
    with pytest.raises(OSError), socket.socket(socket.AF_UNIX) as probe:
        probe.connect(str(path))
