"""Changes of source files, seen without reading them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from pathlib import Path

import pytest

from authkit.cli import watching
from authkit.cli.watching import Snapshot, changes, snapshot


def test_only_source_is_looked_at(tmp_path: Path) -> None:
    """Python files, not those of hidden folders, environments and caches; a file that is named, always."""
    for name in ("a.py", "sub/b.py", "c.txt", ".venv/d.py", "__pycache__/e.py", "node_modules/f.py"):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.touch()
    seen = snapshot([tmp_path, tmp_path / "c.txt", tmp_path / "gone"])
    assert {os.path.relpath(path, tmp_path) for path in seen} == {"a.py", "sub/b.py", "c.txt"}


def test_the_walk_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However large the place is."""
    for number in range(9):
        (tmp_path / f"{number}.py").touch()
        (tmp_path / f"folder{number}").mkdir()
        (tmp_path / f"folder{number}" / "x.py").touch()
    monkeypatch.setattr(watching, "MAX_FILES", 5)
    assert len(snapshot([tmp_path])) == 5
    monkeypatch.setattr(watching, "MAX_FILES", 100)
    monkeypatch.setattr(watching, "MAX_FOLDERS", 3)
    assert len(snapshot([tmp_path])) == 9 + 2


@pytest.mark.parametrize("what", ["changed", "new", "removed"])
async def test_a_change_is_told(what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether a file is changed, added or removed, and only once."""
    file = tmp_path / "a.py"
    file.touch()
    looks: asyncio.Queue[None] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def look(places: Iterable[Path]) -> Snapshot:
        seen = snapshot(places)
        loop.call_soon_threadsafe(looks.put_nowait, None)
        return seen

    monkeypatch.setattr(watching, "snapshot", look)
    watched = changes([tmp_path], snapshot([tmp_path]), pause=0.01)
    async with asyncio.timeout(10):
        told = asyncio.ensure_future(anext(watched))
        await looks.get()
        assert not told.done()
        if what == "changed":
            file.write_text("x = 1\n")
        elif what == "new":
            (tmp_path / "b.py").touch()
        else:
            file.unlink()
        assert Path(await told).parent == tmp_path
        again = asyncio.ensure_future(anext(watched))
        while not looks.empty():
            looks.get_nowait()
        for _ in range(3):
            await looks.get()
        assert not again.done()
    again.cancel()
    await asyncio.gather(again, return_exceptions=True)
