"""Okta: the groups of a user whose token does not list them all.

Facts are those of vault-plugin-auth-jwt after 0.26.2 (provider_okta.go). Differences: the next page
must be on the same origin, since the API token goes there, and what Okta sent is for the log only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote as escape
from urllib.parse import urlsplit

from authkit.errors import LoginError
from authkit.masking import Secret
from authkit.oidc.api import API, Session
from authkit.oidc.claims import get_claim
from authkit.oidc.fetch import FetchError, check_token, check_url
from authkit.oidc.jsontext import quote
from authkit.oidc.providers.base import NO_FIELDS, Lookup, get_setting

if TYPE_CHECKING:
    import httpx

__all__ = ["OktaProvider"]

DEFAULT_GROUPS_CAP = 100
"""How many groups Okta puts into a token at most."""

MAX_PAGES = 200
"""More is a loop."""


class OktaProvider:
    """Asks Okta's administration API when a token's list of groups may have been cut.

    Settings: `org_url`, `api_token`, `user_id_claim`, `groups_filter`, `groups_cap`, `fetch_groups`.

    Unless `org_url` is set, the host of `oidc_discovery_url` is asked; `oidc_discovery_ca_pem` vouches
    for either. Arguments and errors: see `Provider`.
    """

    def __init__(
        self,
        settings: Mapping[str, Any],
        *,
        fields: Mapping[str, Any] = NO_FIELDS,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._is_asked = get_setting(settings, "fetch_groups", False)
        self._token = Secret(get_setting(settings, "api_token", ""))
        self._user_claim = get_setting(settings, "user_id_claim", "")
        self._filter = _compile(get_setting(settings, "groups_filter", ""))
        self._cap = get_setting(settings, "groups_cap", 0)
        if self._cap < 0:
            raise ValueError("groups_cap must be >= 0")
        self._cap = self._cap or DEFAULT_GROUPS_CAP
        self._url = _origin(get_setting(settings, "org_url", "") or fields.get("oidc_discovery_url") or "")
        if self._is_asked and not self._url:
            raise ValueError(
                "'org_url' must be set in provider_config or oidc_discovery_url must be configured "
                "when fetch_groups=true"
            )
        if self._is_asked and not self._token:
            raise ValueError("'api_token' is required in provider_config when fetch_groups=true")
        if self._token:
            check_token(self._token.reveal())
        self._api = API(ca_pem=fields.get("oidc_discovery_ca_pem") or "", transport=transport)

    async def fetch_groups(self, lookup: Lookup) -> Any:
        """Return the token's groups if they are all there, else Okta's.

        Raises:
            LoginError: they cannot be had.
        """
        claimed = get_claim(lookup.claims, lookup.groups_claim)
        if not self._is_asked and claimed is None:
            raise LoginError(f"{quote(lookup.groups_claim)} claim not found in token")
        if not self._is_asked or (isinstance(claimed, list) and len(claimed) < self._cap):
            return self._select(claimed) if isinstance(claimed, list) else claimed
        user = self._find_user(lookup)
        url = f"{self._url}/api/v1/users/{escape(user, safe='')}/groups"
        try:
            async with self._api.lookup(url) as session:
                return self._select(await self._fetch_pages(session, url))
        except FetchError as error:
            text = f"unable to fetch groups from Okta API: okta api returned {error.public}"
            raise LoginError(text, error.detail) from error

    async def _fetch_pages(self, session: Session, url: str) -> list[Any]:
        groups: list[Any] = []
        for _ in range(MAX_PAGES):
            answer = await session.get(url, authorization=f"SSWS {self._token.reveal()}")
            groups += _names(answer.content)
            if not answer.next_url:
                return groups
            url = answer.next_url
            if _origin_of(url) != _origin_of(self._url):
                raise LoginError("unable to fetch groups from Okta API: the next page is on another host")
        raise LoginError(
            f"unable to fetch groups from Okta API: okta API pagination exceeded {MAX_PAGES} pages; "
            "possible circular Link header"
        )

    def _select(self, groups: list[Any]) -> list[str]:
        return [group for group in groups if isinstance(group, str) and self._filter.search(group)]

    def _find_user(self, lookup: Lookup) -> str:
        claim = self._user_claim or lookup.user_claim
        user = get_claim(lookup.claims, claim)
        if user is None:
            raise LoginError(f"unable to locate {quote(claim)} in claims for Okta user lookup")
        if not isinstance(user, str):
            raise LoginError(f"claim {quote(claim)} is not a string; cannot use for Okta user lookup")
        # A dot or two would be taken for the folder above, and ask for another user's groups or none's.
        if not user or not user.strip("."):
            raise LoginError(f"claim {quote(claim)} is empty; cannot use for Okta user lookup")
        return user


def _names(content: Any) -> list[str]:
    if not isinstance(content, list):
        raise FetchError("an answer that is no list of groups")
    profiles = [group.get("profile") for group in content if isinstance(group, dict)]
    names = [profile.get("name") for profile in profiles if isinstance(profile, dict)]
    return [name for name in names if isinstance(name, str) and name]


def _compile(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"invalid groups_filter regex: {error}") from error


def _origin(url: str) -> str:
    """Return scheme and host of the URL, empty for none."""
    if not url:
        return ""
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ValueError("org_url must include a host") from None
    if parts.scheme != "https":
        raise ValueError("org_url must use https")
    if not parts.hostname:
        raise ValueError("org_url must include a host")
    return f"https://{check_url(url).netloc.rpartition('@')[2]}"


def _origin_of(url: str) -> tuple[str, str | None, int]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or 443
