"""Detects changes of source files by polling.

No file is read and nothing waits for the kernel: sizes and times are compared. What a change leads to is
left to the caller.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterable, Iterator
from itertools import islice
from pathlib import Path

__all__ = ["MAX_FILES", "Snapshot", "changes", "snapshot"]

MAX_FILES = 5000
MAX_FOLDERS = 1000
"""Most files and folders of one round, so that a home directory can't keep the machine busy."""
LOOK_SECONDS = 0.5
SKIPPED = frozenset({"__pycache__", "node_modules", "venv", "build", "dist", "tests"})
"""Folders that are skipped, besides hidden ones."""

Snapshot = dict[str, tuple[int, int]]
"""Time and size by path."""


def snapshot(places: Iterable[Path]) -> Snapshot:
    """Return time and size of the Python files in folders, and of the files named."""
    seen: Snapshot = {}
    for path in _files(places):
        try:
            about = os.stat(path)
        except OSError:
            continue  # gone since it was listed
        seen[path] = (about.st_mtime_ns, about.st_size)
        if len(seen) >= MAX_FILES:
            break
    return seen


def _files(places: Iterable[Path]) -> Iterator[str]:
    for place in places:
        if not place.is_dir():
            yield str(place)
            continue
        for folder, folders, names in islice(os.walk(place), MAX_FOLDERS):
            folders[:] = [name for name in folders if name[0] != "." and name not in SKIPPED]
            yield from (os.path.join(folder, name) for name in names if name.endswith(".py"))


async def changes(
    places: Iterable[Path], known: Snapshot, *, pause: float = LOOK_SECONDS
) -> AsyncIterator[str]:
    """Yield a file that is not as it was `known`, whenever there is one and then none changes for a moment.

    An editor writes several files, or one in steps: they make one change.
    """
    watched = tuple(places)
    while True:
        await asyncio.sleep(pause)
        now = await asyncio.to_thread(snapshot, watched)
        if now == known:
            continue
        changed = next(iter(sorted(dict(known.items() ^ now.items()))))
        while True:
            await asyncio.sleep(pause)
            settled = await asyncio.to_thread(snapshot, watched)
            if settled == now:
                break
            now = settled
        known = now
        yield changed
