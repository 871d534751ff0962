"""A real server whose API is behind TLS, as plugins of protocol 4 meet it: none of its certificates is known.

Tests reach it by a second listener without TLS; plugins are told the address of the one with TLS.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cryptography import x509

from livebed.authority import Authority
from livebed.binaries import ServerProgram
from livebed.server import Server, free_port

__all__ = ["TLSServer"]


class TLSServer(Server):
    """A server in development mode that knows itself by another name, and asks clients for certificates."""

    name = "vault.example"
    """The only name in its certificate."""

    def __init__(self, program: ServerProgram, **options: Any) -> None:
        super().__init__(program, **options)
        self.secure_address = f"https://127.0.0.1:{free_port()}"
        files, authority = self.subfolder("tls"), Authority()
        self.ca = self.write(files / "ca.pem", authority.pem)
        self.certificate, self.key = self.issue(authority, "server")
        self.client_certificate, self.client_key = self.issue(authority, "client")
        stranger = Authority()
        self.other_ca = self.write(files / "other.pem", stranger.pem)
        self.other_certificate, self.other_key = self.issue(stranger, "stranger")

    def dev_config(self) -> str:
        """Return the configuration beside dev mode's own."""
        listener = f"""
            listener "tcp" {{
              address                            = "{self.secure_address.removeprefix("https://")}"
              tls_cert_file                      = "{self.certificate}"
              tls_key_file                       = "{self.key}"
              tls_client_ca_file                 = "{self.ca}"
              tls_require_and_verify_client_cert = "true"
            }}
        """
        return super().dev_config().replace(self.address, self.secure_address) + listener

    def issue(self, authority: Authority, stem: str) -> tuple[Path, Path]:
        """Write a certificate and its key."""
        folder = self.folder / "tls"
        certificate, key = authority.issue(x509.DNSName(self.name))
        return self.write(folder / f"{stem}.pem", certificate), self.write(folder / f"{stem}.key", key)

    @staticmethod
    def write(path: Path, text: str) -> Path:
        """Write a file; return its path."""
        path.write_text(text)
        return path
