"""What /proc tells about processes, and waiting for an event with a deadline."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

__all__ = [
    "children",
    "children_of_file",
    "command_line",
    "connections_to",
    "cpu_seconds",
    "is_alive",
    "listening_sockets",
    "open_files",
    "resident_kib",
    "wait_for_exit",
    "wait_until",
]

POLL_SECONDS = 0.02

T = TypeVar("T")


def wait_until(check: Callable[[], T], what: str, *, timeout: float, pause: float = POLL_SECONDS) -> T:
    """Return the first true value of `check`.

    Raises:
        AssertionError: there was none within `timeout` seconds; it says `what` was awaited.
    """
    deadline = time.monotonic() + timeout
    while True:
        value = check()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout} s in vain for {what}")
        time.sleep(pause)


def wait_for_exit(pid: int, timeout: float) -> float:
    """Return after how many seconds the process was gone."""
    started = time.monotonic()
    wait_until(lambda: not Path(f"/proc/{pid}").exists(), f"the end of process {pid}", timeout=timeout)
    return time.monotonic() - started


def stat_fields(pid: int) -> list[str]:
    """Return the fields of /proc/<pid>/stat from the state on (proc(5), field 3), empty when it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return []
    return text.rpartition(")")[2].split()


def is_alive(pid: int) -> bool:
    """Whether the process exists and is not a zombie."""
    fields = stat_fields(pid)
    return bool(fields) and fields[0] not in {"Z", "X"}


def children(pid: int) -> list[int]:
    """Return the living direct children of a process."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            fields = stat_fields(int(entry.name))
            if fields and int(fields[1]) == pid and fields[0] not in {"Z", "X"}:
                found.append(int(entry.name))
    return sorted(found)


def command_line(pid: int) -> list[str]:
    """Return the arguments of a process, empty when it is gone."""
    try:
        raw = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return []
    return [os.fsdecode(part) for part in raw.split(b"\0") if part]


def children_of_file(pid: int, file: Path) -> list[int]:
    """Return the living direct children of a process that run one file."""
    return [child for child in children(pid) if str(file) in command_line(child)]


def resident_kib(pid: int) -> int:
    """Return the resident set of a process in KiB.

    Raises:
        LookupError: no such process.
    """
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise LookupError(f"process {pid} has no resident set")


def cpu_seconds(pid: int) -> float:
    """Return the user and system time that a process has used, to the nanosecond.

    Raises:
        OSError: no such process.
    """
    # The id of its clock, as clock_getcpuclockid(3) makes it: /proc has ticks of 10 ms only.
    return time.clock_gettime(~pid << 3 | 2)


def listening_sockets(pid: int) -> list[Path]:
    """Return the paths of the unix sockets on which a process listens."""
    inodes = {target.removeprefix("socket:[").rstrip("]") for target in open_files(pid).values()}
    # Columns (proc_net_unix(5)): Num RefCount Protocol Flags Type St Inode Path; flag 0x10000: it listens.
    found = []
    for line in Path("/proc/net/unix").read_text().splitlines()[1:]:
        columns = line.split()
        if len(columns) == 8 and columns[6] in inodes and int(columns[3], 16) & 0x10000:
            # A plugin may have bound it through a descriptor of its own (/proc/self/fd, proc(5)).
            found.append(Path(columns[7].replace("/proc/self/", f"/proc/{pid}/", 1)))
    return found


def open_files(pid: int) -> dict[str, str]:
    """Return what each descriptor of a process leads to: a path, or `socket:[INODE]`."""
    found = {}
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):  # closed meanwhile
            found[descriptor.name] = os.readlink(descriptor)
    return found


def connections_to(port: int) -> set[str]:
    """Return the sockets `socket:[INODE]` of the side that serves a port of 127.0.0.1."""
    # Columns (proc_net_tcp of the kernel): sl local_address rem_address st ... inode; 01: established.
    local = f"0100007F:{port:04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {f"socket:[{row[9]}]" for row in rows if row[1] == local and row[3] == "01"}
