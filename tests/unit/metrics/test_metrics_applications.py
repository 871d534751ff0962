"""What a plugin serves where its environment asks for metrics: measured, or as ever, and the log says why."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from authkit.framework import Backend
from authkit.meter import Meter, current, use
from authkit.metrics.applications import measured_backends, measured_database
from authkit.plugin.server import Application
from authkit.wire.backend import BackendService


class Keeper(Backend, name="keeper", version="1.0.0"):
    """Keeps nothing."""


@pytest.fixture(autouse=True)
def meter() -> Iterator[Meter]:
    """The meter of this process, which is there again afterwards."""
    before = current()
    yield before
    use(before)


async def dial(broker_id: int) -> Any:
    """Connect to nobody."""
    raise AssertionError


def served(where: str) -> Application:
    """The service of a backend plugin."""
    return measured_backends(Keeper.factory(), dial, plugin="keeper", where=where)


class Plain:
    """The service of a database plugin."""

    def methods(self) -> list[Any]:
        return []

    def pools(self) -> list[Any]:
        return []

    async def close(self) -> None:
        pass


async def test_metrics_go_with_what_is_served(short_directory: Path, meter: Meter) -> None:
    """The same methods under the same paths, a meter that counts, and nothing left at the end."""
    plain = BackendService(Keeper.factory(), dial)
    application = served(f"unix:{short_directory}/m.sock")
    assert [each.path for each in application.methods()] == [each.path for each in plain.methods()]
    assert application.pools() == plain.pools()
    assert current() is not meter
    async with asyncio.timeout(10):
        while not (short_directory / "m.sock").is_socket():
            await asyncio.sleep(0.001)
    await application.close()
    assert not (short_directory / "m.sock").exists()


async def test_a_database_plugin_is_measured_too(short_directory: Path, meter: Meter) -> None:
    """And what cannot be measured is served as it is."""
    plain = Plain()
    where = f"unix:{short_directory}/m.sock"
    application = measured_database(plain, plugin="shelf", version="v1", where=where)
    assert application is not plain
    await application.close()
    assert measured_database(plain, plugin="shelf", version="v1", where="nowhere") is plain


@pytest.mark.parametrize("fault", ["place", "library", "files", "surprise"])
def test_nothing_keeps_a_plugin_from_serving(
    fault: str,
    meter: Meter,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A wrong place, a missing library, one that is not as it was: an error in the log that says so."""
    where = "127.0.0.1:9102"
    if fault == "place":
        where = "192.0.2.1:9102"
    elif fault == "library":
        for name in [name for name in sys.modules if name.startswith("authkit.metrics.")]:
            if name.rpartition(".")[2] in ("plugin_meter", "exporter", "backend"):
                monkeypatch.delitem(sys.modules, name)
        monkeypatch.setitem(sys.modules, "prometheus_client", None)
    elif fault == "files":
        monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", "/nowhere")
    else:
        monkeypatch.setattr("authkit.metrics.plugin_meter.build_facts", lambda *of: {}["surprise"])
    assert isinstance(served(where), BackendService)
    assert current() is meter
    (told,) = [each for each in caplog.records if each.levelno >= logging.ERROR]
    said = {"place": "not a loopback address", "library": "prometheus-client, the extra `metrics`"}
    said["files"] = "PROMETHEUS_MULTIPROC_DIR is set"
    assert told.getMessage().startswith("no metrics: ")
    assert said.get(fault, "could not be set up") in told.getMessage()
