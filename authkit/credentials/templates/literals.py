"""Strings and numbers as Go writes them (the Go specification, "String literals")."""

from __future__ import annotations

import re
from typing import Final

from authkit.credentials.templates.errors import TemplateError

__all__ = ["read_literal"]

_NUMBER: Final = re.compile(r"[+-]?(?:0|[1-9][0-9]{0,17})", re.ASCII)

_ESCAPE: Final = re.compile(
    rb"\\(?:x([0-9a-fA-F]{2})|([0-7]{3})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([abfnrtv\\\"])|.?)", re.DOTALL
)
_SIMPLE: Final = dict(zip(b'abfnrtv\\"', b'\a\b\f\n\r\t\v\\"', strict=True))


def read_literal(literal: str) -> str | int:
    """Return the value of a string in double quotes or backquotes, or of a decimal whole number.

    Raises:
        TemplateError: an escape is unknown, the text is not UTF-8, or the number has another form.
    """
    if literal[0] == "`":
        return literal[1:-1].replace("\r", "")
    if literal[0] != '"':
        if not _NUMBER.fullmatch(literal):
            raise TemplateError(f"{literal[:40]}: only decimal numbers of up to 18 digits are supported")
        return int(literal)
    try:
        return _ESCAPE.sub(_unescape, literal[1:-1].encode()).decode()
    except UnicodeDecodeError:
        raise TemplateError(f"the text {literal[:40]} is not UTF-8") from None


def _unescape(escape: re.Match[bytes]) -> bytes:
    byte, octal, short, long, simple = escape.groups()
    if simple:
        return bytes([_SIMPLE[simple[0]]])
    if byte or octal:
        code = int(byte, 16) if byte else int(octal, 8)
        if code < 256:
            return bytes([code])
    elif short or long:
        code = int(short or long, 16)
        if code < 0x110000 and not 0xD800 <= code < 0xE000:
            return chr(code).encode()
    raise TemplateError(f"unknown escape {escape[0].decode(errors='replace')}")
