"""The process's identity, and the text forms of certificates.

No I/O: files and OpenSSL contexts are left to `authkit.plugin.tls`. The shape of the certificate is
that of go-plugin 1.8 (mtls.go, generateCert), with P-256 in place of P-521: hosts accept either
(observed on Vault 1.21.1 and OpenBao 2.6.2), and it signs eight times as fast.
"""

from __future__ import annotations

import base64
import binascii
import datetime
import re
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

__all__ = ["SERVER_NAME", "Identity", "decode_field", "encode_field", "generate_identity", "pem_to_der"]

SERVER_NAME = "localhost"
"""The name in both certificates; each side verifies it."""

_BACKDATED = datetime.timedelta(seconds=30)
_LIFETIME = datetime.timedelta(hours=262_980)
"""About 30 years, as on the host's side: the certificate ends with the process, not by date."""

_PEM = re.compile(r"-----BEGIN CERTIFICATE-----\s+([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----\s*")


@dataclass(frozen=True, slots=True)
class Identity:
    """A key and its self-signed certificate, made for one process."""

    certificate: bytes
    """DER."""
    private_key_pem: bytes = field(repr=False)
    """PKCS#8."""

    @property
    def certificate_pem(self) -> bytes:
        """The certificate as PEM."""
        return x509.load_der_x509_certificate(self.certificate).public_bytes(serialization.Encoding.PEM)


def generate_identity(
    *,
    curve: ec.EllipticCurve | None = None,
    digest: hashes.SHA256 | hashes.SHA512 | None = None,
    server_name: str = SERVER_NAME,
    organization: str = "authkit",
) -> Identity:
    """Make a new identity, on P-256 with SHA-256 unless told otherwise."""
    key = ec.generate_private_key(curve or ec.SECP256R1())
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, server_name),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization),
        ]
    )
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + _LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_KEY_USAGE, critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]),
            critical=False,
        )
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(server_name)]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, digest or hashes.SHA256())
    )
    return Identity(
        certificate=certificate.public_bytes(serialization.Encoding.DER),
        private_key_pem=key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )


_KEY_USAGE = x509.KeyUsage(
    digital_signature=True,
    content_commitment=False,
    key_encipherment=True,
    data_encipherment=False,
    key_agreement=True,
    key_cert_sign=True,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
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
    return x509.load_pem_x509_certificate(pem.encode()).public_bytes(serialization.Encoding.DER)
