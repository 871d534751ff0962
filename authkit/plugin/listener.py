"""The socket that a host dials: a Unix socket, or TCP on loopback where there are none."""

from __future__ import annotations

import os
import socket
from contextlib import closing, suppress

from authkit.errors import HandshakeError
from authkit.plugin.environment import HostEnvironment
from authkit.plugin.security.private_directory import PrivateDirectory
from authkit.rpc import Address
from authkit.values import Value

__all__ = ["Listener", "listen"]

MAX_SOCKET_PATH_BYTES = 107
"""`sun_path` on Linux, less its end mark."""

BACKLOG = 128

_DIRECTORY = "PLUGIN_UNIX_SOCKET_DIR"
_NAME = "plugin.sock"
_STAGED_NAME = "s"
"""Short: with the private directory's name it is not longer than the name it gets in the end."""


class Listener(Value, frozen=True):
    """A socket that already accepts connections, and how the host reaches it."""

    socket: socket.socket
    address: Address

    def close(self) -> None:
        """Close the socket and remove its file."""
        self.socket.close()
        self.remove_file()

    def remove_file(self) -> None:
        """Remove the file of a Unix socket."""
        if self.address.network == "unix":
            with suppress(FileNotFoundError):
                os.unlink(self.address.target)


def listen(environment: HostEnvironment, private: PrivateDirectory) -> Listener:
    """Return a listening socket where the host wants it, else in the directory `private`.

    Raises:
        HandshakeError: the host's settings cannot be met; the text names the variable.
    """
    if not hasattr(socket, "AF_UNIX"):
        return _listen_tcp(environment)
    if not environment.socket_directory:
        return _listen_unix(private, _NAME, environment.socket_group, "TMPDIR")
    path = _path_for(environment.socket_directory)
    # Others may write there, a group at least: whatever has to be done to the socket is done out of their
    # reach, and then it moves to its place in one step.
    with closing(PrivateDirectory(environment.socket_directory, prefix=".", variable=_DIRECTORY)) as made:
        staged = _listen_unix(made, _STAGED_NAME, environment.socket_group, _DIRECTORY)
        try:
            os.rename(_STAGED_NAME, path, src_dir_fd=made.descriptor)
        except OSError as error:
            staged.socket.close()
            raise HandshakeError(f"{_DIRECTORY}: cannot make a socket: {error.strerror}: {path}") from error
    return Listener(staged.socket, Address("unix", path))


def _path_for(directory: str) -> str:
    if not os.path.isdir(directory):
        raise HandshakeError(f"{_DIRECTORY} is not a directory: {directory}")
    if not os.access(directory, os.W_OK | os.X_OK):
        raise HandshakeError(f"{_DIRECTORY} is not writable: {directory}")
    path = os.path.join(directory, f"plugin{os.urandom(8).hex()}")
    _check_length(path, _DIRECTORY)
    return path


def _check_length(path: str, variable: str) -> None:
    if len(os.fsencode(path)) > MAX_SOCKET_PATH_BYTES:
        raise HandshakeError(
            f"{variable} is too long: a socket path has at most {MAX_SOCKET_PATH_BYTES} bytes, got {path}"
        )


def _listen_unix(directory: PrivateDirectory, name: str, group: str, variable: str) -> Listener:
    """Return a socket in a private directory, ready to be dialled by its owner and by `group`."""
    path = os.path.join(directory.path, name)
    _check_length(path, variable)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        try:
            listener.bind(path)
        except OSError as error:
            raise HandshakeError(f"{variable}: cannot make a socket: {error.strerror}: {path}") from error
        directory.verify_holds(name)
        _let_in(directory, name, group)
        listener.listen(BACKLOG)
    except BaseException:
        listener.close()
        raise
    listener.setblocking(False)
    return Listener(listener, Address("unix", path))


def _let_in(directory: PrivateDirectory, name: str, group: str) -> None:
    """Let the owner connect, and the group if there is one."""
    if not group:
        os.chmod(name, 0o600, dir_fd=directory.descriptor)
        return
    try:
        os.chown(name, -1, _group_number(group), dir_fd=directory.descriptor, follow_symlinks=False)
        os.chmod(name, 0o660, dir_fd=directory.descriptor)
    except (LookupError, OverflowError, OSError) as error:
        raise HandshakeError(
            f"PLUGIN_UNIX_SOCKET_GROUP: cannot let in the group {group!r}: {error}"
        ) from error


def _group_number(group: str) -> int:
    if group.isascii() and group.isdigit():
        return int(group)
    from grp import getgrnam

    return getgrnam(group).gr_gid


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
