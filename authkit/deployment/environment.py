"""The server that the environment names, as the server's own command line reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from authkit.deployment.errors import DeploymentError
from authkit.values import Value

__all__ = ["ServerEnvironment"]

DEFAULT_ADDRESS = "https://127.0.0.1:8200"
"""That of the `vault` command."""


class ServerEnvironment(Value, frozen=True, kw_only=True):
    """Where a server is, whom to trust there, and with which token to ask. Read from the environment."""

    address: str
    token: str
    ca_file: str = ""
    """Certificates to trust, in one file; empty for those of the machine."""
    ca_folder: str = ""
    """The same in a folder."""
    client_certificate: tuple[str, str] | None = None
    """The files of a certificate and its key."""
    namespace: str = ""

    unshown: ClassVar = ("token",)

    @classmethod
    def read(cls, environ: Mapping[str, str], prefixes: Sequence[str]) -> ServerEnvironment:
        """Read `PREFIX_ADDR`, `PREFIX_TOKEN` and so on. Of several prefixes the first with a value counts.

        The token may also be in `~/.vault-token`, where `vault login` keeps it.

        Raises:
            DeploymentError: there is no token.
        """

        def find(name: str) -> str:
            return next(filter(None, (environ.get(f"{prefix}_{name}") for prefix in prefixes)), "")

        certificate = find("CLIENT_CERT")
        return cls(
            address=find("ADDR") or DEFAULT_ADDRESS,
            token=find("TOKEN").strip() or _kept_token(),
            ca_file=find("CACERT"),
            ca_folder=find("CAPATH"),
            client_certificate=(certificate, find("CLIENT_KEY")) if certificate else None,
            namespace=find("NAMESPACE"),
        )


def _kept_token() -> str:
    try:
        kept = (Path.home() / ".vault-token").read_text().strip()
    except (OSError, UnicodeError):
        kept = ""
    if not kept:
        raise DeploymentError("no token to ask with: set VAULT_TOKEN, or log in with vault login")
    return kept
