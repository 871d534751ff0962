"""Where a request goes: its path and query as Go's server reads them, and the names that are this server's.

Independent of Starlette. Reading the request: `requests.py`.
"""

from __future__ import annotations

import ipaddress
import posixpath
import re
from urllib.parse import unquote, unquote_plus

__all__ = ["MalformedTargetError", "clean", "host_name", "is_own_name", "read_path", "read_query"]

_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


class MalformedTargetError(ValueError):
    """The path cannot be decoded."""


def read_path(raw: str) -> str:
    """Return the decoded path.

    Raises:
        MalformedTargetError: a percent sign that begins no escape, or a character that isn't printable.
    """
    path = unquote(raw, errors="replace")
    if _BROKEN_ESCAPE.search(raw) or not path.isprintable():
        raise MalformedTargetError(raw)
    return path


def clean(raw: str) -> str:
    """Return the path without `//`, `.` and `..`, as Go's router wants it; a trailing slash is kept.

    An escaped dot stays: it is a character of a name, which the storage refuses later.
    """
    cleaned = "/" + posixpath.normpath("/" + raw).lstrip("/")
    return cleaned + "/" if raw.endswith("/") and cleaned != "/" else cleaned


def read_query(raw: str) -> dict[str, list[str]]:
    """Return the parameters. As in Go a pair with `;` or a broken escape is left out, not refused."""
    query: dict[str, list[str]] = {}
    for pair in filter(None, raw.split("&")):
        if ";" not in pair and not _BROKEN_ESCAPE.search(pair):
            name, _, value = pair.partition("=")
            query.setdefault(unquote_plus(name), []).append(unquote_plus(value))
    return query


def host_name(authority: str) -> str:
    """Return the name or address in a Host header, without port and brackets, in small letters."""
    if authority.startswith("["):
        return authority[1:].partition("]")[0].lower()
    return authority.rpartition(":")[0].lower() if ":" in authority else authority.lower()


def is_own_name(authority: str, names: frozenset[str] = frozenset()) -> bool:
    """Whether a browser that sends this Host can't have been led here by somebody else's DNS.

    An address is typed or linked, never looked up; `localhost` and what is below it never leaves the
    machine (RFC 6761, 6.3). Any other name may belong to a stranger who lets it point to this server (DNS
    rebinding), so it has to be among `names`.
    """
    name = host_name(authority)
    if name in names or name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
