"""The handshake line as a server reads it, with the texts seen on Vault 1.21.1."""

from __future__ import annotations

import pytest

from authkit.errors import PluginStartError
from authkit.host.supervisor.handshake import parse_announcement, unrecognized
from authkit.plugin.security.certificates import encode_field, generate_identity
from authkit.rpc import Address

CERTIFICATE = generate_identity().certificate
GOOD = f"1|5|unix|/tmp/p.sock|grpc|{encode_field(CERTIFICATE)}"
NOTES = "\nAdditional notes about plugin:\n  Path: /p\n"


@pytest.mark.parametrize("line", [GOOD, f"  {GOOD}\r", f"{GOOD}|true", f"{GOOD}|anything|more"])
def test_a_good_line_says_where_the_plugin_listens(line: str) -> None:
    """With its version and certificate; more fields than were asked for are not looked at."""
    said = parse_announcement(line, (5,))
    assert (said.version, said.address, said.certificate) == (5, Address("unix", "/tmp/p.sock"), CERTIFICATE)
    assert said.fields[:5] == ("1", "5", "unix", "/tmp/p.sock", "grpc")


@pytest.mark.parametrize(
    "line", ["1|4|tcp|127.0.0.1:9|grpc", "1|4|tcp|127.0.0.1:9|grpc|", "1|4|tcp|127.0.0.1:9|grpc|short"]
)
def test_a_plugin_without_certificate(line: str) -> None:
    """Has five fields, an empty sixth, or one too short to be one."""
    said = parse_announcement(line, (3, 4))
    assert (said.version, said.address, said.certificate) == (4, Address("tcp", "127.0.0.1:9"), None)


BASE64 = "QUJD" * 20


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (
            "2|5|unix|/x|grpc|",
            (
                "Incompatible core API version with plugin. Plugin version: 2, Core version: 1\n\n"
                "To fix this, the plugin usually only needs to be recompiled.\n"
                "Please report this to the plugin author."
            ),
        ),
        (
            "x|5|unix|/x|grpc|",
            'Error parsing core protocol version: strconv.Atoi: parsing "x": invalid syntax',
        ),
        (
            "1|x|unix|/x|grpc|",
            'Error parsing protocol version "x": strconv.Atoi: parsing "x": invalid syntax',
        ),
        (
            "1| 5|unix|/x|grpc|",
            'Error parsing protocol version " 5": strconv.Atoi: parsing " 5": invalid syntax',
        ),
        (
            "1|\u0665|unix|/x|grpc|",
            'Error parsing protocol version "\u0665": strconv.Atoi: parsing "\u0665": invalid syntax',
        ),
        (
            "1|99999999999999999999|unix|/x|grpc|",
            (
                'Error parsing protocol version "99999999999999999999": strconv.Atoi: parsing '
                '"99999999999999999999": value out of range'
            ),
        ),
        (
            "1|4|unix|/x|grpc|",
            "Incompatible API version with plugin. Plugin version: 4, Client versions: [5]",
        ),
        ("1|5|unix|/x|foo|", 'Unsupported plugin protocol "foo". Supported: [netrpc grpc]'),
        ("1|5|unix|/x", 'Unsupported plugin protocol "netrpc". Supported: [grpc]'),
        ("1|5|pigeon|/x|grpc|", "Unknown address type: /x"),
        (f"1|5|unix|/x|grpc|{BASE64}QUI=", "error parsing server cert: illegal base64 data at input byte 83"),
        (f"1|5|unix|/x|grpc|{BASE64}!!", "error parsing server cert: illegal base64 data at input byte 80"),
        (f"1|5|unix|/x|grpc|{BASE64}Q", "error parsing server cert: illegal base64 data at input byte 80"),
        (f"1|5|unix|/x|grpc|{BASE64}", "error parsing server cert: x509: malformed certificate"),
    ],
)
def test_a_line_that_a_server_refuses(line: str, text: str) -> None:
    """Word for word as the server does."""
    with pytest.raises(PluginStartError) as caught:
        parse_announcement(line, (5,))
    assert str(caught.value) == text


def test_the_versions_that_were_offered_are_named() -> None:
    """As a server prints its list."""
    with pytest.raises(PluginStartError, match=r"Plugin version: 5, Client versions: \[3 4\]"):
        parse_announcement(GOOD, (3, 4))


REASONS = """\
This usually means
  the plugin was not compiled for this architecture,
  the plugin is missing dynamic-link libraries necessary to run,
  the plugin is not executable by this process due to file permissions, or
  the plugin failed to negotiate the initial go-plugin protocol handshake

Additional notes about plugin:
  Path: /p
"""


@pytest.mark.parametrize("line", ["hello", "", "a|b|c"])
def test_a_line_that_is_no_handshake(line: str) -> None:
    """It is quoted, and notes about the file follow."""
    with pytest.raises(PluginStartError) as caught:
        parse_announcement(line, (5,), notes=NOTES)
    assert str(caught.value) == f"Unrecognized remote plugin message: {line}\n{REASONS}"


def test_no_line_at_all() -> None:
    """Is told apart from an empty one."""
    assert str(unrecognized(None, NOTES)) == (
        "Unrecognized remote plugin message: \nFailed to read any lines from plugin's stdout\n" + REASONS
    )
