"""A plugin on a real server that has too little: descriptors, memory, a temporary directory."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import repeat
from pathlib import Path

from livebed.client import ServerError
from livebed.mounts import Mount, mount_plugin
from livebed.plugins import JWT_LAUNCHER, Plugin, python_plugin
from livebed.processes import resident_kib
from livebed.server import Server
from livebed.tokens import usual_issuer
from livebed.torture.bed import Bed
from livebed.torture.rows import Row, Size

__all__ = ["run_short_of_everything"]

DESCRIPTORS = 64
MEMORY_BYTES = 128 << 20
LIMITED = """
import resource
resource.setrlimit(resource.{limit}, ({value}, {value}))
"""
"""Before anything of the plugin is imported."""
BUSY_MOUNTS = 4
"""At which clients log in."""
LARGE_TOKEN_BYTES = 8_000
FULL_BYTES = 64 << 10


def run_short_of_everything(bed: Bed, size: Size) -> Sequence[Row]:
    """Allow 64 descriptors, then 128 MiB, and enable `size.count` mounts; then spoil the temporary directory.

    `size.clients` log in meanwhile.
    """
    server = bed.start_server()
    missing = server.folder / "missing"
    rows = [
        work_within(bed, server, size, f"at most {DESCRIPTORS} descriptors", "RLIMIT_NOFILE", DESCRIPTORS),
        work_within(
            bed, server, size, f"at most {MEMORY_BYTES >> 20} MiB of memory", "RLIMIT_DATA", MEMORY_BYTES
        ),
        work_with_directory(server, missing, "TMPDIR that does not exist", size),
    ]
    if may_mount():
        with full_directory(server.subfolder("full")) as full:
            rows.append(work_with_directory(server, full, "TMPDIR on a file system that is full", size))
    return rows


def work_within(bed: Bed, server: Server, size: Size, fault: str, limit: str, value: int) -> Row:
    """Enable mounts until there are enough or no more fit, log in, and make room for one more."""
    plugin = python_plugin(
        server.plugin_directory, limit.lower(), LIMITED.format(limit=limit, value=value) + JWT_LAUNCHER
    )
    plugin.register(server.client)
    mounts = [
        bed.stack.enter_context(mount_plugin(server, plugin, usual_issuer())) for _ in range(BUSY_MOUNTS)
    ]
    pid = server.wait_for_one_process(plugin.command)
    texts = [enable(server, plugin, f"{limit}-{number}") for number in range(size.count - BUSY_MOUNTS)]
    refusals = [text for text in texts if text]
    failed = log_in_everywhere(mounts, size.clients)
    if refusals:
        server.client.delete(f"sys/auth/{limit}-0")
    again = enable(server, plugin, f"{limit}-again")
    failed += log_in_everywhere(mounts, size.clients)
    return Row(
        f"{size.count} mounts, {size.clients} clients that log in with tokens of {LARGE_TOKEN_BYTES:,} bytes",
        fault,
        {
            "mounts enabled": size.count - len(refusals),
            "refused": len(refusals),
            "logins": 2 * size.clients * len(mounts),
            "RSS, MiB": resident_kib(pid) >> 10,
            **({"refusal": f"`{refusals[0].splitlines()[-1].strip()[:230]}`"} if refusals else {}),
        },
        {
            "logins at enabled mounts": failed,
            "no mount in a place that is free again": int(bool(again)),
            "process restarts": int(server.pids_of(plugin.command) != [pid]),
        },
    )


def enable(server: Server, plugin: Plugin, path: str) -> str:
    """Enable a mount that nobody uses; return why it was refused, empty if it was not."""
    try:
        server.client.write(f"sys/auth/{path}", type=plugin.name)
    except ServerError as error:
        return error.text or "no text"
    return ""


def log_in_everywhere(mounts: Sequence[Mount], clients: int) -> int:
    """Log in with large tokens from several clients at each mount; return how many logins failed."""
    jwt = usual_issuer().token(padding="x" * LARGE_TOKEN_BYTES)

    def log_in(mount: Mount) -> bool:
        try:
            mount.login(jwt=jwt)
        except ServerError:
            return False
        return True

    with ThreadPoolExecutor(clients) as pool:
        return sum(not done for mount in mounts for done in pool.map(log_in, repeat(mount, clients)))


# --- the temporary directory -----------------------------------------------------------------------


def work_with_directory(server: Server, directory: Path, fault: str, size: Size) -> Row:
    """Enable the plugin with this directory, and log in if it can be enabled."""
    name = f"in_{directory.name}"
    plugin = python_plugin(server.plugin_directory, name, JWT_LAUNCHER)
    plugin.register(server.client, env=[f"TMPDIR={directory}"])
    mark, refusal, failed = server.log_mark(), "", 0
    try:
        with mount_plugin(server, plugin, usual_issuer()) as mount:
            failed = log_in_everywhere([mount], size.clients)
    except ServerError as error:
        refusal = error.text
    found = (re.search(r"TMPDIR: [^@]*", str(record)) for record in server.log_records(mark))
    reasons = [match[0].strip() for match in found if match]
    return Row(
        f"a mount, and {size.clients} logins",
        fault,
        {
            "enabled": "no" if refusal else "yes",
            **({"log": f"`{reasons[0]}`"} if reasons else {}),
        },
        {
            "logins": failed,
            "refusals without a reason in the log": int(bool(refusal) and not reasons),
            "server down": int(not server.is_running),
        },
    )


def may_mount() -> bool:
    """Whether a file system can be mounted here: only root may."""
    return os.geteuid() == 0 and shutil.which("mount") is not None


@contextmanager
def full_directory(folder: Path) -> Iterator[Path]:
    """Mount a small file system at a folder, full to the last byte, as long as the context lasts."""
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={FULL_BYTES}", "none", folder], check=True, timeout=10
    )
    try:
        (folder / "full").write_bytes(b"x" * FULL_BYTES)
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True, timeout=10)
