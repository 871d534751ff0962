"""The server that the environment names, as the server's own command line reads it.

Each variable has two names, `BAO_X` and `VAULT_X`: the first that is set counts, also if it is empty, and for
each variable by itself (OpenBao 2.6, api/env.go, ReadBaoVariable). `SKIP_VERIFY`, `TLS_SERVER_NAME` and
`AGENT_ADDR` are not read.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import ClassVar

from authkit.deployment.errors import DeploymentError
from authkit.values import Value
from authkit.wire.variables import read_variable

__all__ = ["ServerEnvironment"]

DEFAULT_ADDRESS = "https://127.0.0.1:8200"
"""That of the `vault` command."""

_TOKEN = re.compile(r"[!-~]+")


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
    def read(cls, environ: Mapping[str, str] = os.environ) -> ServerEnvironment:
        """Read `BAO_ADDR`, else `VAULT_ADDR`, and in the same way `TOKEN`, `CACERT`, `CAPATH` and so on.

        The token may also be in the file that `BAO_TOKEN_PATH` names, else in `~/.vault-token`, where
        `vault login` keeps it.

        Raises:
            DeploymentError: there is no token, or it cannot be one. The text does not repeat it.
        """
        find = partial(read_variable, environ)
        certificate = find("CLIENT_CERT")
        token = find("TOKEN").strip() or _kept_token(find("TOKEN_PATH"))
        if not _TOKEN.fullmatch(token):
            # requests would quote it in its error.
            raise DeploymentError("the token has blanks, line breaks or other characters that no token has")
        return cls(
            address=find("ADDR") or DEFAULT_ADDRESS,
            token=token,
            ca_file=find("CACERT"),
            ca_folder=find("CAPATH"),
            client_certificate=(certificate, find("CLIENT_KEY")) if certificate else None,
            namespace=find("NAMESPACE"),
        )


def _kept_token(named: str) -> str:
    file = Path(named) if named else Path.home() / ".vault-token"
    try:
        kept = file.read_text().strip()
    except (OSError, UnicodeError):
        kept = ""
    if not kept:
        raise DeploymentError(
            "no token to ask with: set VAULT_TOKEN or BAO_TOKEN, or log in with vault login"
        )
    return kept
