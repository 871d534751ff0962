"""Checks of the plugin's certificate, and of its mutual TLS."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from authkit.doctor.findings import Finding, failed, passed, warning
from authkit.doctor.starts import Candidate
from authkit.errors import RPCError, StatusCode
from authkit.host.supervisor.run import ProcessRun
from authkit.host.supervisor.security import AutoMTLS
from authkit.plugin.security.certificates import SERVER_NAME
from authkit.rpc import load_engine

__all__ = ["inspect_certificate", "inspect_strangers"]

STRANGERS_WAIT = timedelta(seconds=5)


def inspect_certificate(der: bytes | None) -> Iterator[Finding]:
    """Check the announced certificate."""
    check = "certificate"
    if der is None:
        yield warning(check, "none announced", "Protocol 5 has none without a certificate.")
        return
    certificate = x509.load_der_x509_certificate(der)
    problems = [*_certificate_problems(certificate)]
    key = certificate.public_key()
    kind = {ec.EllipticCurvePublicKey: "ECDSA", rsa.RSAPublicKey: "RSA"}
    name = next((name for base, name in kind.items() if isinstance(key, base)), type(key).__name__)
    curve = f" {key.curve.name}" if isinstance(key, ec.EllipticCurvePublicKey) else ""
    seen = f"{name}{curve}, valid until {certificate.not_valid_after_utc:%Y-%m-%d}"
    for seen_problem, advice in problems:
        yield failed(check, f"{seen}: {seen_problem}", advice)
    if not problems:
        yield passed(check, f"{seen}, for {SERVER_NAME}")


def _certificate_problems(certificate: x509.Certificate) -> Iterator[tuple[str, str]]:
    now = datetime.now(UTC)
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        yield "not valid now", "Begin its validity some seconds before now, and let it outlive the process."
    extensions = certificate.extensions
    try:
        names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        has_name = SERVER_NAME in names.get_values_for_type(x509.DNSName)
    except x509.ExtensionNotFound:
        has_name = False
    if not has_name:
        yield f"no DNS name {SERVER_NAME}", f"Put {SERVER_NAME} into its subject alternative names."
    with suppress(x509.ExtensionNotFound):
        usage = set(extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
        if not {ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH} <= usage:
            yield (
                "not for both directions",
                "Allow server and client authentication in its extended key usage.",
            )


async def inspect_strangers(candidate: Candidate, run: ProcessRun) -> Finding:
    """Check that the plugin refuses a client with another certificate."""
    check = "mutual TLS"
    secured = AutoMTLS().secure(run.announcement.certificate, candidate.temporary)
    engine = load_engine("authkit", candidate.temporary)
    stranger = engine.channel(run.announcement.address, tls=secured.client, server_name=secured.server_name)
    try:
        await stranger.call("/pb.Backend/Type", b"", timeout=STRANGERS_WAIT)
    except RPCError as error:
        if error.code is StatusCode.UNAVAILABLE:
            return passed(check, "a client with another certificate is refused")
        answer = error.code.name
    else:
        answer = "OK"
    finally:
        await stranger.close()
    return failed(
        check,
        f"a client with another certificate got an answer ({answer})",
        "Require a client certificate, and trust PLUGIN_CLIENT_CERT alone: anybody on the machine gets in.",
    )
