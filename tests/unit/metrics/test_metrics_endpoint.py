"""Where metrics may be offered: this machine alone, and nothing of anybody else is harmed."""

from __future__ import annotations

import os
import socket
import stat
from contextlib import closing
from pathlib import Path

import pytest

from authkit.metrics.endpoint import EndpointError, InUseError, TCPEndpoint, UnixEndpoint, parse


@pytest.mark.parametrize("text", ["127.0.0.1:9102", "127.3.2.1:1", "[::1]:65535"])
def test_loopback_addresses_are_places(text: str) -> None:
    """Of both families; the place is shown as it was written."""
    endpoint = parse(text)
    assert isinstance(endpoint, TCPEndpoint)
    assert str(endpoint) == text


@pytest.mark.parametrize(
    "text",
    [
        *("", ":", "9102", ":9102", "localhost:9102", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:65536"),
        *("127.0.0.1:-1", "127.0.0.1:+1", "127.0.0.1: 1", "127.0.0.1:1_0", "127.0.0.1:\u0661"),
        *("127.0.0.1:" + "9" * 5000, "::1:9102", "[::]:9102", "0.0.0.0:9102", "10.0.0.1:9102"),
        *("[::ffff:127.0.0.1]:9102", "[::1%lo]:9102", "127.1:9102", "127.0.0.1.nip.io:9102", "[127.0.0.1:1"),
        *("unix:", "unix:m.sock", "unix:/run/../m.sock", "unix://run/m.sock", "unix:/run/m/", "unix:/a\0b"),
        *("unix:/" + "x" * 107, "unix:/run//m.sock", "unix:@abstract", "UNIX:/run/m.sock"),
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    """What other machines could reach, and what is no place at all; the text says what to write."""
    with pytest.raises(EndpointError, match="AUTHKIT_METRICS"):
        parse(text)


@pytest.mark.parametrize(
    ("host", "is_ours"),
    [
        ("127.0.0.1:9102", True),
        ("127.0.0.1", True),
        ("localhost:9102", True),
        ("LOCALHOST", True),
        ("[::1]:9102", True),
        ("", False),
        ("attacker.example:9102", False),
        ("127.0.0.1.attacker.example", False),
        ("localhost.attacker.example:9102", False),
        ("10.0.0.1:9102", False),
    ],
)
def test_a_port_is_for_loopback_names_alone(host: str, is_ours: bool) -> None:
    """A page whose name leads to the port reads nothing."""
    assert parse("127.0.0.1:9102").is_for(host) is is_ours
    assert parse("unix:/run/m.sock").is_for(host)


def test_a_port_in_use_is_waited_for() -> None:
    """It may be that of the process before."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server, pytest.raises(InUseError):
        parse(f"127.0.0.1:{server.getsockname()[1]}").listen()


def test_a_socket_is_made_for_its_owner(short_directory: Path) -> None:
    """Whatever the umask; leaving removes it."""
    path = short_directory / "m.sock"
    before = os.umask(0)
    try:
        listening = UnixEndpoint(str(path)).listen()
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    listening.leave()
    assert not path.exists()


def test_a_living_socket_is_left_alone(short_directory: Path) -> None:
    """Also one whose queue is full, and whoever waits gets the place afterwards."""
    path = short_directory / "m.sock"
    endpoint = UnixEndpoint(str(path))
    listening = endpoint.listen()
    waiting = []
    while True:
        client = socket.socket(socket.AF_UNIX)
        client.setblocking(False)
        waiting.append(client)
        try:
            client.connect(str(path))
        except BlockingIOError:
            break
    with pytest.raises(InUseError):
        endpoint.listen()
    assert path.is_socket()
    listening.leave()
    endpoint.listen().leave()
    for each in waiting:
        each.close()


def test_an_abandoned_socket_is_replaced(short_directory: Path) -> None:
    """A process that was killed leaves it behind."""
    path = short_directory / "m.sock"
    abandoned = UnixEndpoint(str(path)).listen()
    abandoned.socket.close()
    assert path.is_socket()
    UnixEndpoint(str(path)).listen().leave()


def test_leaving_removes_no_other_socket(short_directory: Path) -> None:
    """Somebody removed the file by hand, and the next process is there already."""
    path = short_directory / "m.sock"
    endpoint = UnixEndpoint(str(path))
    first = endpoint.listen()
    path.rename(short_directory / "kept")  # so that the inode is not given out again
    second = endpoint.listen()
    first.leave()
    assert path.is_socket()
    second.leave()
    assert not path.exists()


def test_leaving_removes_nothing_from_another_directory(short_directory: Path) -> None:
    """One that came to the path meanwhile, such as after a clean-up of /tmp."""
    ours, kept, other = (short_directory / name for name in ("d", "kept", "other"))
    ours.mkdir(mode=0o700)
    other.mkdir()
    listening = UnixEndpoint(f"{ours}/m.sock").listen()
    ours.rename(kept)
    os.link(kept / "m.sock", other / "m.sock")
    ours.symlink_to(other)
    listening.leave()
    assert (other / "m.sock").is_socket()
    assert not (kept / "m.sock").exists()


@pytest.mark.parametrize("kind", ["file", "directory", "link", "dangling", "fifo"])
def test_nothing_but_a_socket_is_removed(short_directory: Path, kind: str) -> None:
    """Also no link to a socket, and none that leads nowhere."""
    path = short_directory / "m.sock"
    other = short_directory / "other.sock"
    with closing(socket.socket(socket.AF_UNIX)) as abandoned:
        abandoned.bind(str(other))
    make = {
        "file": path.touch,
        "directory": path.mkdir,
        "link": lambda: path.symlink_to(other),
        "dangling": lambda: path.symlink_to(short_directory / "nowhere"),
        "fifo": lambda: os.mkfifo(path),
    }
    make[kind]()
    before = path.lstat()
    with pytest.raises(EndpointError, match="stays"):
        UnixEndpoint(str(path)).listen()
    assert path.lstat().st_ino == before.st_ino
    assert other.is_socket()


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777, 0o1777])
def test_a_directory_of_others_is_no_place(short_directory: Path, mode: int) -> None:
    """Whoever may write there could put something else in the socket's place, or take its name before."""
    inner = short_directory / "d"
    inner.mkdir()
    inner.chmod(mode)
    with pytest.raises(EndpointError, match="others may write"):
        UnixEndpoint(f"{inner}/m.sock").listen()
    assert list(inner.iterdir()) == []


def test_a_directory_above_counts_as_well(short_directory: Path) -> None:
    """Whoever may rename a directory can put another one in its place, unless there is a sticky bit."""
    above = short_directory / "above"
    (above / "d").mkdir(parents=True)
    above.chmod(0o777)
    with pytest.raises(EndpointError, match="others may write"):
        UnixEndpoint(f"{above}/d/m.sock").listen()
    above.chmod(0o1777)
    UnixEndpoint(f"{above}/d/m.sock").listen().leave()


def test_links_are_not_followed(short_directory: Path) -> None:
    """The text says where the link leads to."""
    (short_directory / "d").mkdir(mode=0o700)
    (short_directory / "link").symlink_to("d")
    with pytest.raises(EndpointError, match=f"symbolic link.*{short_directory}/d"):
        UnixEndpoint(f"{short_directory}/link/m.sock").listen()
    assert list((short_directory / "d").iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give something away")
def test_what_belongs_to_others_is_refused(short_directory: Path) -> None:
    """The directory, and a socket in a directory of ours."""
    (short_directory / "d").mkdir(mode=0o700)
    with closing(socket.socket(socket.AF_UNIX)) as abandoned:
        abandoned.bind(f"{short_directory}/d/m.sock")
    os.chown(short_directory / "d/m.sock", 12345, 12345)
    with pytest.raises(EndpointError, match="stays"):
        UnixEndpoint(f"{short_directory}/d/m.sock").listen()
    os.chown(short_directory / "d", 12345, 12345)
    with pytest.raises(EndpointError, match="belongs to another user"):
        UnixEndpoint(f"{short_directory}/d/n.sock").listen()


def test_a_lock_is_no_link(short_directory: Path) -> None:
    """The file of the lock is made in the directory, or not at all."""
    (short_directory / "m.sock.lock").symlink_to(short_directory / "victim")
    with pytest.raises(EndpointError):
        UnixEndpoint(f"{short_directory}/m.sock").listen()
    assert not (short_directory / "victim").exists()
