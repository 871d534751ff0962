"""The target of a request: path and query, parsed as by Go's server, and the check of the Host header.

Independent of Starlette. See `requests.py` for the rest of a request.
"""

from __future__ import annotations

import ipaddress
import posixpath
import re
from urllib.parse import unquote, unquote_plus

__all__ = ["MalformedTargetError", "clean", "host_name", "is_own_name", "read_path", "read_query"]

_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


class MalformedTargetError(ValueError):
    """The path is malformed."""


def read_path(raw: str) -> str:
    """Return the decoded path.

    Raises:
        MalformedTargetError: the path has an invalid percent escape or an unprintable character.
    """
    path = unquote(raw, errors="replace")
    if _BROKEN_ESCAPE.search(raw) or not path.isprintable():
        raise MalformedTargetError(raw)
    return path


def clean(raw: str) -> str:
    """Remove `//`, `.` and `..` from a path, as Go's router does. A trailing slash is kept.

    An escaped dot stays: it is a character of a name, which the storage refuses later.
    """
    cleaned = "/" + posixpath.normpath("/" + raw).lstrip("/")
    return cleaned + "/" if raw.endswith("/") and cleaned != "/" else cleaned


def read_query(raw: str) -> dict[str, list[str]]:
    """Return the parameters. A pair with `;` or an invalid escape is dropped, as in Go."""
    query: dict[str, list[str]] = {}
    for pair in filter(None, raw.split("&")):
        if ";" not in pair and not _BROKEN_ESCAPE.search(pair):
            name, _, value = pair.partition("=")
            query.setdefault(unquote_plus(name), []).append(unquote_plus(value))
    return query


def host_name(authority: str) -> str:
    """Return the name or address in a Host header, without port and brackets, in lower case.

    What is behind brackets and is no port is not overlooked: `[::1].example` is no address.
    """
    if authority.startswith("["):
        address, _, port = authority[1:].partition("]")
        return address.lower() if not port or port.startswith(":") else authority.lower()
    return authority.rpartition(":")[0].lower() if ":" in authority else authority.lower()


def is_own_name(authority: str, names: frozenset[str] = frozenset()) -> bool:
    """Whether a Host header is safe against DNS rebinding.

    Addresses are not looked up in DNS, and `localhost` and names below it resolve to this machine (RFC 6761,
    6.3). Any other name could be pointed at this server by its owner, so it must be in `names`.
    """
    name = host_name(authority)
    if name in names or name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
