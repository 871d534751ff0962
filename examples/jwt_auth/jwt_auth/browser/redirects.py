"""Where a browser may come back to: the redirect URIs of roles, as clients ask for them.

The rules are those of vault-plugin-auth-jwt 0.26 (path_oidc.go, validRedirect), except that case counts in
all but scheme and host, and that a URI has to be one that no two parsers read differently: the host decides
who gets the code.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from urllib.parse import SplitResult

__all__ = ["for_form_post", "is_allowed", "mount_of", "take_namespace"]

_WITHOUT_HOST = re.compile(r"(?!https?:)[a-z][a-z0-9+.-]*:(?!//)", re.IGNORECASE)


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


def for_form_post(uri: str) -> str:
    """Return where a form goes in place of the web interface: to the callback of the same mount.

    Only the path is looked at: `https://gui/vault/...` has another host in vault-plugin-auth-jwt 0.26.
    """
    parsed = _parse(uri)
    if parsed is None:
        return uri
    return parsed._replace(path=parsed.path.replace("/ui/vault/", "/v1/", 1)).geturl()


def _parse(uri: str) -> SplitResult | None:
    """Return the parts of a URI that every browser takes apart in the same way, `None` for any other text."""
    from urllib.parse import urlsplit

    from authkit.oidc import split_url

    if not all("!" <= each <= "~" for each in uri) or "\\" in uri:
        return None
    # What is registered for an application may have no host (RFC 8252 section 7.1): com.example.app:/done
    if _WITHOUT_HOST.match(uri):
        return urlsplit(uri)
    try:
        parsed = split_url(uri)
    except ValueError:
        return None
    return parsed if parsed.username is None else None


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
