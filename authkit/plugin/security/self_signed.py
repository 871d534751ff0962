"""Self-signed certificates, by their ASN.1 (RFC 5280). The caller decides what one may be used for.

`cryptography.x509` can do this too; importing it takes a sixth of the time in which a plugin has to
announce itself, and this would be all that it is imported for.
"""

from __future__ import annotations

import datetime
import hashlib
import os
from typing import Annotated

from cryptography.hazmat import asn1
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

__all__ = ["make_certificate"]

GENERALIZED_FROM = 2050
"""The year from which times are written with four digits (RFC 5280 section 4.1.2.5)."""

VERSION_3 = 2
SERIAL_BYTES = 16


def _der(digits: str) -> asn1.TLV:
    return asn1.decode_der(asn1.TLV, bytes.fromhex(digits))


_ECDSA_WITH = {
    "sha256": _der("300a 06082a8648ce3d040302"),
    "sha512": _der("300a 06082a8648ce3d040304"),
}
"""AlgorithmIdentifiers, by the name of the digest (RFC 5758 section 3.2)."""

# Object identifiers.
_COMMON_NAME = _der("0603550403")
_ORGANIZATION_NAME = _der("060355040a")
_SUBJECT_KEY_IDENTIFIER = _der("0603551d0e")
_KEY_USAGE = _der("0603551d0f")
_SUBJECT_ALTERNATIVE_NAME = _der("0603551d11")
_BASIC_CONSTRAINTS = _der("0603551d13")
_EXTENDED_KEY_USAGE = _der("0603551d25")
_SERVER_AUTH = _der("06082b06010505070301")
_CLIENT_AUTH = _der("06082b06010505070302")

_USAGES = asn1.BitString(b"\xac", 2)
"""digitalSignature, keyEncipherment, keyAgreement, keyCertSign (RFC 5280 section 4.2.1.3)."""


@asn1.sequence
class _Attribute:
    type: asn1.TLV
    value: str


@asn1.sequence
class _Validity:
    not_before: asn1.UTCTime | asn1.GeneralizedTime
    not_after: asn1.UTCTime | asn1.GeneralizedTime


@asn1.sequence
class _BasicConstraints:
    is_ca: bool


@asn1.sequence
class _ExtendedKeyUsage:
    client: asn1.TLV
    server: asn1.TLV


@asn1.sequence
class _AlternativeNames:
    dns_name: Annotated[asn1.IA5String, asn1.Implicit(2)]


@asn1.sequence
class _Extension:
    type: asn1.TLV
    is_critical: Annotated[bool, asn1.Default(False)]
    value: bytes


@asn1.sequence
class _ToBeSigned:
    version: Annotated[int, asn1.Explicit(0)]
    serial_number: int
    signature: asn1.TLV
    issuer: list[asn1.SetOf[_Attribute]]
    validity: _Validity
    subject: list[asn1.SetOf[_Attribute]]
    public_key: asn1.TLV
    extensions: Annotated[list[_Extension], asn1.Explicit(3)]


@asn1.sequence
class _Certificate:
    signed: asn1.TLV
    algorithm: asn1.TLV
    signature: asn1.BitString


def make_certificate(
    key: ec.EllipticCurvePrivateKey,
    *,
    digest: hashes.SHA256 | hashes.SHA512,
    host_name: str,
    organization: str,
    not_before: datetime.datetime,
    not_after: datetime.datetime,
) -> bytes:
    """Return, as DER, the certificate of a CA for client and server authentication under one DNS name.

    Times are cut to whole seconds; both have a time zone.
    """
    algorithm = _ECDSA_WITH[digest.name]
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    name = [
        asn1.SetOf([_Attribute(type=_COMMON_NAME, value=host_name)]),
        asn1.SetOf([_Attribute(type=_ORGANIZATION_NAME, value=organization)]),
    ]
    signed = asn1.encode_der(
        _ToBeSigned(
            version=VERSION_3,
            serial_number=int.from_bytes(os.urandom(SERIAL_BYTES)) >> 1 | 1,  # positive (4.1.2.2)
            signature=algorithm,
            issuer=name,
            validity=_Validity(not_before=_time(not_before), not_after=_time(not_after)),
            subject=name,
            public_key=asn1.decode_der(asn1.TLV, public),
            extensions=_extensions(host_name, key.public_key()),
        )
    )
    certificate = _Certificate(
        signed=asn1.decode_der(asn1.TLV, signed),
        algorithm=algorithm,
        signature=asn1.BitString(key.sign(signed, ec.ECDSA(digest)), 0),
    )
    return asn1.encode_der(certificate)


def _time(moment: datetime.datetime) -> asn1.UTCTime | asn1.GeneralizedTime:
    exact = moment.astimezone(datetime.UTC).replace(microsecond=0)
    return asn1.UTCTime(exact) if exact.year < GENERALIZED_FROM else asn1.GeneralizedTime(exact)


def _extensions(host_name: str, public_key: ec.EllipticCurvePublicKey) -> list[_Extension]:
    usages = _ExtendedKeyUsage(client=_CLIENT_AUTH, server=_SERVER_AUTH)
    names = _AlternativeNames(dns_name=asn1.IA5String(host_name))
    point = public_key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    key_id = hashlib.sha256(point).digest()[:20]  # RFC 7093 section 2, method 1
    return [
        _extension(_BASIC_CONSTRAINTS, asn1.encode_der(_BasicConstraints(is_ca=True)), is_critical=True),
        _extension(_KEY_USAGE, asn1.encode_der(_USAGES), is_critical=True),
        _extension(_EXTENDED_KEY_USAGE, asn1.encode_der(usages)),
        _extension(_SUBJECT_ALTERNATIVE_NAME, asn1.encode_der(names)),
        _extension(_SUBJECT_KEY_IDENTIFIER, asn1.encode_der(key_id)),
    ]


def _extension(kind: asn1.TLV, value: bytes, *, is_critical: bool = False) -> _Extension:
    return _Extension(type=kind, is_critical=is_critical, value=value)
