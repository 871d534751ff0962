"""How the host's API is reached for protocol 4: arguments, variables and their order."""

from __future__ import annotations

import ssl

import pytest

from authkit.errors import HandshakeError
from authkit.wire.vault_tls import UnwrapSettings, is_metadata_mode, read_variable


def test_openbao_s_spelling_counts_when_it_is_there() -> None:
    """`BAO_X` wins over `VAULT_X`, also when it is empty."""
    assert read_variable({"VAULT_X": "v"}, "X") == "v"
    assert read_variable({"VAULT_X": "v", "BAO_X": "b"}, "X") == "b"
    assert read_variable({"VAULT_X": "v", "BAO_X": ""}, "X") == ""
    assert read_variable({}, "X") == ""


@pytest.mark.parametrize(
    ("value", "mode"), [("true", True), ("1", True), ("false", False), ("", False), ("yes", False)]
)
def test_metadata_mode_is_read_as_go_reads_booleans(value: str, mode: bool) -> None:
    """Anything else is no."""
    assert is_metadata_mode({"VAULT_PLUGIN_METADATA_MODE": value}) is mode


@pytest.mark.parametrize(
    "arguments",
    [
        ["-ca-cert=/a", "-tls-server-name=n", "-tls-skip-verify"],
        ["--ca-cert", "/a", "--tls-server-name", "n", "--tls-skip-verify"],
        ["-x", "-ca-cert", "/a", "rest", "-tls-server-name=n", "-tls-skip-verify", "--verbose=1"],
    ],
)
def test_arguments_are_read_as_go_reads_flags(arguments: list[str]) -> None:
    """One dash or two, with `=` or without; what is not ours is left alone."""
    settings = UnwrapSettings.parse(arguments, {})
    assert settings == UnwrapSettings(ca_cert="/a", server_name="n", skip_verify=True)


def test_variables_stand_in_for_arguments() -> None:
    """The names are those of Vault's client; an argument wins."""
    environ = {
        "VAULT_CACERT": "/v",
        "VAULT_CAPATH": "/p",
        "VAULT_CLIENT_CERT": "/c",
        "BAO_CLIENT_KEY": "/k",
        "VAULT_TLS_SERVER_NAME": "n",
        "VAULT_SKIP_VERIFY": "true",
    }
    settings = UnwrapSettings.parse(["-ca-cert=/a"], environ)
    assert settings == UnwrapSettings(
        ca_cert="/a", ca_path="/p", client_cert="/c", client_key="/k", server_name="n", skip_verify=True
    )


def test_an_argument_without_value_is_an_error() -> None:
    """Nothing is guessed, and the process is not ended by an argument parser."""
    with pytest.raises(HandshakeError, match="arguments"):
        UnwrapSettings.parse(["-ca-cert"], {})


def test_verification_is_on_unless_the_operator_switched_it_off() -> None:
    """And a file that cannot be read is named."""
    context = UnwrapSettings().context()
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname
    with pytest.raises(HandshakeError, match="TLS files"):
        UnwrapSettings(ca_cert="/no/such/file").context()
