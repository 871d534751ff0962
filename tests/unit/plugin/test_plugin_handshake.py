"""Cookie, version choice, handshake line and the host's variables."""

from __future__ import annotations

import subprocess
import sys

import pytest

from authkit.errors import HandshakeError
from authkit.plugin.environment import HostEnvironment
from authkit.plugin.handshake import choose_version, handshake_line, is_cookie_right, notice
from authkit.plugin.server import agree_on_version

LINE = {"version": 5, "network": "unix", "address": "/tmp/p", "certificate": "QUJD", "multiplex": None}


@pytest.mark.parametrize(
    ("environ", "right"),
    [
        ({"KEY": "value"}, True),
        ({"KEY": "Value"}, False),
        ({"KEY": "value "}, False),
        ({"KEY": ""}, False),
        ({}, False),
        ({"OTHER": "value"}, False),
    ],
)
def test_the_cookie_must_be_exact(environ: dict[str, str], right: bool) -> None:
    """Only the exact value under the exact name counts."""
    assert is_cookie_right(environ, "KEY", "value") is right


def test_the_notice_is_one_helpful_line() -> None:
    """Whoever starts the plugin by hand learns in one line what it is and what to do."""
    text = notice("acme")
    assert text.startswith("acme is a plugin")
    assert "vault plugin register" in text
    assert text.count("\n") == 1


@pytest.mark.parametrize(
    ("offered", "supported", "chosen"),
    [
        ({5}, (5,), 5),
        ({3, 4}, (5, 4), 4),
        ({3, 4, 5}, (4, 5), 5),
        ({6, 5}, (5,), 5),
        ({3, 4}, (5,), None),
        (set(), (5,), None),
    ],
)
def test_the_highest_common_version_is_chosen(
    offered: set[int], supported: tuple[int, ...], chosen: int | None
) -> None:
    """The order in which a host lists its versions, which is random, does not matter."""
    assert choose_version(offered, supported) == chosen


def test_no_common_version_is_told_with_both_lists() -> None:
    """An operator reads which versions the host offers and which the plugin speaks."""
    environment = HostEnvironment.parse({"PLUGIN_PROTOCOL_VERSIONS": "4,3"})
    with pytest.raises(HandshakeError, match=r"PLUGIN_PROTOCOL_VERSIONS.*3, 4.*speaks 5"):
        agree_on_version(environment, (5,))


def test_the_line_has_six_fields() -> None:
    """Core version, version, network, address, protocol, certificate; then a newline."""
    assert handshake_line(**LINE) == b"1|5|unix|/tmp/p|grpc|QUJD\n"


def test_the_seventh_field_answers_only_who_asked() -> None:
    """Hosts before go-plugin 1.6 would take it for a part of the certificate."""
    assert handshake_line(**LINE | {"multiplex": False}) == b"1|5|unix|/tmp/p|grpc|QUJD|false\n"


@pytest.mark.parametrize(
    "wrong",
    [
        {"network": "unixgram"},
        {"network": ""},
        {"network": "Unix"},
        {"certificate": "QUI="},
        {"address": "/tmp/a|b"},
        {"address": "/tmp/a\nb"},
    ],
)
def test_a_line_that_would_harm_a_host_is_never_made(wrong: dict[str, str]) -> None:
    """An unknown network takes a whole Vault server down; a separator shifts the fields."""
    with pytest.raises(ValueError):
        handshake_line(**LINE | wrong)


def test_the_environment_is_read_whole() -> None:
    """Every variable of the host has its place; what is no number in the version list is skipped."""
    environment = HostEnvironment.parse(
        {
            "PLUGIN_PROTOCOL_VERSIONS": "5,x,6,,٣",
            "PLUGIN_CLIENT_CERT": "PEM",
            "PLUGIN_MIN_PORT": "10000",
            "PLUGIN_MAX_PORT": "25000",
            "PLUGIN_UNIX_SOCKET_DIR": "/s",
            "PLUGIN_UNIX_SOCKET_GROUP": "g",
            "PLUGIN_MULTIPLEX_GRPC": "true",
        }
    )
    assert environment == HostEnvironment(
        versions=frozenset({5, 6}),
        client_certificate="PEM",
        min_port=10000,
        max_port=25000,
        socket_directory="/s",
        socket_group="g",
        multiplex_requested=True,
    )
    assert HostEnvironment.parse({}) == HostEnvironment()


@pytest.mark.parametrize(
    ("environ", "name"),
    [
        ({"PLUGIN_MIN_PORT": "abc"}, "PLUGIN_MIN_PORT"),
        ({"PLUGIN_MAX_PORT": "70000"}, "PLUGIN_MAX_PORT"),
        ({"PLUGIN_MIN_PORT": "-1"}, "PLUGIN_MIN_PORT"),
        ({"PLUGIN_MIN_PORT": "9", "PLUGIN_MAX_PORT": "8"}, "PLUGIN_MIN_PORT"),
    ],
)
def test_a_malformed_variable_is_named(environ: dict[str, str], name: str) -> None:
    """The error says which variable is wrong."""
    with pytest.raises(HandshakeError, match=name):
        HostEnvironment.parse(environ)


def test_refusing_a_cookie_needs_no_heavy_import() -> None:
    """The path that a server's probes take loads neither asyncio, logging, grpc nor dataclasses."""
    script = (
        "import sys; from authkit import serve\n"
        "heavy = {'asyncio', 'logging', 'grpc', 'google.protobuf', 'cryptography',\n"
        "         'dataclasses', 'typing', 're'}\n"
        "before = set(sys.modules)\n"
        "try:\n    serve('nothing:Nothing')\nexcept SystemExit as end:\n    status = end.code\n"
        "print(status, sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "1 []"
    assert "is a plugin" in done.stderr
