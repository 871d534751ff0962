"""Go's `fmt.Sprintf` and `fmt.Sprint` for texts, whole numbers and booleans.

Where Go writes a complaint into the text, such as `%!d(string=x)`, this is an error: nobody wants that in a
name. A missing argument alone becomes `%!s(MISSING)` as in Go: the default for old servers of the official
MySQL plugin (Vault 1.21, plugins/database/mysql/mysql.go) has one, and cuts it off. Source: Go 1.26, fmt.
"""

from __future__ import annotations

import re
from typing import Final

from authkit.credentials.templates.errors import TemplateError, verify_length
from authkit.credentials.templates.scalars import Scalar, show, type_name

__all__ = ["MISSING", "sprint", "sprintf"]

MISSING: Final = "(MISSING)"
"""The end of what is written for a missing argument."""

_VERB: Final = re.compile(
    r"%(?P<flags>[-0]*)(?P<width>[0-9]*)(?:\.(?P<precision>[0-9]*))?(?P<verb>.?)", re.DOTALL
)

_VERBS: Final = tuple("sqdvtxX")

_SHORT_ESCAPES: Final = {
    "\a": r"\a", "\b": r"\b", "\f": r"\f", "\n": r"\n", "\r": r"\r", "\t": r"\t", "\v": r"\v",
    "\\": r"\\", '"': r"\"",
}  # fmt: skip


def sprint(*values: Scalar) -> str:
    """Return the values' texts, with a blank between two of which neither is a text."""
    parts: list[str] = []
    for position, value in enumerate(values):
        if position and not isinstance(value, str) and not isinstance(values[position - 1], str):
            parts.append(" ")
        parts.append(show(value))
    verify_length(sum(map(len, parts)))
    return "".join(parts)


def sprintf(form: str, *values: Scalar) -> str:
    """Return `form` with its verbs replaced: `%s %q %d %v %t %x %X %%`, with `-`, `0`, width and precision.

    Width and precision count characters. Precision is for texts only.

    Raises:
        TemplateError: another verb or flag, one that does not fit its value, or too many values.
    """
    rest = list(reversed(values))
    parts: list[str] = []
    length = position = 0
    while match := _VERB.search(form, position):
        parts += form[position : match.start()], _format(match, rest)
        length += len(parts[-2]) + len(parts[-1])
        verify_length(length)
        position = match.end()
    parts.append(form[position:])
    if rest:
        raise TemplateError("more arguments than the format has verbs")
    verify_length(length + len(parts[-1]))
    return "".join(parts)


def _format(match: re.Match[str], rest: list[Scalar]) -> str:
    """Return the text for one verb; take its value from the end of `rest`."""
    verb, width = match["verb"], _read_number(match["width"])
    if match[0] == "%%":
        return "%"
    if verb not in _VERBS:
        raise TemplateError(f"{match[0]} is not supported")
    if not rest:
        return f"%!{verb}{MISSING}"
    value = rest.pop()
    if match["precision"] is not None:
        if not isinstance(value, str) or verb not in "svq":
            raise TemplateError(f"{match[0]}: a precision is for texts with %s, %v or %q")
        value = value[: _read_number(match["precision"])]
    if "0" in match["flags"] and not (type(value) is int and verb in "dvxX"):
        raise TemplateError(f"{match[0]}: zeros are for numbers")
    text = _to_text(verb, value)
    if "-" in match["flags"]:
        return text.ljust(width)
    return text.zfill(width) if "0" in match["flags"] else text.rjust(width)


def _to_text(verb: str, value: Scalar) -> str:
    match verb, value:
        case ("v", _) | ("t", bool()) | ("s", str()):
            return show(value)
        case "q", str():
            return _quote(value)
        case "x" | "X", str():
            text = value.encode().hex()
            return text.upper() if verb == "X" else text
        case "d" | "x" | "X", int() if not isinstance(value, bool):
            return format(value, verb)
    raise TemplateError(f"%{verb} does not fit a value of type {type_name(type(value))}")


def _quote(text: str) -> str:
    """Return `text` in double quotes, as `strconv.Quote` does."""
    return f'"{"".join(map(_escape, text))}"'


def _escape(character: str) -> str:
    if character in _SHORT_ESCAPES:
        return _SHORT_ESCAPES[character]
    if character.isprintable():
        return character
    code = ord(character)
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _read_number(digits: str) -> int:
    number = int(digits[:9] or 0)
    verify_length(number)
    return number
