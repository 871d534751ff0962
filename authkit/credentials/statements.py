"""Statements as operators write them for a database: split, checked, and filled with values.

Substitution is textual, as on a server: `{{username}}` is replaced by the name and nothing is quoted. The
quotes around a placeholder are the operator's, and a value that holds one ends them early: the rest of the
value is then read as a statement. So what is put in must not hold anything that ends quotes:

- safe by construction: `make_password()`, the random parts of names, `format_expiration`, PEM keys;
- not safe: names made of display names and role names, and passwords of an operator's policy.

`fill_placeholders` refuses unsafe values. A placeholder outside of all quotes, such as
`CREATE USER {{username}}`, is never safe: blanks are allowed in values. Where a driver takes parameters or
quotes identifiers by itself (`psycopg.sql`), prefer that for statements of your own.

A password that a statement holds is not masked by anybody: never log a filled statement, and mask the
errors of a database (`authkit.masking.mask_text` with the password as `own`).
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

from msgspec import MsgspecError
from msgspec.json import decode

from authkit.errors import InternalError, UserError
from authkit.masking import Secret
from authkit.values import verify_collections

__all__ = [
    "fill_placeholders",
    "fill_url",
    "format_expiration",
    "is_safe",
    "replace_unsafe",
    "split_statements",
    "verify_placeholders",
]

_PLACEHOLDER: Final = re.compile(r"\{\{([A-Za-z_][A-Za-z0-9_]*)\}\}")
_MEANT_AS_PLACEHOLDER: Final = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")

_QUOTED: Final = re.compile(r'(".*?")'), re.compile(r"('.*?')")
_END: Final = re.compile(r"\bEND\b", re.ASCII)


# --- operators' lists --------------------------------------------------------------------------


def split_statements(items: Iterable[str]) -> list[str]:
    """Return the single statements of a role's field, as the official PostgreSQL plugin splits them.

    An item that has the word END outside of quotes is one statement: it is the body of a function or a
    `DO` block. Any other is decoded if it is base64, is a JSON list of statements or else split at each `;`.
    White space around statements is removed, empty ones are left out.

    Differs from the server in one point: what is base64 but not of a UTF-8 text is no base64.

    Source: Vault 1.21, plugins/database/postgresql/postgresql.go, NewUser and containsMultilineStatement;
    go-secure-stdlib strutil 0.1.2, ParseArbitraryStringSlice.

    Raises:
        UserError: an item has a NUL, which no database takes.
    """
    verify_collections(items=items)
    statements: list[str] = []
    for item in items:
        if _has_end(item):
            statements.append(item.strip())
        else:
            statements += map(str.strip, _read_list(item))
    if any("\0" in statement for statement in statements):
        raise UserError("a statement has a NUL character")
    return [statement for statement in statements if statement]


def verify_placeholders(statements: Iterable[str], known: Collection[str]) -> None:
    """Raise UserError if a statement has another placeholder than those `known`.

    For the write of a role: a misspelt placeholder would make a user of that name.
    """
    verify_collections(statements=statements, known=known)
    for statement in statements:
        for match in _MEANT_AS_PLACEHOLDER.finditer(statement):
            if match[1] not in known or match[0] != f"{{{{{match[1]}}}}}":
                names = ", ".join(f"{{{{{name}}}}}" for name in known)
                raise UserError(f"unknown placeholder {match[0]} in a statement: there are {names}")


def _has_end(item: str) -> bool:
    """Whether the word END is in an item outside of quotes, in the judgement of the official plugin."""
    quoted = [text for pattern in _QUOTED for text in pattern.findall(item)]
    # Only the last quoted text is left out, as there. What is not split is sent as it is, which is safe.
    return _END.search(item.replace(quoted[-1], "") if quoted else item) is not None


def _read_list(item: str) -> list[str]:
    """Return the texts of an item: base64, JSON or separated."""
    text = item.strip()
    with suppress(ValueError):
        text = b64decode(text.replace("\r", "").replace("\n", ""), validate=True).decode()
    try:
        listed = decode(text, type=list[str | None] | None)
    except (MsgspecError, ValueError, RecursionError):
        return text.split(";")
    return [each or "" for each in listed or ()]


# --- values ------------------------------------------------------------------------------------


def fill_placeholders(text: str, values: Mapping[str, str | Secret]) -> str:
    """Return `text` with each `{{name}}` replaced by the value of that name.

    All in one pass: a value that looks like a placeholder stays as it is. Placeholders without a value stay
    as well, as on a server; `verify_placeholders` finds them when a role is written. The result may hold
    secrets: see the module.

    Raises:
        InternalError: a value that is used is unsafe (`is_safe`). The text names it and does not show it.
    """

    def fill(match: re.Match[str]) -> str:
        if match[1] not in values:
            return match[0]
        value = _reveal(values[match[1]])
        if not is_safe(value):
            raise InternalError(
                f"the {match[1]} has a character that a statement cannot carry safely: "
                "a quote, a backslash, ], $$, or one that is not printable"
            )
        return value

    return _PLACEHOLDER.sub(fill, text)


def fill_url(url: str, values: Mapping[str, str | Secret]) -> str:
    """Return `url` with each `{{name}}` replaced by the value of that name, percent-encoded.

    Letters, digits and `-._~` stay. So `@`, `/`, `?` and `:` of a password belong to nothing else. All in
    one pass; placeholders without a value stay. The result may hold secrets.
    """
    from urllib.parse import quote

    def fill(match: re.Match[str]) -> str:
        return quote(_reveal(values[match[1]]), safe="") if match[1] in values else match[0]

    return _PLACEHOLDER.sub(fill, url)


def is_safe(value: str) -> bool:
    """Return whether a value may stand in a statement within quotes of any kind.

    True if it has only letters, digits, blanks and ASCII punctuation, and nothing that ends quotes in one
    of the databases: no `'`, `"`, backquote, backslash or `]`, and no `$$` or `$tag$`. Other punctuation of
    Unicode is unsafe as well: some databases convert it to ASCII quotes. The one kind of safe value with
    several lines is a PEM text, such as a public key.
    """
    if _PEM.fullmatch(value):
        return True
    return not any(map(_is_unsafe, value)) and not _DOLLAR_QUOTE.search(value)


def replace_unsafe(value: str, replacement: str = "_") -> str:
    """Return `value` with `replacement` for each character that may be unsafe.

    For display names, before names are made of them: who is called O'Brien gets a name as well.
    """
    return "".join(replacement if _is_unsafe(each) or each == "$" else each for each in value)


def format_expiration(moment: datetime) -> str:
    """Return a moment as `{{expiration}}` shows it: `2006-01-02 15:04:05+0000`, in UTC.

    Source: Vault 1.21, plugins/database/postgresql/postgresql.go, expirationFormat.

    Raises:
        ValueError: `moment` has no time zone.
    """
    if moment.tzinfo is None:
        raise ValueError("the moment has no time zone")
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "seconds") + "+0000"


_UNSAFE_ASCII: Final = frozenset("'\"`\\]")
_DOLLAR_QUOTE: Final = re.compile(r"\$\w*\$")
_PEM: Final = re.compile(r"-----BEGIN ([A-Z ]+)-----\n(?:[A-Za-z0-9+/]+={0,2}\n)+-----END \1-----\n?")
_SAFE_CATEGORIES: Final = frozenset({"Lu", "Ll", "Lt", "Lo", "Nd"})
"""No modifier letters: some of them are taken for apostrophes."""


def _is_unsafe(character: str) -> bool:
    if character.isascii():
        return character in _UNSAFE_ASCII or not character.isprintable()
    from unicodedata import category

    return category(character) not in _SAFE_CATEGORIES


def _reveal(value: str | Secret) -> str:
    return value.reveal() if isinstance(value, Secret) else value
