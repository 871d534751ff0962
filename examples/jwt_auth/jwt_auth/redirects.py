"""Where a browser may come back to: the redirect URIs of roles, as clients ask for them.

The rules are those of vault-plugin-auth-jwt 0.26 (path_oidc.go, validRedirect), except that case counts in
all but scheme and host.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from urllib.parse import SplitResult

__all__ = ["is_allowed", "mount_of", "take_namespace"]


def is_allowed(uri: str, allowed: Sequence[str]) -> bool:
    """Whether a role allows this URI. At a loopback address any port will do (RFC 8252, section 7.3)."""
    asked = _parse(uri)
    if asked is None:
        return False
    local = _is_loopback(asked.hostname or "")
    for each in allowed:
        parsed = _parse(each)
        if parsed is not None and _comparable(parsed, local) == _comparable(asked, local):
            return True
    return False


def take_namespace(uri: str) -> tuple[str, str]:
    """Return the URI without the parameter `namespace` of its query, and that parameter's value."""
    from urllib.parse import parse_qsl, urlencode, urlunsplit

    parsed = _parse(uri)
    if parsed is None:
        return uri, ""
    pairs = parse_qsl(parsed.query, keep_blank_values=True)
    namespace = next((value for name, value in pairs if name == "namespace"), "")
    if not namespace:
        return uri, ""
    rest = sorted(pair for pair in pairs if pair[0] != "namespace")
    return urlunsplit(parsed._replace(query=urlencode(rest))), namespace


def mount_of(uri: str) -> str:
    """Return the path of the mount whose callback this is, empty when it is none of a server's."""
    parsed = _parse(uri)
    if parsed is None:
        return ""
    _, found, rest = parsed.path.partition("/v1/auth/")
    mount, callback, after = rest.rpartition("/oidc/callback")
    return mount if found and callback and not after else ""


def _parse(uri: str) -> SplitResult | None:
    from urllib.parse import urlsplit

    try:
        parsed = urlsplit(uri)
        _ = parsed.port
    except ValueError:
        return None
    # What parsers disagree on is nobody's address: blanks, control characters, backslashes, users.
    odd = any(not " " < each < "\x7f" or each == "\\" for each in uri)
    return None if odd or parsed.username is not None or not parsed.scheme else parsed


def _comparable(uri: SplitResult, without_port: bool) -> tuple[object, ...]:
    host = (uri.hostname or "").lower()
    port = None if without_port else uri.port
    return (uri.scheme.lower(), host, port, uri.path, uri.query, uri.fragment)


def _is_loopback(host: str) -> bool:
    from ipaddress import ip_address

    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
