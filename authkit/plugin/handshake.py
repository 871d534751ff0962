"""The handshake of go-plugin: cookie, version choice and the one line on standard output.

Nothing here does I/O, and nothing is imported: this is what a process needs to refuse to start.
The facts are those of go-plugin 1.8 (server.go, Serve and protocolVersion; client.go, Start).
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

__all__ = ["CORE_VERSION", "ENABLING", "choose_version", "handshake_line", "is_cookie_right", "notice"]

CORE_VERSION = 1
"""go-plugin's own protocol version. Hosts refuse any other."""

ENABLING = "enable it with `vault auth enable` or `vault secrets enable`"
"""What an operator does with a registered backend."""


def is_cookie_right(environ: Mapping[str, str], key: str, value: str) -> bool:
    """Whether a host that wants this kind of plugin has started the process.

    The cookie is not a secret: it keeps people from running a plugin by hand, and tells a host that
    probes an executable of unknown type that it is not of the type it probes for.
    """
    return environ.get(key) == value


def notice(program: str, enabling: str = ENABLING) -> str:
    """Return what to tell somebody who has started the plugin by hand: one line.

    `enabling` is what an operator does with a registered plugin of this kind.
    """
    return (
        f"{program} is a plugin: it is started by a Vault or OpenBao server, not by hand. "
        "Put it into the server's plugin_directory, register it with `vault plugin register` "
        f"and {enabling}.\n"
    )


def choose_version(offered: Collection[int], supported: Collection[int]) -> int | None:
    """Return the highest version that both sides know, `None` when there is none."""
    return max(set(offered) & set(supported), default=None)


def handshake_line(
    *, version: int, network: str, address: str, certificate: str, multiplex: bool | None
) -> bytes:
    """Return the line that announces the plugin to its host.

    `certificate` is DER in unpadded standard base64, or empty. `multiplex` answers a host that asked
    for brokered multiplexing and must be `None` for one that did not: hosts before go-plugin 1.6
    take a seventh field for a part of the certificate.

    Raises:
        ValueError: a field that would make a host fail. Any network but `unix` and `tcp` takes the
            whole server down (observed on Vault 1.21.1 with go-plugin 1.6.3).
    """
    if network not in ("unix", "tcp"):
        raise ValueError(f"a plugin listens on unix or tcp, not on {network!r}")
    if "=" in certificate:
        raise ValueError("the certificate field is unpadded base64")
    fields = [str(CORE_VERSION), str(version), network, address, "grpc", certificate]
    if multiplex is not None:
        fields.append("true" if multiplex else "false")
    if any("|" in field or "\n" in field for field in fields):
        raise ValueError("a handshake field holds a separator")
    return "|".join(fields).encode() + b"\n"
