"""Explanations, environments and directories of hosted plugins."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

import pytest

from authkit.errors import PluginStartError
from authkit.host.supervisor.directories import lend_directory
from authkit.host.supervisor.environment import plugin_environment
from authkit.host.supervisor.hints import explain
from authkit.host.supervisor.security import AutoMTLS, Metadata, SharedIdentity, host_identity

# --- explanations ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("checksums did not match", "register it again"),
        ("error verifying checksum: read /p: is a directory", "directory"),
        ("error verifying checksum: open /p: no such file or directory", "has gone"),
        ("error verifying checksum: open /p: permission denied", "may not read"),
        ("fork/exec /p: no such file or directory", "interpreter"),
        ("fork/exec /p: permission denied", "noexec"),
        ("fork/exec /p: exec format error", "`#!`"),
        ("fork/exec /p: text file busy", "open for writing"),
        ("plugin exited before we could connect", "before it said where it listens"),
        ("Unrecognized remote plugin message: \nFailed to read any lines from plugin's stdout", "ended"),
        ("Unrecognized remote plugin message: hello\nThis usually means", "standard output"),
        ("timeout while waiting for plugin to start", "imported"),
        ("Incompatible core API version with plugin. Plugin version: 2, Core version: 1", "not 1"),
        ("Incompatible API version with plugin. Plugin version: 4, Client versions: [5]", "3 or 4 alone"),
        ("Incompatible API version with plugin. Plugin version: 7, Client versions: [5]", "another type"),
        ('Error parsing protocol version "x": strconv.Atoi', "not a number"),
        ("Unknown address type: /x", "dies"),
        ('Unsupported plugin protocol "foo". Supported: [netrpc grpc]', "grpc"),
        ("error parsing server cert: illegal base64 data at input byte 83", "`=`"),
        ("error parsing server cert: x509: malformed certificate", "DER"),
        ('desc = "transport: error while dialing: dial unix /x: connect: ..."', "Nobody listens"),
        ('desc = "transport: authentication handshake failed: x"', "TLS failed"),
        ("cannot execute files outside of configured plugin directory /p: ...", "symlink"),
        ("error while validating the command path: lstat /p: ...", "does not exist"),
        ('path "/p" has insecure permissions 775. Vault expects ...', "write"),
        ("missing storage implementation: this method ...", "registered"),
    ],
)
def test_well_known_failures_are_explained(text: str, word: str) -> None:
    """By a server's text alone, also inside the list that a server makes of two failures."""
    assert word in explain(text)
    assert explain(f"invalid backend version: 2 errors occurred:\n\t* {text}\n\n") == explain(text)


def test_an_unknown_failure_is_not_explained() -> None:
    """Rather no hint than a wrong one."""
    assert explain("something else went wrong") == ""


# --- environment -------------------------------------------------------------------------------


def test_who_wins_in_an_environment() -> None:
    """The protocol above what was registered, that above the host's own; nothing of another start."""
    inherited = {"A": "host", "B": "host", "PLUGIN_CLIENT_CERT": "stale", "TMPDIR": "/t", "HOME": "/h"}
    registered = {"B": "registered", "VAULT_VERSION": "zzz", "PLUGIN_PROTOCOL_VERSIONS": "9"}
    made = plugin_environment(Metadata(), inherited=inherited, registered=registered)
    assert (made["A"], made["B"], made["HOME"]) == ("host", "registered", "/h")
    assert (made["VAULT_VERSION"], made["PLUGIN_PROTOCOL_VERSIONS"]) == ("1.21.1", "3,4")
    assert "PLUGIN_CLIENT_CERT" not in made
    assert "TMPDIR" not in made
    assert plugin_environment(Metadata(), inherited={}, registered={"TMPDIR": "/mine"})["TMPDIR"] == "/mine"


def test_each_scheme_says_what_it_is() -> None:
    """Certificate, probe or wrapping token: exactly one of them, and no private key."""
    identity = host_identity()
    schemes = {
        "PLUGIN_CLIENT_CERT": AutoMTLS(identity),
        "": Metadata(),
        "VAULT_UNWRAP_TOKEN": SharedIdentity(identity, "jwt"),
    }
    for name, scheme in schemes.items():
        variables = scheme.variables()
        assert {"PLUGIN_CLIENT_CERT", "VAULT_UNWRAP_TOKEN"} & set(variables) == ({name} if name else set())
        assert (variables["VAULT_PLUGIN_METADATA_MODE"] == "true") is (name == "")
        assert "PRIVATE" not in "".join(variables.values())


def test_without_a_certificate_there_is_no_connection(short_directory: Path) -> None:
    """Mutual TLS is never given up for plaintext, nor for a certificate that cannot be read."""
    for announced in (None, b"no certificate"):
        with pytest.raises(PluginStartError, match="authentication handshake failed") as caught:
            AutoMTLS().secure(announced, short_directory)
        assert caught.value.hint


# --- directories -------------------------------------------------------------------------------


def test_a_lent_directory_is_private_and_goes(short_directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With all that is in it."""
    monkeypatch.setattr(tempfile, "tempdir", str(short_directory))
    with lend_directory() as path:
        assert Path(path).parent == short_directory
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o700
        (Path(path) / "sub").mkdir()
        (Path(path) / "sub" / "file").touch()
    assert not Path(path).exists()


def test_a_long_temporary_directory_is_not_used(
    short_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A socket's path would not fit; one that is missing is an error."""
    long = short_directory / ("x" * 60)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    with lend_directory() as path:
        assert len(path) < 60
    monkeypatch.setattr(tempfile, "tempdir", str(short_directory / "none"))
    with pytest.raises(PluginStartError, match="TMPDIR"), lend_directory():
        pass
