"""Where the metrics are read: what `AUTHKIT_METRICS` may say, and the listening socket that it stands for.

Only this machine gets there: a Unix socket for its owner, or a loopback address.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Protocol

from authkit.errors import PluginError
from authkit.plugin.environment import METRICS_VARIABLE as VARIABLE
from authkit.values import Value

__all__ = ["Endpoint", "EndpointError", "InUseError", "Listening", "TCPEndpoint", "UnixEndpoint", "parse"]

MAX_SOCKET_PATH_BYTES = 107
"""`sun_path` on Linux, less its end mark."""

BACKLOG = 16

_FORMS = "unix:/DIRECTORY/NAME.sock or 127.0.0.1:PORT"


class EndpointError(PluginError):
    """The metrics cannot be offered there. The text says what to change."""


class InUseError(EndpointError):
    """Another process is there, which may end: an earlier run of this plugin, most likely."""


class Listening(Value, frozen=True, eq=False):
    """A listening socket, which does not block."""

    socket: socket.socket
    name: str = ""
    """Of a Unix socket; empty for a port."""
    directory: int = -1
    """The descriptor of its directory, to be closed by `leave`."""
    inode: int = 0
    """Of that file."""

    def leave(self) -> None:
        """Remove the file, then close the socket: until then no other process takes the place."""
        if self.name:
            # By the directory that was checked: another one may have come to its path.
            with suppress(OSError):
                found = os.stat(self.name, dir_fd=self.directory, follow_symlinks=False)
                if found.st_ino == self.inode:
                    os.unlink(self.name, dir_fd=self.directory)
            os.close(self.directory)
        self.socket.close()


class Endpoint(Protocol):
    """Where the metrics are read."""

    def listen(self) -> Listening:
        """Return the listening socket.

        Raises:
            InUseError: another process has the place.
            EndpointError: the place cannot be had.
        """
        ...

    def is_for(self, host: str) -> bool:
        """Return whether a request for this host, from its `Host` header, is meant for the endpoint."""
        ...


def parse(text: str) -> Endpoint:
    """Return the endpoint that an operator names.

    Raises:
        EndpointError: the text names no endpoint, or one that other machines could reach.
    """
    if text.startswith("unix:"):
        return UnixEndpoint(_checked_path(text.removeprefix("unix:")))
    host, colon, port = text.rpartition(":")
    if not colon or not (port.isascii() and port.isdigit()) or not 1 <= int(port[:6]) <= 65535:
        raise EndpointError(f"{VARIABLE}: {text!r} is not a place for metrics; write {_FORMS}")
    address = _find_loopback(host)
    if address is None:
        raise EndpointError(
            f"{VARIABLE}: {host!r} is not a loopback address; other machines could read there. Write {_FORMS}"
        )
    return TCPEndpoint(address, int(port))


def _checked_path(path: str) -> str:
    if not os.path.isabs(path) or os.path.normpath(path) != path or path.startswith("//") or "\0" in path:
        raise EndpointError(f"{VARIABLE}: {path!r} is not the full path of a socket; write {_FORMS}")
    if len(os.fsencode(path)) > MAX_SOCKET_PATH_BYTES:
        raise EndpointError(
            f"{VARIABLE} is too long: a socket path has at most {MAX_SOCKET_PATH_BYTES} bytes, got {path!r}"
        )
    return path


def _find_loopback(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text[1:-1] if text.startswith("[") and text.endswith("]") else text)
    except ValueError:
        return None
    is_plain = isinstance(address, IPv4Address) or (str(address) == "::1" and text.startswith("["))
    return address if is_plain and address.is_loopback else None


class TCPEndpoint(Value, frozen=True):
    """A port on a loopback address. Every user of the machine can read there."""

    address: IPv4Address | IPv6Address
    port: int

    def listen(self) -> Listening:
        """Return the listening socket. See `Endpoint`."""
        family = socket.AF_INET if self.address.version == 4 else socket.AF_INET6
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            # The port of a process that has just ended, and not one that somebody listens on (Linux).
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((str(self.address), self.port))
            listener.listen(BACKLOG)
        except OSError as error:
            listener.close()
            kind = InUseError if error.errno == errno.EADDRINUSE else EndpointError
            raise kind(f"{VARIABLE}: cannot listen on {self}: {error.strerror}") from error
        listener.setblocking(False)
        return Listening(listener)

    def is_for(self, host: str) -> bool:
        """Return whether `host` is a loopback address or `localhost`.

        A page in a browser on this machine can have its own name lead to the port, and would read the answer.
        """
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
        return name.lower() == "localhost" or _find_loopback(name) is not None

    def __str__(self) -> str:
        return f"[{self.address}]:{self.port}" if self.address.version == 6 else f"{self.address}:{self.port}"


class UnixEndpoint(Value, frozen=True):
    """A Unix socket of mode 0600, in a directory where nobody else can put anything in its place."""

    path: str

    def listen(self) -> Listening:
        """Return the listening socket; one that a process of this user has left behind is replaced.

        See `Endpoint`.
        """
        with self._directory() as descriptor, self._alone(descriptor):
            self._remove_abandoned(descriptor)
            listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                listener.bind(self.path)
                # Nobody can connect before it listens.
                os.chmod(self._name, 0o600, dir_fd=descriptor)
                inode = os.stat(self._name, dir_fd=descriptor, follow_symlinks=False).st_ino
                listener.listen(BACKLOG)
                listener.setblocking(False)
                return Listening(listener, self._name, os.dup(descriptor), inode)
            except OSError as error:
                listener.close()
                raise EndpointError(
                    f"{VARIABLE}: cannot make a socket: {error.strerror}: {self.path}"
                ) from error

    def is_for(self, host: str) -> bool:
        """Return true: browsers do not get here, and the header says nothing."""
        return True

    def __str__(self) -> str:
        return f"unix:{self.path}"

    @property
    def _name(self) -> str:
        return os.path.basename(self.path)

    @contextmanager
    def _directory(self) -> Iterator[int]:
        """Lend a descriptor of the directory, reached without symbolic links, and checked on the way."""
        descriptor = os.open("/", _DIRECTORY)
        try:
            walked = "/"
            for name in filter(None, os.path.dirname(self.path).split("/")):
                walked = os.path.join(walked, name)
                try:
                    inner = os.open(name, _DIRECTORY, dir_fd=descriptor)
                except OSError as error:
                    raise EndpointError(f"{VARIABLE}: {_describe(error, walked)}") from error
                os.close(descriptor)
                descriptor = inner
                _verify_owner(os.fstat(descriptor), walked)
            if stat.S_IMODE(os.fstat(descriptor).st_mode) & (stat.S_IWGRP | stat.S_IWOTH):
                raise EndpointError(f"{VARIABLE}: others may write to {walked}; remove that permission")
            yield descriptor
        finally:
            os.close(descriptor)

    @contextmanager
    def _alone(self, descriptor: int) -> Iterator[None]:
        """Hold a lock: of two processes that find an abandoned socket, one may replace it."""
        # A file, since whoever may read the directory could lock the directory itself.
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
        try:
            lock = os.open(f"{self._name}.lock", flags, 0o600, dir_fd=descriptor)
        except OSError as error:
            raise EndpointError(f"{VARIABLE}: {_describe(error, f'{self.path}.lock')}") from error
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise InUseError(f"{VARIABLE}: another process is about to listen on {self.path}") from error
            yield
        finally:
            os.close(lock)

    def _remove_abandoned(self, descriptor: int) -> None:
        """Remove the socket of a process of this user that has ended.

        Raises:
            InUseError: a process listens on it.
            EndpointError: it is anything else.
        """
        try:
            found = os.stat(self._name, dir_fd=descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return
        if not stat.S_ISSOCK(found.st_mode) or found.st_uid != os.geteuid():
            raise EndpointError(
                f"{VARIABLE}: a file that is not a socket of this user is there, and stays: {self.path}"
            )
        if _is_answered(self.path):
            raise InUseError(f"{VARIABLE}: another process listens on {self.path}")
        os.unlink(self._name, dir_fd=descriptor)


_DIRECTORY = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW
"""With `O_PATH`, where there is one, also a directory that this user may only pass."""


def _describe(error: OSError, path: str) -> str:
    if os.path.islink(path):
        return f"{path} is a symbolic link; write the path that it leads to: {os.path.realpath(path)}"
    return f"{path}: {error.strerror}"


def _verify_owner(found: os.stat_result, path: str) -> None:
    """Raise EndpointError if others than root and this user may rename what is in a directory."""
    if found.st_uid not in (0, os.geteuid()):
        raise EndpointError(
            f"{VARIABLE}: {path} belongs to another user; the owner must be root or the user of this process"
        )
    others = stat.S_IMODE(found.st_mode) & (stat.S_IWGRP | stat.S_IWOTH)
    if others and not found.st_mode & stat.S_ISVTX:
        raise EndpointError(f"{VARIABLE}: others may write to {path}; remove that permission")


def _is_answered(path: str) -> bool:
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            return False
        except OSError:  # a full queue, for one
            return True
        return True
