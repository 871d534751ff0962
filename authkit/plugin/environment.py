"""What the host says in environment variables, read once into one frozen value.

The variables are go-plugin's (1.8, constants.go and client.go, Start). Vault's own are read by
`authkit.wire`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from authkit.errors import HandshakeError
from authkit.values import Value

__all__ = ["METRICS_VARIABLE", "STALL_VARIABLE", "HostEnvironment"]

STALL_VARIABLE = "AUTHKIT_STALL_SECONDS"
"""Not a host's: how long a handler may keep the event loop before the log tells (`plugin/stalls.py`)."""

METRICS_VARIABLE = "AUTHKIT_METRICS"
"""Not a host's either: where the metrics of the process are read (`authkit.metrics`)."""

_MAX_PORT = 65535


class HostEnvironment(Value, frozen=True, kw_only=True):
    """Host settings, read from environment variables."""

    versions: frozenset[int] = frozenset()
    """Application protocol versions it offers; items that are not numbers are skipped."""
    client_certificate: str = ""
    """PEM of its one-time certificate. Present: it wants mutual TLS."""
    min_port: int = 0
    """First TCP port to try; 0 leaves the choice to the system."""
    max_port: int = 0
    """Last TCP port to try."""
    socket_directory: str = ""
    """Where sockets must be; empty: anywhere."""
    socket_group: str = ""
    """Group, by name or number, that must be able to connect; empty: none."""
    multiplex_requested: bool = False
    """It wants brokered connections on the one socket."""

    unshown: ClassVar = ("client_certificate",)

    @classmethod
    def parse(cls, environ: Mapping[str, str]) -> HostEnvironment:
        """Read the variables.

        Raises:
            HandshakeError: one is malformed; the text names it.
        """
        min_port, max_port = _port(environ, "PLUGIN_MIN_PORT"), _port(environ, "PLUGIN_MAX_PORT")
        if min_port > max_port:
            raise HandshakeError(f"PLUGIN_MIN_PORT ({min_port}) is above PLUGIN_MAX_PORT ({max_port})")
        return cls(
            versions=_versions(environ.get("PLUGIN_PROTOCOL_VERSIONS", "")),
            client_certificate=environ.get("PLUGIN_CLIENT_CERT", ""),
            min_port=min_port,
            max_port=max_port,
            socket_directory=environ.get("PLUGIN_UNIX_SOCKET_DIR", ""),
            socket_group=environ.get("PLUGIN_UNIX_SOCKET_GROUP", ""),
            multiplex_requested=bool(environ.get("PLUGIN_MULTIPLEX_GRPC", "")),
        )


def _versions(text: str) -> frozenset[int]:
    return frozenset(int(item) for item in text.split(",") if item.isascii() and item.isdigit())


def _port(environ: Mapping[str, str], name: str) -> int:
    text = environ.get(name, "")
    if not text:
        return 0
    if not (text.isascii() and text.isdigit()) or int(text) > _MAX_PORT:
        raise HandshakeError(f"{name} is not a port number: {text!r}")
    return int(text)
