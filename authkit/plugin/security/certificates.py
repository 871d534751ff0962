"""The process's identity, and the text forms of certificates.

No I/O. Files and OpenSSL contexts: `authkit.plugin.security.tls`. ASN.1:
`authkit.plugin.security.self_signed`. The shape of the certificate is that of go-plugin 1.8 (mtls.go,
generateCert), with P-256 in place of P-521: hosts accept either (observed on Vault 1.21.1 and
OpenBao 2.6.2), and it signs eight times as fast.
"""

from __future__ import annotations

import base64
import binascii
import datetime
import re
import ssl
from typing import ClassVar

from cryptography.hazmat import asn1
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from authkit.plugin.security.self_signed import make_certificate
from authkit.values import Value

__all__ = ["SERVER_NAME", "TLSIdentity", "decode_field", "encode_field", "generate_identity", "pem_to_der"]

SERVER_NAME = "localhost"
"""The name in both certificates; each side verifies it."""

_BACKDATED = datetime.timedelta(seconds=30)
_LIFETIME = datetime.timedelta(hours=262_980)
"""About 30 years, as on the host's side: the certificate ends with the process, not by date."""

_PEM = re.compile(r"-----BEGIN CERTIFICATE-----\s+([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----\s*")


class TLSIdentity(Value, frozen=True):
    """A key and its self-signed certificate, made for one process."""

    certificate: bytes
    """DER."""
    private_key_pem: bytes
    """PKCS#8."""

    unshown: ClassVar = ("private_key_pem",)

    @property
    def certificate_pem(self) -> bytes:
        """The certificate as PEM."""
        return ssl.DER_cert_to_PEM_cert(self.certificate).encode()


def generate_identity(
    *,
    curve: ec.EllipticCurve | None = None,
    digest: hashes.SHA256 | hashes.SHA512 | None = None,
    server_name: str = SERVER_NAME,
    organization: str = "authkit",
) -> TLSIdentity:
    """Make a new identity, on P-256 with SHA-256 unless told otherwise."""
    key = ec.generate_private_key(curve or ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    certificate = make_certificate(
        key,
        digest=digest or hashes.SHA256(),
        host_name=server_name,
        organization=organization,
        not_before=now - _BACKDATED,
        not_after=now + _LIFETIME,
    )
    return TLSIdentity(
        certificate=certificate,
        private_key_pem=key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )


def encode_field(der: bytes) -> str:
    """Return a certificate as the handshake line wants it: standard base64 without padding."""
    return base64.b64encode(der).decode().rstrip("=")


def decode_field(text: str) -> bytes:
    """Return the certificate of a handshake line as DER.

    Raises:
        ValueError: it is not unpadded standard base64.
    """
    if "=" in text:
        raise ValueError("the certificate field is padded")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except binascii.Error as error:
        raise ValueError("the certificate field is not base64") from error


def pem_to_der(pem: str) -> bytes:
    """Return the only certificate in `pem` as DER.

    Raises:
        ValueError: there is none, more than one, or something else beside it.
    """
    match = _PEM.fullmatch(pem.strip() + "\n")
    if match is None:
        raise ValueError("not one PEM certificate")
    try:
        der = base64.b64decode("".join(match[1].split()), validate=True)
        asn1.decode_der(asn1.TLV, der)
    except (binascii.Error, ValueError) as error:
        raise ValueError("the PEM certificate holds no DER") from error
    return der
