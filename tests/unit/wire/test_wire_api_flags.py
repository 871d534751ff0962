"""The flags of a plugin's command line, as Go's flag package reads them."""

from __future__ import annotations

import pytest

from authkit.errors import HandshakeError
from authkit.wire.api_flags import APIFlags, parse_boolean

ALL = APIFlags(
    ca_cert="/a",
    ca_path="/p",
    client_cert="/c",
    client_key="/k",
    tls_server_name="n",
    tls_skip_verify=True,
)


@pytest.mark.parametrize(
    "arguments",
    [
        "-ca-cert=/a -ca-path=/p -client-cert=/c -client-key=/k -tls-server-name=n -tls-skip-verify",
        "--ca-cert=/a --ca-path=/p --client-cert=/c --client-key=/k --tls-server-name=n --tls-skip-verify=1",
        "-ca-cert /a --ca-path /p -client-cert /c --client-key /k -tls-server-name n -tls-skip-verify=T",
        (
            "-ca-cert=/x -tls-skip-verify=0 -ca-cert /a --ca-path=/p -client-cert=/c -client-key /k"
            " -tls-skip-verify=1 -tls-server-name=n"
        ),
    ],
)
def test_flags_are_read_in_all_of_go_s_spellings(arguments: str) -> None:
    """One dash or two, `=` or the next argument; the last of several counts; the switch takes `=` only."""
    assert APIFlags.parse(arguments.split()) == ALL


def test_the_next_argument_is_the_value_whatever_it_looks_like() -> None:
    """As in Go, and with further `=` in it."""
    flags = APIFlags.parse(["-ca-cert", "-client-key", "-tls-server-name=a=b", "-ca-path="])
    assert flags == APIFlags(ca_cert="-client-key", tls_server_name="a=b")


def test_without_arguments_nothing_is_set() -> None:
    """Which is what most plugins are registered with."""
    assert APIFlags.parse([]) == APIFlags()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["-ca-cert"], "-ca-cert has no value"),
        (["-ca-cer=/a"], "no flag -ca-cer;"),
        (["-verbose"], "no flag -verbose;"),
        (["-h"], "no flag -h;"),
        (["-tls-skip-verify=yes"], "-tls-skip-verify is neither true nor false"),
        (["-tls-skip-verify="], "-tls-skip-verify is neither true nor false"),
        (["-tls-skip-verify", "false"], "argument 2 is not a flag"),
        (["-ca-cert=/a", "rest"], "argument 2 is not a flag"),
        ([""], "argument 1 is not a flag"),
        (["-"], "argument 1 is not a flag"),
        (["--"], "argument 1 is not a flag"),
        (["---ca-cert=/a"], "argument 1 is not a flag"),
        (["-=/a"], "argument 1 is not a flag"),
    ],
)
def test_other_arguments_are_refused(arguments: list[str], expected: str) -> None:
    """The error names what is wrong and all flags that there are."""
    with pytest.raises(HandshakeError) as refused:
        APIFlags.parse(arguments)
    text = str(refused.value)
    assert expected in text
    assert text.endswith("-ca-cert, -ca-path, -client-cert, -client-key, -tls-server-name, -tls-skip-verify")


@pytest.mark.parametrize("argument", ["-api-key=hvs.secret", "hvs.secret", "-tls-skip-verify=hvs.secret"])
def test_values_are_not_shown(argument: str) -> None:
    """Somebody may have registered a secret."""
    with pytest.raises(HandshakeError) as refused:
        APIFlags.parse([argument])
    assert "secret" not in str(refused.value)


def test_booleans_are_those_of_go() -> None:
    """Six words for yes, six for no."""
    assert all(map(parse_boolean, ("1", "t", "T", "TRUE", "true", "True")))
    assert not any(map(parse_boolean, ("0", "f", "F", "FALSE", "false", "False")))
    for text in ("", "yes", "tRUE", " true"):
        with pytest.raises(ValueError, match="neither true nor false"):
            parse_boolean(text)
