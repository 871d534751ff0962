"""URLs: taken apart strictly, shown without secrets, and made of what strangers influence.

Pure functions. `urllib.parse.urlsplit` drops what it does not understand (`http://[::1]evil.example/` has
the host `::1` for it, and line breaks vanish), so that two parsers see two hosts. Here such a text is not
a URL.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from collections.abc import Collection
from urllib.parse import SplitResult, quote, urlsplit

from authkit.printable import to_printable
from authkit.values import verify_collections

__all__ = [
    "check_url",
    "find_origin",
    "has_credentials",
    "hide_credentials",
    "is_loopback",
    "is_same_origin",
    "path_segment",
    "show_url",
    "split_url",
]

MAX_SEGMENT_CHARACTERS = 256
"""The longest text that becomes part of a path: an email address has 254 at most (RFC 5321)."""

MAX_SHOWN_CHARACTERS = 500
"""How much of a URL a message shows."""

_MAX_PORT = 65535

_FORM = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://"
    r"(?:(?P<user>[^/?#@\\\[\]]*)@)?"
    r"(?:\[(?P<address>[0-9A-Fa-f:.]+)\]|(?P<name>[\w.-]+))"
    r"(?::(?P<port>[0-9]{1,5}))?"
    r"(?:[/?#][^\\]*)?"
)
"""RFC 3986 section 3 with an authority. A zone id (RFC 6874) or another future literal is not taken."""

_UNSAFE_IN_SEGMENT = re.compile(r"[/\\?#%]|\.\.|^\.$")
"""What ends a segment, begins an escape, or leads to the folder above, for some server or proxy."""


def split_url(url: str) -> SplitResult:
    """Return the parts of an absolute URL that every parser takes apart in the same way.

    A host in brackets is exactly an IPv6 address; there is no backslash, no blank, no control
    character and no empty port.

    Raises:
        ValueError: the text is not such a URL; the error does not repeat it.
    """
    found = _FORM.fullmatch(url)
    if found is None or not url.isprintable() or " " in url:
        raise ValueError(
            "the URL is not of the form scheme://host[:port][/path], without blanks or control characters"
        )
    if found["address"] is not None:
        _check_address(found["address"])
    if found["port"] is not None and not 0 < int(found["port"]) <= _MAX_PORT:
        raise ValueError("the port of the URL is not between 1 and 65535")
    return urlsplit(url)


def check_url(url: str) -> SplitResult:
    """Return the parts of an absolute http or https URL.

    Raises:
        ValueError: the text is not such a URL; the error does not repeat it.
    """
    parts = split_url(url)
    if parts.scheme not in ("http", "https"):
        raise ValueError("the URL must begin with http:// or https:// and name a host")
    return parts


def show_url(url: str) -> str:
    """Return what logs, errors and status show of a URL: scheme, host, port and path.

    Credentials, query and fragment may hold secrets. Another text is shown if it can have none of them.
    Never raises.
    """
    try:
        parts = split_url(url)
    except ValueError:
        shown = "(not a URL)" if set(url) & set("@?#") else url
    else:
        shown = f"{parts.scheme}://{_place(parts)}{parts.path}"
    return to_printable(shown[:MAX_SHOWN_CHARACTERS])


def find_origin(url: str) -> tuple[str, str, int]:
    """Return scheme, host and port: what decides who gets a secret.

    Raises:
        ValueError: the text is not an http or https URL; the error does not repeat it.
    """
    parts = check_url(url)
    return parts.scheme, parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


def is_same_origin(url: str, other: str) -> bool:
    """Whether both are http or https URLs with the same scheme, host and port."""
    try:
        return find_origin(url) == find_origin(other)
    except ValueError:
        return False


def has_credentials(url: str) -> bool:
    """Whether the URL holds a user or a password (RFC 3986 section 3.2.1)."""
    try:
        return "@" in urlsplit(url).netloc
    except ValueError:
        return False


def hide_credentials(url: str) -> str:
    """Return the URL without user and password, everything else as it is."""
    return urlsplit(url)._replace(netloc=_place(urlsplit(url))).geturl() if has_credentials(url) else url


def is_loopback(host: str) -> bool:
    """Whether this names the machine itself, to which no proxy leads."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def path_segment(text: str, *, reserved: Collection[str] = ()) -> str:
    """Return a text encoded as exactly one segment of a path.

    Args:
        reserved: words that the server takes for somebody else than the one of that name, such as
            `me`, in lower case.

    Raises:
        TypeError: `reserved` is one text.
        ValueError: the text is empty, too long, reserved, or could be taken for more than one segment by
            a server or a proxy; the error does not repeat it.
    """
    verify_collections(reserved=reserved)
    if not text or len(text) > MAX_SEGMENT_CHARACTERS:
        raise ValueError(f"it is empty or longer than {MAX_SEGMENT_CHARACTERS} characters")
    # A server may fold compatibility characters (fullwidth letters) before it compares or splits.
    folded = unicodedata.normalize("NFKC", text).casefold().strip()
    if not text.isprintable() or _UNSAFE_IN_SEGMENT.search(text) or _UNSAFE_IN_SEGMENT.search(folded):
        raise ValueError("it holds characters that cannot be part of a name there")
    if folded in reserved:
        raise ValueError("it is a reserved word there")
    return quote(text, safe="")


def _place(parts: SplitResult) -> str:
    return parts.netloc.rpartition("@")[2]


def _check_address(address: str) -> None:
    try:
        ipaddress.IPv6Address(address)
    except ValueError:
        # The text of `ipaddress` would repeat it.
        raise ValueError("the host in brackets is not an IPv6 address") from None
