"""Crashes of a process that holds secrets."""

from __future__ import annotations

import os
import re
import resource
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from goplugin import PLUGINS, Host, start

from authkit.logical import Operation

CANARY = "canary-of-a-crash-4Zk9"
PROBE = PLUGINS / "probe.py"


@pytest.fixture
def dumps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where crashes leave their dumps: the host that starts the process allows them without a limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    if hard == 0 or Path("/proc/sys/kernel/core_pattern").read_text().startswith(("|", "/")):
        pytest.skip("this machine writes no core dumps into the folder of a process")
    monkeypatch.chdir(tmp_path)
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
    # Where tests run in the background, a shell has this ignored, in all processes that are started.
    quits = signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    yield tmp_path
    signal.signal(signal.SIGQUIT, quits)
    resource.setrlimit(resource.RLIMIT_CORE, (soft, hard))


@pytest.fixture
async def host(dumps: Path, short_directory: Path) -> AsyncIterator[Host]:
    """A host whose plugin may be killed."""
    made = Host(short_directory)
    yield made
    await made.close()


@pytest.mark.parametrize("crash", [signal.SIGSEGV, signal.SIGABRT, signal.SIGQUIT, signal.SIGBUS])
async def test_a_crash_leaves_no_memory_behind(host: Host, dumps: Path, crash: signal.Signals) -> None:
    """No file, and no secret in what the crash has logged."""
    await host.launch(PROBE)
    # A machine that pipes dumps to a program heeds no other limit.
    limits = Path(f"/proc/{host.process.pid}/limits").read_text()
    assert re.search(r"Max core file size +1 ", limits)
    mount = await host.mount()
    assert not (await mount.request(Operation.UPDATE, "put", value=CANARY)).HasField("err")
    os.kill(host.process.pid, crash)
    assert await host.process.ended() == -crash
    assert list(dumps.iterdir()) == []
    assert CANARY not in "\n".join(host.process.lines)


async def test_any_other_process_leaves_its_memory(dumps: Path) -> None:
    """So the machine would have written the plugin's, too."""
    process = await start("-c", f"import os; secret = {CANARY!r}; os.abort()", variables={})
    assert await process.ended() == -signal.SIGABRT
    dump = b"".join(path.read_bytes() for path in dumps.iterdir())
    assert CANARY.encode() in dump
