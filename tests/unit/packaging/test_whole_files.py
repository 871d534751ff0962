"""Files that are written whole or not at all, also where others may write."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from authkit.packaging import whole_files
from authkit.packaging.whole_files import write_whole


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    """Neither one of the file's name, nor one of a name that somebody has guessed."""
    victim = tmp_path / "victim"
    victim.write_text("kept")
    folder = tmp_path / "dist"
    folder.mkdir()
    for name in ("pin-1.0.0", ".pin-1.0.0.new"):
        (folder / name).symlink_to(victim)
    write_whole(folder / "pin-1.0.0", b"new", mode=0o755)
    assert victim.read_text() == "kept"
    assert not (folder / "pin-1.0.0").is_symlink()
    assert (folder / "pin-1.0.0").read_bytes() == b"new"


def test_the_mode_is_that_of_the_file(tmp_path: Path) -> None:
    """Whatever the umask is, and nobody else can open it before it is whole."""
    umask = os.umask(0o077)
    try:
        write_whole(tmp_path / "a", b"", mode=0o755)
        write_whole(tmp_path / "b", b"")
    finally:
        os.umask(umask)
    assert [path.stat().st_mode & 0o777 for path in (tmp_path / "a", tmp_path / "b")] == [0o755, 0o644]


def test_what_was_there_stays_when_writing_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is left of the new file."""

    def fail(*_: object) -> None:
        raise OSError("no space")

    (tmp_path / "a").write_text("old")
    monkeypatch.setattr(whole_files.os, "fsync", fail)
    with pytest.raises(OSError, match="no space"):
        write_whole(tmp_path / "a", b"new")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a", "old")]
