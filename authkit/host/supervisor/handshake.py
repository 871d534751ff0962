"""The host's side of the handshake: parses the plugin's line and words its errors.

No I/O. The texts are those of go-plugin 1.6.3 (client.go, Start) as a Vault 1.21.1 server shows them;
hints come from `authkit.host.supervisor.hints`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import ClassVar

from cryptography import x509

from authkit.errors import PluginStartError
from authkit.plugin.handshake import CORE_VERSION
from authkit.plugin.security.certificates import decode_field
from authkit.rpc.interface import Address
from authkit.values import Value

__all__ = ["Announcement", "parse_announcement", "unrecognized"]

MIN_CERTIFICATE_CHARACTERS = 51
"""A shorter sixth field is ignored, as by go-plugin."""

_DIGITS = re.compile(r"[+-]?[0-9]+")
_NOT_BASE64 = re.compile(r"[^A-Za-z0-9+/]")


class Announcement(Value, frozen=True, kw_only=True):
    """A parsed handshake line. Set by the plugin."""

    version: int
    """The application protocol that the plugin chose."""
    address: Address
    certificate: bytes | None
    """In DER; `None` without one."""
    fields: tuple[str, ...] = ()
    """The raw fields of the line."""

    unshown: ClassVar = ("certificate",)


def parse_announcement(line: str, offered: Sequence[int], *, notes: str = "") -> Announcement:
    """Parse a handshake line. `notes` about the executable go into the error for an unrecognized line.

    Raises:
        PluginStartError: the line is invalid. The text is a Vault server's.
    """
    line = line.strip()
    fields = tuple(line.split("|"))
    if len(fields) < 4:
        raise unrecognized(line, notes)
    _check_core(fields[0])
    return Announcement(
        version=_version(fields[1], offered),
        address=_address(fields[2], fields[3], fields[4] if len(fields) > 4 else "netrpc"),
        certificate=_certificate(fields[5] if len(fields) > 5 else ""),
        fields=fields,
    )


def unrecognized(line: str | None, notes: str) -> PluginStartError:
    """Return the error for a first line that is not a handshake; `None`: there was no line at all."""
    text = f"Unrecognized remote plugin message: {line or ''}\n"
    if line is None:
        text += "Failed to read any lines from plugin's stdout\n"
    return PluginStartError(text + _USUAL_REASONS + notes)


_USUAL_REASONS = """\
This usually means
  the plugin was not compiled for this architecture,
  the plugin is missing dynamic-link libraries necessary to run,
  the plugin is not executable by this process due to file permissions, or
  the plugin failed to negotiate the initial go-plugin protocol handshake
"""


def _check_core(text: str) -> None:
    number = _number(text, "Error parsing core protocol version")
    if number != CORE_VERSION:
        raise PluginStartError(
            "Incompatible core API version with plugin. "
            f"Plugin version: {text}, Core version: {CORE_VERSION}\n\n"
            "To fix this, the plugin usually only needs to be recompiled.\n"
            "Please report this to the plugin author."
        )


def _version(text: str, offered: Sequence[int]) -> int:
    number = _number(text, f"Error parsing protocol version {_quoted(text)}")
    if number not in offered:
        known = " ".join(map(str, offered))
        raise PluginStartError(
            f"Incompatible API version with plugin. Plugin version: {number}, Client versions: [{known}]"
        )
    return number


def _address(network: str, target: str, protocol: str) -> Address:
    if network not in ("unix", "tcp"):
        raise PluginStartError(f"Unknown address type: {target}")
    if protocol not in ("netrpc", "grpc"):
        raise PluginStartError(f"Unsupported plugin protocol {_quoted(protocol)}. Supported: [netrpc grpc]")
    if protocol == "netrpc":
        # A Vault server takes it, and then falls over its own type assertion.
        raise PluginStartError('Unsupported plugin protocol "netrpc". Supported: [grpc]')
    return Address(network, target)


def _certificate(text: str) -> bytes | None:
    if len(text) < MIN_CERTIFICATE_CHARACTERS:
        return None
    bad = _NOT_BASE64.search(text)
    if bad is not None or len(text) % 4 == 1:
        at = bad.start() if bad is not None else len(text) - 1
        raise PluginStartError(f"error parsing server cert: illegal base64 data at input byte {at}")
    der = decode_field(text)
    try:
        x509.load_der_x509_certificate(der)
    except ValueError as error:
        raise PluginStartError("error parsing server cert: x509: malformed certificate") from error
    return der


def _number(text: str, what: str) -> int:
    if _DIGITS.fullmatch(text) is None:
        raise PluginStartError(f"{what}: strconv.Atoi: parsing {_quoted(text)}: invalid syntax")
    if len(text) > 19:
        raise PluginStartError(f"{what}: strconv.Atoi: parsing {_quoted(text)}: value out of range")
    return int(text)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
