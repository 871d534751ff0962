"""The socket that a host dials: a Unix socket, or TCP on loopback where there are none."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from authkit.errors import HandshakeError
from authkit.plugin.environment import HostEnvironment
from authkit.rpc import Address
from authkit.values import Value

__all__ = ["Listener", "listen", "private_directory"]

MAX_SOCKET_PATH_BYTES = 107
"""`sun_path` on Linux, less its end mark."""

BACKLOG = 128


class Listener(Value, frozen=True):
    """A socket that already accepts connections, and how the host reaches it."""

    socket: socket.socket
    address: Address

    def close(self) -> None:
        """Close the socket and remove its file."""
        self.socket.close()
        if self.address.network == "unix":
            with suppress(FileNotFoundError):
                os.unlink(self.address.target)


@contextmanager
def private_directory() -> Iterator[str]:
    """Lend a directory that nobody else may enter (mode 0700), gone afterwards with all that is in it.

    Raises:
        HandshakeError: it could not be made; `TMPDIR` says where.
    """
    path = os.path.join(os.environ.get("TMPDIR") or "/tmp", f"authkit-{os.urandom(8).hex()}")  # noqa: S108
    try:
        os.mkdir(path, 0o700)
    except OSError as error:
        raise HandshakeError(f"TMPDIR: cannot make a private directory: {error.strerror}") from error
    try:
        yield path
    finally:
        import shutil

        shutil.rmtree(path, ignore_errors=True)


def listen(environment: HostEnvironment, private: str | os.PathLike[str]) -> Listener:
    """Return a listening socket where the host wants it, else in the directory `private`.

    Raises:
        HandshakeError: the host's wish cannot be met; the text names the variable.
    """
    if not hasattr(socket, "AF_UNIX"):
        return _listen_tcp(environment)
    if environment.socket_directory:
        path = _path_for(environment.socket_directory)
    else:
        path = os.path.join(private, "plugin.sock")
    _check_length(path, "PLUGIN_UNIX_SOCKET_DIR" if environment.socket_directory else "TMPDIR")
    return _listen_unix(path, environment)


def _path_for(directory: str) -> str:
    if not os.path.isdir(directory):
        raise HandshakeError(f"PLUGIN_UNIX_SOCKET_DIR is not a directory: {directory}")
    if not os.access(directory, os.W_OK | os.X_OK):
        raise HandshakeError(f"PLUGIN_UNIX_SOCKET_DIR is not writable: {directory}")
    return os.path.join(directory, f"plugin{os.urandom(8).hex()}")


def _check_length(path: str, variable: str) -> None:
    if len(os.fsencode(path)) > MAX_SOCKET_PATH_BYTES:
        raise HandshakeError(
            f"{variable} is too long: a socket path has at most {MAX_SOCKET_PATH_BYTES} bytes, got {path}"
        )


def _listen_unix(path: str, environment: HostEnvironment) -> Listener:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # From the first moment on only this user may connect; the group is let in afterwards.
    previous = os.umask(0o177)
    try:
        listener.bind(path)
    except OSError as error:
        listener.close()
        variable = "PLUGIN_UNIX_SOCKET_DIR" if environment.socket_directory else "TMPDIR"
        raise HandshakeError(f"{variable}: cannot make a socket: {error.strerror}: {path}") from error
    finally:
        os.umask(previous)
    try:
        _let_in_group(path, environment.socket_group)
        listener.listen(BACKLOG)
    except BaseException:
        listener.close()
        os.unlink(path)
        raise
    listener.setblocking(False)
    return Listener(listener, Address("unix", path))


def _let_in_group(path: str, group: str) -> None:
    if not group:
        return
    import shutil

    number = int(group) if group.isascii() and group.isdigit() else None
    try:
        shutil.chown(path, group=group if number is None else number)
        os.chmod(path, 0o660)
    except (LookupError, OverflowError, OSError) as error:
        raise HandshakeError(
            f"PLUGIN_UNIX_SOCKET_GROUP: cannot let in the group {group!r}: {error}"
        ) from error


def _listen_tcp(environment: HostEnvironment) -> Listener:
    ports = range(environment.min_port, environment.max_port + 1)
    for port in ports:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            listener.close()
            continue
        listener.listen(BACKLOG)
        listener.setblocking(False)
        host, bound = listener.getsockname()
        return Listener(listener, Address("tcp", f"{host}:{bound}"))
    raise HandshakeError(f"PLUGIN_MIN_PORT to PLUGIN_MAX_PORT: no free port from {ports[0]} to {ports[-1]}")
