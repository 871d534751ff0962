"""The end of a plugin process is hard and bounded, whatever the author's code does meanwhile."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
from goplugin import PLUGINS, Host, Mount, gone, orphan

from authkit.errors import AuthKitError
from authkit.logical import Operation

STUBBORN = PLUGINS / "stubborn.py"
HURRIED = PLUGINS / "hurried.py"

ORPHAN_SECONDS = 5.0
HOST_KILLS_SECONDS = 2.0


@pytest.fixture
async def host(short_directory: Path) -> AsyncIterator[Host]:
    """A host without plugin."""
    made = Host(short_directory)
    yield made
    if made.process.child is not None and made.process.child.status is None:
        made.process.child.kill()
    await made.close()


async def misbehave(host: Host, path: str, plugin: Path = HURRIED) -> tuple[Mount, asyncio.Task[None]]:
    """Start a plugin and have it misbehave; return the mount and the request, which may stay unanswered."""
    await host.launch(plugin)
    mount = await host.mount()

    async def request() -> None:
        with suppress(AuthKitError):
            await mount.request(Operation.READ, path)

    asked = asyncio.create_task(request())
    await host.process.logged("at work")
    return mount, asked


def private_directories(parent: Path) -> list[Path]:
    """What plugins keep there; the host's own has another name."""
    return [path for path in parent.iterdir() if path.name.startswith("authkit-") and path.is_dir()]


@pytest.mark.parametrize("path", ["plain", "loop", "threads", "stop-blocks", "stop-swallows"])
async def test_a_killed_host_is_not_outlived(path: str, short_directory: Path) -> None:
    """The process is gone within seconds of its host, and its private files with it."""
    pid = await orphan(short_directory, STUBBORN, path, "at work")
    try:
        assert await gone(pid, ORPHAN_SECONDS)
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    assert not [path for path in private_directories(short_directory) if (path / "plugin.sock").exists()]


async def test_code_that_lets_no_other_thread_run_is_ended_too(short_directory: Path) -> None:
    """A regular expression that backtracks without end: the timer needs no Python."""
    pid = await orphan(short_directory, HURRIED, "interpreter", "at work")
    try:
        assert await gone(pid, ORPHAN_SECONDS)
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("path", ["plain", "task", "stop-swallows"])
async def test_it_ends_in_order_when_the_host_asks(path: str, host: Host) -> None:
    """With status 0 and before the host would kill it; threads and tasks that go on do not matter."""
    _, asked = await misbehave(host, path)
    await host.channel.call("/plugin.GRPCController/Shutdown", b"")
    assert await host.process.ended(HOST_KILLS_SECONDS) == 0
    await asked


async def test_a_hook_that_blocks_is_cut_short_when_the_host_asks(host: Host, short_directory: Path) -> None:
    """Still before the host would kill it: the log says where it hung, and no private file is left."""
    directory = short_directory / "t"
    directory.mkdir()
    await host.launch(HURRIED, TMPDIR=str(directory))
    mount = await host.mount()
    await mount.request(Operation.READ, "stop-blocks")
    await host.channel.call("/plugin.GRPCController/Shutdown", b"")
    assert await host.process.ended(HOST_KILLS_SECONDS) == 1
    record = await host.process.logged("did not end in time")
    assert "MainThread in Stubborn.stop (stubborn.py:" in record["threads"]
    assert list(directory.iterdir()) == []


@pytest.mark.parametrize(
    ("number", "path", "status"),
    [
        (signal.SIGTERM, "plain", 0),
        (signal.SIGTERM, "lock", 1),
        (signal.SIGHUP, "loop", 1),
    ],
)
async def test_signals_end_it_in_bounded_time(
    number: signal.Signals, path: str, status: int, host: Host
) -> None:
    """Also while the event loop is blocked: calls in flight have their grace, and no more."""
    _, asked = await misbehave(host, path)
    os.kill(host.process.pid, number)
    assert await host.process.ended(ORPHAN_SECONDS) == status
    await asked


async def test_a_hangup_ends_it_in_order(host: Host) -> None:
    """As SIGTERM does: mounts are cleaned up, the status is 0."""
    await host.launch(STUBBORN)
    await host.mount()
    os.kill(host.process.pid, signal.SIGHUP)
    assert await host.process.ended() == 0
    assert any("stop hook" in line for line in host.process.lines)


async def test_a_signal_to_a_forked_child_is_none_to_the_plugin(host: Host) -> None:
    """The child ends by it; the plugin, whose handlers it has inherited, goes on."""
    await host.launch(STUBBORN)
    mount = await host.mount()
    answer = await mount.response(Operation.READ, "fork")
    assert answer.data == {"ended_by": signal.SIGTERM}
    assert (await mount.response(Operation.READ, "info")).data == {"pid": host.process.pid}
    assert await host.shut_down() == 0
