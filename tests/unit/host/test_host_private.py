"""Attacks on `authkit dev --data`: what another user of the machine can plant where the file is to be."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from authkit.host.store.private_files import NotPrivateError, make_private_folder, private_path
from authkit.host.store.storage import SQLiteStorage


def link_to_a_file(folder: Path) -> None:
    """A link to a file of the operator's, which would be written to."""
    victim = folder.parent / "victim"
    victim.write_bytes(b"")
    victim.chmod(0o600)
    (folder / "data").symlink_to(victim)


def link_to_nothing(folder: Path) -> None:
    """A link to a file that is to be made in the operator's name."""
    (folder / "data").symlink_to(folder.parent / "made")


def open_folder(folder: Path) -> None:
    """A folder in which anybody can plant anything, later on too."""
    folder.chmod(0o777)


def open_sticky_folder(folder: Path) -> None:
    """As /tmp: files that SQLite makes and removes can be planted in between."""
    folder.chmod(0o1777)


def group_folder(folder: Path) -> None:
    """A folder in which a group can."""
    folder.chmod(0o770)


def open_folder_above(folder: Path) -> None:
    """The whole folder can be exchanged."""
    folder.parent.chmod(0o777)


def open_file(folder: Path) -> None:
    """A database that others may write to."""
    make_database(folder / "data")
    (folder / "data").chmod(0o666)


def readable_file(folder: Path) -> None:
    """A database that others may read."""
    make_database(folder / "data")
    (folder / "data").chmod(0o644)


def planted_journal(folder: Path) -> None:
    """A log beside the database, from which SQLite would restore what another user wrote."""
    (folder / "data-wal").write_bytes(b"x")
    (folder / "data-wal").chmod(0o666)


def linked_journal(folder: Path) -> None:
    """A link in the place of a file that SQLite makes."""
    (folder / "data-journal").symlink_to(folder.parent / "made")


def a_folder(folder: Path) -> None:
    """No file at all."""
    (folder / "data").mkdir()


def a_pipe(folder: Path) -> None:
    """A pipe, on which opening would wait."""
    os.mkfifo(folder / "data", 0o600)


def make_database(path: Path) -> None:
    """Make a database with an entry."""
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE entries (key TEXT PRIMARY KEY, value BLOB NOT NULL)")
        database.execute("INSERT INTO entries VALUES ('core/mounts', 'planted')")
    database.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of the operator's."""
    made = tmp_path / "above" / "home"
    made.mkdir(parents=True, mode=0o700)
    return made


@pytest.mark.parametrize(
    "plant",
    [
        link_to_a_file,
        link_to_nothing,
        open_folder,
        open_sticky_folder,
        group_folder,
        open_folder_above,
        open_file,
        readable_file,
        planted_journal,
        linked_journal,
        a_folder,
        a_pipe,
    ],
)
def test_what_another_user_could_have_planted_is_refused(plant: Callable[[Path], None], folder: Path) -> None:
    """Before anything is written, and with a text that names what is wrong."""
    plant(folder)
    before = sorted(path.name for path in folder.parent.rglob("*"))
    with pytest.raises(NotPrivateError, match=f"{folder.parent}.*: (use|remove|if)"):
        SQLiteStorage(folder / "data")
    assert sorted(path.name for path in folder.parent.rglob("*")) == before
    victim = folder.parent / "victim"
    assert not victim.exists() or victim.read_bytes() == b""


@pytest.mark.parametrize("make", [SQLiteStorage, lambda path: make_private_folder(private_path(path))])
def test_what_belongs_to_another_user_is_refused(
    make: Callable[[Path], object], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database or launchers that somebody else has made are not used."""
    if make is SQLiteStorage:
        make_database(folder / "data")
        (folder / "data").chmod(0o600)
    else:
        (folder / "data").mkdir(mode=0o700)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(NotPrivateError, match="belongs to another user"):
        make(folder / "data")


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o1777])
def test_launchers_are_not_put_where_others_may_write(mode: int, folder: Path) -> None:
    """They are executed as the operator."""
    (folder / "plugins").mkdir()
    (folder / "plugins").chmod(mode)
    with pytest.raises(NotPrivateError, match="other users may write"):
        make_private_folder(folder / "plugins")


@pytest.mark.parametrize("target", ["above", "nowhere"])
def test_no_link_stands_in_for_the_folder_of_launchers(target: str, folder: Path) -> None:
    """Wherever it leads."""
    (folder / "plugins").symlink_to(folder.parent.parent / target)
    with pytest.raises(NotPrivateError, match="is a link"):
        make_private_folder(folder / "plugins")


async def test_a_folder_of_one_s_own_is_used(folder: Path) -> None:
    """Made the first time, found the next; links of the operator's own in front of it lead there."""
    (folder.parent / "link").symlink_to(folder)
    for path in (folder / "data", folder.parent / "link" / "data"):
        storage = SQLiteStorage(path)
        await storage.apply({"a": b"1"})
        await storage.close()
        make_private_folder(private_path(path.with_name("plugins")))
    assert {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()} == {
        "data": 0o600,
        "plugins": 0o700,
    }
