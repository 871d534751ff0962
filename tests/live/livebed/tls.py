"""A stranger's TLS: a certificate of its own making, and a handshake on a plugin's socket."""

from __future__ import annotations

import socket
import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from livebed.starts import make_certificate

__all__ = ["Identity", "handshake", "self_made_identity"]

HANDSHAKE_SECONDS = 10.0
HTTP2_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"


@dataclass(frozen=True)
class Identity:
    """A certificate and its key, in one PEM text."""

    pem: bytes


def self_made_identity() -> Identity:
    """Return a certificate that looks like a host's and that nobody has announced."""
    certificate, key = make_certificate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return Identity(certificate.public_bytes(Encoding.PEM) + private)


def handshake(path: Path, identity: Identity | None) -> bytes:
    """Shake hands on a unix socket, begin HTTP/2 and return the first bytes of the answer.

    At TLS 1.3 a client learns only when it reads that its certificate was refused.

    Raises:
        ssl.SSLError, ConnectionError: refused.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # the stranger does not care whom it talks to
    context.set_alpn_protocols(["h2"])
    if identity is not None:
        with tempfile.NamedTemporaryFile() as file:
            file.write(identity.pem)
            file.flush()
            context.load_cert_chain(file.name)
    with socket.socket(socket.AF_UNIX) as raw:
        raw.settimeout(HANDSHAKE_SECONDS)
        raw.connect(str(path))
        with context.wrap_socket(raw) as connection:
            connection.sendall(HTTP2_PREFACE)
            answer = connection.recv(1024)
    if not answer:
        raise ConnectionResetError("closed without an answer")
    return answer
