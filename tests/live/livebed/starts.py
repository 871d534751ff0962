"""A plugin's executable started as a host starts it, and no further: environment, handshake line, timing."""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

__all__ = ["host_environment", "make_certificate", "seconds_to_handshake", "seconds_to_refusal"]

COOKIE = {"VAULT_BACKEND_PLUGIN": "6669da05-b1c8-4f49-97d9-c8e5bed98e20"}
DATABASE_COOKIE = {"VAULT_DATABASE_PLUGIN": "926a0820-aea2-be28-51d6-83cdf00e8edb"}
START_SECONDS = 60.0


def make_certificate() -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """Return a certificate as a host makes one for each start (go-plugin 1.6, mtls.go: P-521, localhost)."""
    key = ec.generate_private_key(ec.SECP521R1())
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "HashiCorp"),
            x509.NameAttribute(NameOID.COMMON_NAME, "localhost"),
        ]
    )
    usages = [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(seconds=30))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA512())
    )
    return certificate, key


def host_environment(temporary: Path) -> dict[str, str]:
    """Return the environment of a plugin that Vault 1.21 starts, with a temporary directory of its own."""
    return COOKIE | {
        "PATH": "/usr/bin:/bin",
        "TMPDIR": str(temporary),
        "PLUGIN_MIN_PORT": "10000",
        "PLUGIN_MAX_PORT": "25000",
        "PLUGIN_PROTOCOL_VERSIONS": "5",
        "PLUGIN_CLIENT_CERT": make_certificate()[0].public_bytes(Encoding.PEM).decode(),
        "VAULT_VERSION": "1.21.1",
        "VAULT_PLUGIN_METADATA_MODE": "false",
        "VAULT_PLUGIN_AUTOMTLS_ENABLED": "true",
    }


def seconds_to_handshake(plugin: Path, environment: Mapping[str, str]) -> float:
    """Return the time from starting the plugin to its handshake line; the plugin is killed then."""
    started = time.perf_counter()
    process = start(plugin, environment)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        took = time.perf_counter() - started
    finally:
        process.kill()
        process.communicate(timeout=START_SECONDS)
    assert line.startswith(b"1|5|unix|"), line
    return took


def seconds_to_refusal(plugin: Path) -> float:
    """Return the time from starting the plugin with a database's cookie to its end with status 1."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {"PATH": "/usr/bin:/bin", "TMPDIR": folder} | DATABASE_COOKIE
        started = time.perf_counter()
        process = start(plugin, environment)
        process.communicate(timeout=START_SECONDS)
        took = time.perf_counter() - started
    assert process.returncode == 1
    return took


def start(plugin: Path, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start a plugin with both its outputs on pipes, as a host does."""
    return subprocess.Popen(
        [str(plugin)],
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
