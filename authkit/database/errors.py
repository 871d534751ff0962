"""The text that a host, and so its client, reads of a call that failed: short, and without secrets.

A host hands the text on as it is and masks nothing (Vault 1.21). Masked are what looks like a secret, and the
secrets of the connection and of the call, as `[password]` and the like (so does Vault SDK 0.21,
database/dbplugin/v5/middleware.go).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import quote, quote_plus

from authkit.database.settings import HIDDEN_NAMES, DatabaseSettings
from authkit.errors import AuthKitError
from authkit.masking import Secret, mask_text
from authkit.wire.failures import failure, neutral_text

__all__ = ["MAX_TEXT", "failure_text", "hide_secrets", "secrets_of"]

MAX_TEXT: Final = 500
"""Characters of a text. A database may quote whole statements."""

MAX_READ: Final = 16 * MAX_TEXT
"""Characters that are searched for secrets. A text may be of any length; all connections wait meanwhile."""

PIECE: Final = 8
"""Characters of a piece of a long secret that is masked alone: databases quote statements cut off."""

LONG: Final = 13
"""Characters of a secret whose pieces are masked. A shorter one is masked whole: its pieces may be words."""

SHORTEST_PART: Final = 4
"""Characters of a part of a password that is masked alone."""

_QUOTE: Final = "[\"'`\u00ab\u00bb\u2018-\u201f\u2039\u203a\u300c\u300d]"
"""Marks of quotation. A database may speak the language of its server."""
_INSIDE: Final = f"[^{_QUOTE[1:]}"
_QUOTED: Final = re.compile(rf"{_QUOTE}(?=\s?((?!\s){_INSIDE}{{3,}}?)\s?{_QUOTE})")
"""What a database quotes of a statement that it does not understand, such as a part of a password. Each mark
may begin it: one before may be an apostrophe."""

_URL_PASSWORD: Final = re.compile(r"://[^/?#:]*:([^/?#]*)@")
_UNESCAPED_PASSWORD: Final = re.compile(r"://[^:@]*:(.*)@", re.DOTALL)
"""With a character that ends the address: who parses the URL complains of its parts."""
_NAMED_PASSWORD: Final = re.compile(r"(?is)\bpassword\s*=\s*'?(.*?)(?=\s\w+\s*=|[&']|\Z)")
"""Of `key=value` pairs, and of the parameters of a URL. One with blanks should be in quotes."""


def failure_text(
    exc: BaseException,
    shown: tuple[type[Exception], ...],
    secrets: Mapping[str, str],
    *,
    what: str,
    connection: str,
    fresh: Collection[str] = (),
) -> str:
    """Return what to say of `exc`. Raises nothing.

    It is the text of an error of authkit, of the system, or of the kinds `shown`. Any other error is a fault:
    a neutral text, and the error goes to the log under the reference in it. `fresh`: see `hide_secrets`.
    """
    if not isinstance(exc, (AuthKitError, OSError, *shown)):
        return neutral_text(failure(what, exc, connection=connection))
    try:
        text = " ".join(str(exc).split())
    except Exception:
        text = ""
    masked = hide_secrets(text[:MAX_READ] or type(exc).__name__, secrets, fresh)
    if len(text) > MAX_READ:
        masked = masked[:-LONG]  # where it is cut, less than a piece of a secret may be left
    return masked[:MAX_TEXT]


def secrets_of(settings: DatabaseSettings | None, raw: Mapping[str, Any]) -> dict[str, str]:
    """Return the secrets of a connection by value, with the names that stand in their place.

    `raw` are the settings as they were sent, which may be wrong; then there are no `settings`.
    """
    found = {value: name for name in HIDDEN_NAMES if isinstance(value := raw.get(name), str) and value}
    if settings is not None:
        # Also what was sent as a number.
        secrets = {name: getattr(settings, name) for name, each in settings.schema.items() if each.sensitive}
        found |= {
            value.reveal(): name for name, value in secrets.items() if isinstance(value, Secret) and value
        }
    url = raw.get("connection_url")
    if isinstance(url, str):
        found |= dict.fromkeys(_passwords_of_url(url), "password")
    return found


def _passwords_of_url(url: str) -> Iterator[str]:
    # `{{password}}` is no secret: its pieces would mask the word in every text.
    url = url.replace("{{password}}", "")
    well_formed = _URL_PASSWORD.findall(url)
    yield from filter(None, well_formed)
    others = [] if well_formed else _UNESCAPED_PASSWORD.findall(url)
    for password in filter(None, [*others, *_NAMED_PASSWORD.findall(url)]):
        yield password
        yield from (part for part in re.split(r"[/?#\s]", password) if len(part) >= SHORTEST_PART)


def hide_secrets(text: str, secrets: Mapping[str, str], fresh: Collection[str] = ()) -> str:
    """Return the text without secrets, given by value with the names that stand in their place.

    `fresh` are secrets that the host has made for this request alone. Whatever the text quotes of a long one
    is hidden, however short: a guess that this confirms is of no use after the request. For a lasting secret,
    texts that lack short pieces would confirm one guess after the other.
    """
    spans = [span for value, name in secrets.items() for span in _find(text, value, name)]
    long = [value for value in fresh if len(value) >= LONG]
    quoted = [each for each in _QUOTED.finditer(text) if any(each[1] in value for value in long)]
    spans += [(*each.span(1), "password") for each in quoted]
    shown: list[str] = []
    covered = 0
    for begin, end, name in sorted(spans):
        if begin > covered or not shown:
            shown += [text[covered:begin], f"[{name}]"]
        covered = max(covered, end)
    return mask_text("".join([*shown, text[covered:]]))


def _find(text: str, value: str, name: str) -> Iterator[tuple[int, int, str]]:
    for form in _forms(value):
        size = PIECE if len(form) >= LONG else len(form)
        pieces = {form[start : start + size] for start in range(len(form) - size + 1)}
        for begin in range(len(text) - size + 1):
            if text[begin : begin + size] in pieces:
                yield begin, begin + size, name


def _forms(value: str) -> Iterable[str]:
    """Return the forms in which a text may hold a value: as it is, escaped for a URL, and in quotes."""
    escaped = {quote(value, safe=""), quote_plus(value), repr(value)[1:-1], value.replace("'", "''")}
    # A text has one blank for each run of white space.
    return {value, " ".join(value.split()), *escaped} - {""}
