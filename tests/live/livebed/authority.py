"""A certificate authority for loopback servers: certificates that are good, and such that have expired."""

from __future__ import annotations

import ipaddress
import ssl
import tempfile
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

__all__ = ["Authority"]

DAY = timedelta(days=1)
ADDRESS = ipaddress.ip_address("127.0.0.1")


@dataclass
class Authority:
    """One authority, made anew for each test."""

    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    @property
    def pem(self) -> str:
        """Its own certificate, as an operator configures it."""
        now = datetime.now(UTC)
        certificate = (
            self.builder("authority", now - DAY, now + DAY)
            .public_key(self.key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        return certificate.public_bytes(Encoding.PEM).decode()

    def context(self, *, days: int) -> ssl.SSLContext:
        """Return what a server on 127.0.0.1 uses, with a certificate that ends in so many days."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with tempfile.NamedTemporaryFile() as file:
            file.write("".join(self.issue(x509.IPAddress(ADDRESS), days=days)).encode())
            file.flush()
            context.load_cert_chain(file.name)
        return context

    def issue(self, name: x509.GeneralName, *, days: int = 1) -> tuple[str, str]:
        """Return a certificate that ends in so many days, for a server or a client, and its key: PEM."""
        key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
        end = now + days * DAY
        issuer_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        certificate = (
            self.builder("server", min(now, end) - DAY, end)
            .public_key(key.public_key())
            .add_extension(x509.SubjectAlternativeName([name]), critical=False)
            .add_extension(issuer_key, critical=False)
            .sign(self.key, hashes.SHA256())
        )
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return certificate.public_bytes(Encoding.PEM).decode(), private.decode()

    def builder(self, name: str, begin: datetime, end: datetime) -> x509.CertificateBuilder:
        """Return the beginning of a certificate."""
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority")])
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(end)
        )
