"""The command line of a plugin: the flags by which an operator says how the server's API is reached.

They are those of `PluginAPIClientMeta.FlagSet` (Vault API 1.22, plugin_helpers.go), and are read as Go's
`flag` package reads them. They matter for protocol 4 alone. A wrong one ends the start on every protocol, as
it does in a Go plugin.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from authkit.errors import HandshakeError
from authkit.values import Value

__all__ = ["APIFlags", "parse_boolean"]

_BOOLEANS = {
    **dict.fromkeys(("1", "t", "T", "TRUE", "true", "True"), True),
    **dict.fromkeys(("0", "f", "F", "FALSE", "false", "False"), False),
}


class APIFlags(Value, frozen=True, kw_only=True):
    """What was registered with the plugin: `vault plugin register -args=...`."""

    ca_cert: str = ""
    """`-ca-cert`: file of PEM certificates to trust, in place of those of the machine."""
    ca_path: str = ""
    """`-ca-path`: directory of such files. Ignored beside `-ca-cert`."""
    client_cert: str = ""
    """`-client-cert`: PEM file, for a listener that asks for a certificate."""
    client_key: str = ""
    """`-client-key`: PEM file of its key."""
    tls_server_name: str = ""
    """`-tls-server-name`: name that the server's certificate must have, in place of the address's host."""
    tls_skip_verify: bool = False
    """`-tls-skip-verify`: the server's certificate is not verified."""

    @classmethod
    def parse(cls, arguments: Sequence[str]) -> APIFlags:
        """Read arguments: `-name=value`, `-name value`, with one dash or two. The last of several counts.

        Unlike Go, which stops at the first argument that is not a flag and ignores it and all that follow,
        this refuses it: `-tls-skip-verify false` would mean true, and flags behind it nothing.

        Raises:
            HandshakeError: an argument is not one of these flags, or has no value or a wrong one. Values
                are not shown.
        """
        if not arguments:
            return cls()
        given: dict[str, Any] = dict(_read(arguments))
        return cls(**given)


_FLAGS = {name.replace("_", "-"): name for name in APIFlags.__struct_fields__}
_SWITCH = "tls-skip-verify"


def parse_boolean(text: str) -> bool:
    """Return the boolean that Go's `strconv.ParseBool` reads.

    Raises:
        ValueError: it is none. The error does not repeat it.
    """
    try:
        return _BOOLEANS[text]
    except KeyError:
        raise ValueError("neither true nor false") from None


def _read(arguments: Sequence[str]) -> Iterator[tuple[str, str | bool]]:
    left = iter(enumerate(arguments, 1))
    for position, argument in left:
        name, given, value = _split(argument, position).partition("=")
        if name not in _FLAGS:
            raise _refused(f"a plugin has no flag -{name}")
        if name == _SWITCH:
            yield _FLAGS[name], _read_switch(value) if given else True
            continue
        if not given:
            following = next(left, None)
            if following is None:
                raise _refused(f"-{name} has no value")
            value = following[1]
        yield _FLAGS[name], value


def _split(argument: str, position: int) -> str:
    """Return an argument without its dashes."""
    text = argument[2:] if argument.startswith("--") else argument[1:]
    if not argument.startswith("-") or not text or text[0] in "-=":
        raise _refused(f"argument {position} is not a flag")
    return text


def _read_switch(value: str) -> bool:
    try:
        return parse_boolean(value)
    except ValueError as error:
        raise _refused(f"-{_SWITCH} is {error}") from None


def _refused(what: str) -> HandshakeError:
    known = ", ".join(f"-{name}" for name in _FLAGS)
    return HandshakeError(f"the plugin's arguments: {what}; register it with these only: {known}")
