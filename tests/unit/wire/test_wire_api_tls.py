"""Whom a plugin trusts at the server's API, and as whom it comes: flags and variables, merged as in Go."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from authkit.errors import HandshakeError
from authkit.plugin.security.certificates import TLSIdentity, generate_identity
from authkit.wire.api_flags import APIFlags
from authkit.wire.api_tls import APITLS

VARIABLES = {
    "VAULT_CACERT": "/v",
    "VAULT_CACERT_BYTES": "pem",
    "VAULT_CAPATH": "/p",
    "VAULT_CLIENT_CERT": "/c",
    "VAULT_CLIENT_KEY": "/k",
    "VAULT_TLS_SERVER_NAME": "n",
    "VAULT_SKIP_VERIFY": "true",
}


@pytest.fixture(scope="module")
def identity() -> TLSIdentity:
    """A certificate that is its own authority."""
    return generate_identity()


def test_variables_count_without_flags() -> None:
    """The names are those of Vault's client."""
    assert APITLS.read(APIFlags(), VARIABLES) == APITLS(
        ca_cert="/v",
        ca_cert_bytes="pem",
        ca_path="/p",
        client_cert="/c",
        client_key="/k",
        server_name="n",
        unverified_by="VAULT_SKIP_VERIFY",
    )


def test_openbao_s_variables_come_first() -> None:
    """Also those that are empty."""
    read = APITLS.read(APIFlags(), {"VAULT_CACERT": "/v", "VAULT_CAPATH": "/p", "BAO_CACERT": ""})
    assert read == APITLS(ca_path="/p")
    read = APITLS.read(APIFlags(), {"BAO_SKIP_VERIFY": "1"})
    assert read.unverified_by == "BAO_SKIP_VERIFY"


def test_a_flag_replaces_the_variables_of_its_group() -> None:
    """A directory from a flag does not add the file of a variable; nor does a pair take half of another."""
    read = APITLS.read(APIFlags(ca_path="/own"), VARIABLES)
    assert (read.ca_cert, read.ca_cert_bytes, read.ca_path) == ("", "", "/own")
    assert read.client_cert == "/c"
    own = APIFlags(ca_cert="/a", client_cert="/oc", client_key="/ok", tls_server_name="on")
    read = APITLS.read(own, VARIABLES)
    assert (read.ca_cert, read.ca_cert_bytes, read.ca_path) == ("/a", "", "")
    assert (read.client_cert, read.client_key, read.server_name) == ("/oc", "/ok", "on")


@pytest.mark.parametrize(
    ("flags", "variables", "expected"),
    [
        (APIFlags(client_cert="/c"), {}, "-client-cert is set without -client-key"),
        (APIFlags(client_key="/k"), {}, "-client-key is set without -client-cert"),
        (APIFlags(client_cert="/c"), {"VAULT_CLIENT_KEY": "/k"}, "-client-cert is set without -client-key"),
        (APIFlags(), {"VAULT_CLIENT_KEY": "/k"}, "VAULT_CLIENT_KEY is set without VAULT_CLIENT_CERT"),
        (APIFlags(), {"BAO_CLIENT_CERT": "/c"}, "BAO_CLIENT_CERT is set without VAULT_CLIENT_KEY"),
        (APIFlags(), {"VAULT_SKIP_VERIFY": "yes"}, "VAULT_SKIP_VERIFY is neither true nor false"),
        (APIFlags(tls_skip_verify=True), {"BAO_SKIP_VERIFY": "x"}, "BAO_SKIP_VERIFY is neither"),
    ],
)
def test_halves_and_unclear_switches_are_refused(
    flags: APIFlags, variables: dict[str, str], expected: str
) -> None:
    """Nothing is guessed."""
    with pytest.raises(HandshakeError, match=expected):
        APITLS.read(flags, variables)


@pytest.mark.parametrize(
    ("flags", "variables", "switch"),
    [
        (APIFlags(tls_skip_verify=True), {}, "-tls-skip-verify"),
        (APIFlags(tls_skip_verify=True), {"VAULT_SKIP_VERIFY": "false"}, "-tls-skip-verify"),
        (APIFlags(), {"VAULT_SKIP_VERIFY": "false"}, ""),
        (APIFlags(), {"VAULT_SKIP_VERIFY": ""}, ""),
        (APIFlags(), {}, ""),
    ],
)
def test_either_switch_turns_verification_off(
    flags: APIFlags, variables: dict[str, str], switch: str
) -> None:
    """And neither turns it on again. Without one the certificate and its name are verified."""
    read = APITLS.read(flags, variables)
    context = read.context()
    assert read.unverified_by == switch
    assert context.verify_mode is (ssl.CERT_NONE if switch else ssl.CERT_REQUIRED)
    assert context.check_hostname is (not switch)


def test_only_named_certificates_are_trusted(identity: TLSIdentity, tmp_path: Path) -> None:
    """A file, a text, or all files below a directory, whatever their names; not those of the machine."""
    below = tmp_path / "authorities" / "more"
    below.mkdir(parents=True)
    file = tmp_path / "authorities" / "one.txt"
    file.write_bytes(b"# \xc3\xa4 comment\n" + identity.certificate_pem)
    (below / "two.pem").write_bytes(generate_identity().certificate_pem)
    text = file.read_text()
    for tls, count in (
        (APITLS(ca_cert=str(file)), 1),
        (APITLS(ca_cert_bytes=text), 1),
        (APITLS(ca_path=str(file.parent)), 2),
        (APITLS(ca_cert=str(file), ca_cert_bytes=text, ca_path=str(file.parent)), 1),
    ):
        assert len(tls.context().get_ca_certs()) == count


def test_files_that_cannot_be_used_are_named(identity: TLSIdentity, tmp_path: Path) -> None:
    """Missing, without certificates, an empty directory, a key that is not that of the certificate."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "text").mkdir()
    text = tmp_path / "text" / "text.pem"
    text.write_text("nothing")
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    certificate.write_bytes(identity.certificate_pem)
    key.write_bytes(generate_identity().private_key_pem)
    for tls, expected in (
        (APITLS(ca_cert=str(tmp_path / "none")), f"No such file or directory: {tmp_path}/none"),
        (APITLS(ca_cert=str(text)), f"{text} holds no PEM certificates"),
        (APITLS(ca_path=str(text.parent)), f"{text} holds no PEM certificates"),
        (APITLS(ca_path=str(tmp_path / "none")), f"No such file or directory: {tmp_path}/none"),
        (APITLS(ca_path=str(tmp_path / "empty")), f"no files with CA certificates in {tmp_path}/empty"),
        (APITLS(ca_cert_bytes="nothing"), "CACERT_BYTES holds no PEM certificates"),
        (APITLS(client_cert=str(certificate), client_key=str(key)), f"{certificate} and {key} are not"),
        (APITLS(client_cert=str(certificate), client_key="/none"), "No such file or directory"),
    ):
        with pytest.raises(HandshakeError) as refused:
            tls.context()
        assert expected in str(refused.value)


def test_a_key_with_a_password_asks_nobody_for_it(identity: TLSIdentity, tmp_path: Path) -> None:
    """The terminal would be the server's."""
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    certificate.write_bytes(identity.certificate_pem)
    key.write_bytes(
        load_pem_private_key(identity.private_key_pem, None).private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"password")
        )
    )
    with pytest.raises(HandshakeError, match="unencrypted key"):
        APITLS(client_cert=str(certificate), client_key=str(key)).context()
