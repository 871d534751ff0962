"""OpenSSL contexts for both directions of the connection with a host.

Each side trusts exactly one certificate, the one that the other announced for this process, and
proves that it owns its own. No option turns any of this off.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from authkit.errors import HandshakeError
from authkit.plugin.security.certificates import (
    SERVER_NAME,
    TLSIdentity,
    encode_field,
    generate_identity,
    pem_to_der,
)
from authkit.values import Value

__all__ = ["TransportSecurity", "auto_mtls", "make_contexts"]


class TransportSecurity(Value, frozen=True, kw_only=True):
    """How both directions are secured."""

    server: ssl.SSLContext | None
    """For the host's connection to us. `None` is plaintext: a metadata probe of protocol 4."""
    client: ssl.SSLContext | None
    """For our connections to the host."""
    server_name: str = SERVER_NAME
    """The name that the host's certificate must bear."""
    announced: str = ""
    """Our certificate, as the handshake line says it; empty when the host knows it already."""


def auto_mtls(host_certificate_pem: str, directory: str | os.PathLike[str]) -> TransportSecurity:
    """Make this process's identity and tie it to the host's certificate (go-plugin's AutoMTLS).

    `directory` is private to this process; the key stands in a file there for the moment that
    OpenSSL needs to read it.

    Raises:
        HandshakeError: the host's certificate is missing or unusable, or `directory` takes no file.
    """
    if not host_certificate_pem:
        raise HandshakeError("PLUGIN_CLIENT_CERT is empty: the host did not offer mutual TLS")
    try:
        trusted = pem_to_der(host_certificate_pem)
    except ValueError as error:
        raise HandshakeError(f"PLUGIN_CLIENT_CERT holds no usable certificate: {error}") from error
    identity = generate_identity()
    server, client = make_contexts(identity, trusted, directory)
    # Both certificates are CAs by go-plugin's rules, so the strict profile of RFC 5280 can be asked for.
    for context in (server, client):
        context.verify_flags |= ssl.VERIFY_X509_STRICT
    return TransportSecurity(server=server, client=client, announced=encode_field(identity.certificate))


def make_contexts(
    identity: TLSIdentity, trusted: bytes, directory: str | os.PathLike[str]
) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return the contexts of a server and of a client that are `identity` and trust `trusted` (DER) alone.

    Raises:
        HandshakeError: OpenSSL refuses one of the certificates, or `directory` takes no file.
    """
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        with _key_file(identity, directory) as path:
            for context in (server, client):
                context.minimum_version = ssl.TLSVersion.TLSv1_2
                context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
                context.verify_mode = ssl.CERT_REQUIRED
                context.set_alpn_protocols(["h2"])
                context.load_verify_locations(cadata=trusted)
                context.load_cert_chain(path)
    except (ssl.SSLError, ValueError) as error:
        text = getattr(error, "reason", None) or error
        raise HandshakeError(f"OpenSSL refuses a certificate: {text}") from error
    client.check_hostname = True
    return server, client


@contextmanager
def _key_file(identity: TLSIdentity, directory: str | os.PathLike[str]) -> Iterator[str]:
    """Lend certificate and key as a file: `ssl` reads them from nothing else. Mode 0600, gone after."""
    path = os.path.join(directory, f"identity-{os.urandom(8).hex()}.pem")
    try:
        try:
            _write_private(path, identity.certificate_pem + identity.private_key_pem)
        except OSError as error:
            # Most often the file system is full, or over a quota.
            raise HandshakeError(
                f"TMPDIR: cannot write the key of this process to a file: {error.strerror}"
            ) from error
        yield path
    finally:
        with suppress(FileNotFoundError):
            os.unlink(path)


def _write_private(path: str, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "wb") as file:
        file.write(data)
