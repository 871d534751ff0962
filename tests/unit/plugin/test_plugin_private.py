"""Directories in places where others may rename what is theirs."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from authkit.errors import HandshakeError
from authkit.plugin.environment import HostEnvironment
from authkit.plugin.listener import listen
from authkit.plugin.security import private_directory as module
from authkit.plugin.security.certificates import generate_identity
from authkit.plugin.security.private_directory import PrivateDirectory, remove_abandoned
from authkit.plugin.security.tls import make_contexts


def make(parent: Path) -> PrivateDirectory:
    """One in a directory for temporary files."""
    return PrivateDirectory(str(parent), prefix="authkit-", variable="TMPDIR")


def mode(path: str | Path) -> int:
    """Permission bits."""
    return stat.S_IMODE(os.stat(path, follow_symlinks=False).st_mode)


class Rival:
    """Another user who may write to the parent: replaces what a path leads to."""

    def __init__(self, parent: Path) -> None:
        self.parent = parent
        self.planted = parent / "planted"
        self.planted.mkdir()

    def replace(self, path: str) -> None:
        """Have the name of a directory lead to one of the rival's."""
        os.rename(path, f"{path}.away")
        os.symlink(self.planted, path)


@pytest.fixture
def rival(short_directory: Path) -> Rival:
    """One, in a directory that all may write to."""
    short_directory.chmod(0o777)
    return Rival(short_directory)


def after(monkeypatch: pytest.MonkeyPatch, name: str, act: Callable[[str], None]) -> None:
    """Have the rival act right after the first call of `os.<name>` with a path."""
    real = getattr(os, name)
    done: list[str] = []

    def wrapper(path: str, *args: object, **options: object) -> object:
        result = real(path, *args, **options)
        if not done:
            done.append(path)
            act(path)
        return result

    monkeypatch.setattr(module.os, name, wrapper)


def test_the_private_directory_is_private_and_goes_away(short_directory: Path) -> None:
    """Mode 0700; gone afterwards with what is in it; closing it twice is once."""
    directory = make(short_directory)
    assert mode(directory.path) == 0o700
    Path(directory.path, "file").write_text("x")
    assert Path(directory.inside, "file").read_text() == "x"
    directory.close()
    directory.close()
    assert list(short_directory.iterdir()) == []


def test_a_temporary_directory_that_is_missing_is_named(short_directory: Path) -> None:
    """The operator reads which variable to look at."""
    with pytest.raises(HandshakeError, match="TMPDIR: cannot make"):
        make(short_directory / "missing")


def test_one_that_is_replaced_before_it_is_opened_is_refused(
    rival: Rival, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a symbolic link, or by a directory that others may enter, or by one with something in it."""
    after(monkeypatch, "mkdir", rival.replace)
    with pytest.raises(HandshakeError, match="TMPDIR"):
        make(rival.parent)

    def open_to_all(path: str) -> None:
        os.rename(path, f"{path}.away")
        os.rename(rival.planted, path)

    after(monkeypatch, "mkdir", open_to_all)
    with pytest.raises(HandshakeError, match="replaced"):
        make(rival.parent)

    after(monkeypatch, "mkdir", lambda path: Path(path, "planted").write_text("x") and None)
    with pytest.raises(HandshakeError, match="replaced"):
        make(rival.parent)


def test_a_directory_of_another_user_is_refused(
    short_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever owns it can do with it what they like."""
    monkeypatch.setattr(module.os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(HandshakeError, match="replaced"):
        make(short_directory)


def test_the_key_goes_to_no_directory_of_a_rival(rival: Rival, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that leads elsewhere by now is not followed: what is inside stays inside."""
    directory = make(rival.parent)
    rival.replace(directory.path)
    written: list[str] = []
    after(monkeypatch, "open", written.append)
    identity = generate_identity()
    make_contexts(identity, identity.certificate, directory.inside)
    assert written
    assert not written[0].startswith(directory.path)
    assert list(rival.planted.iterdir()) == []
    directory.close()


def test_a_directory_that_takes_no_key_is_named(short_directory: Path) -> None:
    """An operator reads which setting is meant, not where in our code a file system was full."""
    identity = generate_identity()
    with pytest.raises(
        HandshakeError, match="TMPDIR: cannot write the key of this process to a file: No such"
    ):
        make_contexts(identity, identity.certificate, short_directory / "gone")


def test_a_socket_in_a_directory_of_a_rival_is_not_served(
    rival: Rival, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the socket went is looked at before anybody is let in."""
    directory = make(rival.parent)
    rival.replace(directory.path)
    with pytest.raises(HandshakeError, match="replaced"):
        listen(HostEnvironment(), directory)
    with socket.socket(socket.AF_UNIX) as client, pytest.raises(ConnectionRefusedError):
        client.connect(str(rival.planted / "plugin.sock"))
    directory.close()


def test_closing_removes_nothing_of_anybody_else(rival: Rival) -> None:
    """What stands in the directory's place by then stays."""
    directory = make(rival.parent)
    (rival.planted / "theirs").write_text("x")
    rival.replace(directory.path)
    directory.close()
    assert (rival.planted / "theirs").exists()


def test_without_proc_others_must_not_be_able_to_rename(
    short_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then the name is all there is: a parent that others may write to needs the sticky bit."""
    monkeypatch.setattr(module, "_DESCRIPTORS", "/no/such/folder")
    directory = make(short_directory)
    assert directory.inside == directory.path
    directory.close()
    short_directory.chmod(0o777)
    with pytest.raises(HandshakeError, match="sticky bit"):
        make(short_directory)
    assert list(short_directory.iterdir()) == []
    short_directory.chmod(0o1777)
    make(short_directory).close()


# --- a socket where others may write -----------------------------------------------------------


@pytest.mark.parametrize("step", ["bind", "chown", "chmod"])
def test_a_swapped_socket_lets_nobody_into_other_files(
    step: str, rival: Rival, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever may write to the socket directory replaces the socket between two steps by a link to a file.

    Mode and group of the file stay as they are.
    """
    victim = rival.parent / "key.pem"
    victim.write_text("secret")
    victim.chmod(0o600)
    public = rival.parent / "sockets"
    public.mkdir()
    public.chmod(0o777)

    def swap() -> None:
        for path in list(public.iterdir()):
            if path.is_socket():
                path.unlink()
                path.symlink_to(victim)

    class Socket(socket.socket):
        def bind(self, address: str) -> None:
            super().bind(address)
            if step == "bind":
                swap()

    monkeypatch.setattr("authkit.plugin.listener.socket.socket", Socket)
    for name in {"chown", "chmod"} & {step}:
        after(monkeypatch, name, lambda path: swap())
    environment = HostEnvironment(socket_directory=str(public), socket_group="12345" * (os.getuid() == 0))
    directory = make(rival.parent)
    made = listen(environment, directory)
    assert mode(victim) == 0o600
    assert victim.stat().st_gid == os.getgid()
    made.close()
    directory.close()
    assert victim.read_text() == "secret"
    assert list(public.iterdir()) == []


# --- what killed processes leave ------------------------------------------------------------------

PREFIX = "authkit-run-"


def abandon(parent: Path) -> Path:
    """Return a directory as a killed process leaves it: with a socket, and without its lock."""
    directory = PrivateDirectory(str(parent), prefix=PREFIX, variable="TMPDIR")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{directory.path}/plugin.sock")
    os.close(directory.descriptor)
    return Path(directory.path)


def test_a_directory_of_a_killed_process_is_removed(short_directory: Path) -> None:
    """One whose process lives stays, and so does everything of another name or with subfolders."""
    with closing(PrivateDirectory(str(short_directory), prefix=PREFIX, variable="TMPDIR")) as living:
        left = abandon(short_directory)
        others = [
            short_directory / name for name in ("authkit-0", f"{PREFIX}0123", "authkit-0123456789abcdef")
        ]
        for other in others:
            other.mkdir(0o700)
        full = abandon(short_directory)
        (full / "folder").mkdir()

        assert remove_abandoned(str(short_directory), prefix=PREFIX) == 1

        assert not left.exists()
        assert {*short_directory.iterdir()} == {*others, full, Path(living.path)}


def test_only_private_directories_are_removed(short_directory: Path) -> None:
    """One that others may enter, a file, and a link to a directory of this user stay."""
    left = abandon(short_directory)
    left.chmod(0o755)
    precious = short_directory / "precious"
    precious.mkdir(0o700)
    (precious / "file").write_text("kept")
    (short_directory / f"{PREFIX}{'0' * 16}").symlink_to(precious)
    (short_directory / f"{PREFIX}{'1' * 16}").write_text("")
    before = sorted(short_directory.rglob("*"))

    assert remove_abandoned(str(short_directory), prefix=PREFIX) == 0

    assert sorted(short_directory.rglob("*")) == before


def test_nothing_is_removed_where_others_may_rename(short_directory: Path) -> None:
    """They could give the name to any directory of this user. With a sticky bit they cannot."""
    left = abandon(short_directory)
    short_directory.chmod(0o777)
    assert remove_abandoned(str(short_directory), prefix=PREFIX) == 0
    short_directory.chmod(0o1777)
    assert remove_abandoned(str(short_directory), prefix=PREFIX) == 1
    assert not left.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives directories away")
def test_nothing_is_removed_in_a_directory_of_another_user(short_directory: Path) -> None:
    """Who owns it may rename what is in it, sticky bit or not."""
    left = abandon(short_directory)
    os.chown(short_directory, 12345, -1)
    assert remove_abandoned(str(short_directory), prefix=PREFIX) == 0
    assert left.exists()


@pytest.mark.parametrize("moment", ["mkdir", "open"])
def test_a_new_directory_that_looked_abandoned_is_made_again(
    short_directory: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """Another process removes it before it is locked."""
    after(monkeypatch, moment, lambda path: os.rmdir(path))
    with closing(PrivateDirectory(str(short_directory), prefix=PREFIX, variable="TMPDIR")) as made:
        assert list(short_directory.iterdir()) == [Path(made.path)]


def test_a_missing_parent_has_nothing_to_remove(short_directory: Path) -> None:
    """It is no error."""
    assert remove_abandoned(str(short_directory / "missing"), prefix=PREFIX) == 0
