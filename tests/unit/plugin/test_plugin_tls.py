"""The process's identity and the contexts made of it."""

from __future__ import annotations

import base64
import os
import ssl
import stat
from pathlib import Path

import pytest
from certificates import host_identity
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from authkit.errors import HandshakeError
from authkit.plugin.security import tls
from authkit.plugin.security.certificates import (
    TLSIdentity,
    decode_field,
    encode_field,
    generate_identity,
    pem_to_der,
)
from authkit.plugin.security.tls import auto_mtls


def test_the_certificate_has_what_hosts_check() -> None:
    """Name `localhost` as subject alternative name, both key usages, valid now, CA."""
    certificate = x509.load_der_x509_certificate(generate_identity().certificate)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    assert {ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH} <= set(usages)
    assert certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert certificate.not_valid_before_utc < certificate.not_valid_after_utc
    certificate.verify_directly_issued_by(certificate)


def test_every_process_has_an_identity_of_its_own() -> None:
    """Neither key nor certificate repeats."""
    one, other = generate_identity(), generate_identity()
    assert one.certificate != other.certificate
    assert one.private_key_pem != other.private_key_pem


def test_an_identity_does_not_show_its_key() -> None:
    """The private key is in no representation."""
    assert "PRIVATE" not in repr(generate_identity())


@pytest.mark.parametrize("der", [b"", b"a", b"ab", b"abc", bytes(range(256))])
def test_the_field_is_unpadded_base64(der: bytes) -> None:
    """Encoding and decoding are inverse, without padding at any length."""
    text = encode_field(der)
    assert "=" not in text
    assert base64.b64decode(text + "==="[: -len(text) % 4]) == der
    assert decode_field(text) == der


@pytest.mark.parametrize("text", ["QUI=", "QU!D", "Q"])
def test_a_field_that_a_host_would_refuse_is_refused(text: str) -> None:
    """Padding, foreign characters and impossible lengths."""
    with pytest.raises(ValueError):
        decode_field(text)


def pem(identity: TLSIdentity) -> str:
    """The certificate of an identity as a host puts it into the environment."""
    return identity.certificate_pem.decode()


def test_pem_holds_exactly_one_certificate() -> None:
    """One certificate is read; none, two, or text around it is not."""
    host = host_identity()
    assert pem_to_der(pem(host)) == host.certificate
    for wrong in (
        "",
        "nonsense",
        pem(host) * 2,
        "x" + pem(host),
        pem(host) + "x",
        host.private_key_pem.decode(),
    ):
        with pytest.raises(ValueError):
            pem_to_der(wrong)


@pytest.mark.parametrize(
    ("certificate", "text"),
    [
        ("", "PLUGIN_CLIENT_CERT is empty"),
        ("garbage", "PLUGIN_CLIENT_CERT holds no usable certificate"),
        ("-----BEGIN CERTIFICATE-----\nQUJD\n-----END CERTIFICATE-----\n", "PLUGIN_CLIENT_CERT"),
    ],
)
def test_a_host_without_usable_certificate_is_refused(
    certificate: str, text: str, short_directory: Path
) -> None:
    """Without the host's certificate nobody could be verified: there is no fallback."""
    with pytest.raises(HandshakeError, match=text):
        auto_mtls(certificate, short_directory)


def test_both_contexts_verify_the_peer(short_directory: Path) -> None:
    """TLS 1.2 at least, certificate required, one trusted certificate, name checked."""
    host = host_identity()
    security = auto_mtls(pem(host), short_directory)
    assert security.server is not None
    assert security.client is not None
    for context in (security.server, security.client):
        assert context.minimum_version == ssl.TLSVersion.TLSv1_2
        assert context.verify_mode == ssl.CERT_REQUIRED
        assert context.verify_flags & ssl.VERIFY_X509_STRICT
        assert context.get_ca_certs(binary_form=True) == [host.certificate]
    assert security.client.check_hostname
    assert security.server_name == "localhost"
    assert x509.load_der_x509_certificate(decode_field(security.announced))


def test_the_key_stands_in_a_private_file_for_a_moment_only(
    short_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While OpenSSL reads it the file is readable for its owner alone; then it is gone."""
    seen: list[int] = []
    load = ssl.SSLContext.load_cert_chain

    def spy(context: ssl.SSLContext, path: str) -> None:
        seen.append(stat.S_IMODE(os.stat(path).st_mode))
        load(context, path)

    monkeypatch.setattr(tls.ssl.SSLContext, "load_cert_chain", spy)
    auto_mtls(pem(host_identity()), short_directory)
    assert seen == [0o600, 0o600]
    assert list(short_directory.iterdir()) == []
