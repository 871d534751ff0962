"""Okta: the groups of a user whose token does not list them all.

Facts are those of vault-plugin-auth-jwt after 0.26.2 (provider_okta.go). Differences: the next page
must be on the same origin, since the API token goes there; a user id that Okta could take for somebody
else's is refused; `groups_filter` takes bounded time, and what Okta sent is for the log only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from authkit import LoginError
from authkit.oidc import (
    FetchError,
    HTTPSession,
    Lookup,
    ThreadsBusyError,
    check_token,
    check_url,
    get_claim,
    has_credentials,
    is_same_origin,
    path_segment,
)
from jwt_auth.providers.configured import NO_FIELDS, ConfiguredProvider
from jwt_auth.providers.filters import NameFilter
from jwt_auth.providers.settings import OktaSettings
from jwt_auth.texts.quoting import quote

if TYPE_CHECKING:
    import httpx

__all__ = ["OktaProvider"]

DEFAULT_GROUPS_CAP = 100
"""How many groups Okta puts into a token at most."""

MAX_PAGES = 200
"""More is a loop."""

FILTER_WAIT = 5.0
"""Seconds for `groups_filter`, the wait for a thread included: others may be at it."""

RESERVED_USERS = frozenset({"me"})
"""Okta takes it for the owner of the API token (Users API, "Get the current user")."""


class OktaProvider(ConfiguredProvider[OktaSettings]):
    """Asks Okta's administration API when a token's list of groups may have been cut.

    Settings: `org_url`, `api_token`, `user_id_claim`, `groups_filter`, `groups_cap`, `fetch_groups`.

    Unless `org_url` is set, the host of `oidc_discovery_url` is asked; `oidc_discovery_ca_pem` vouches
    for either. Arguments and errors: see `ConfiguredProvider`.
    """

    def __init__(
        self,
        settings: Mapping[str, Any],
        *,
        fields: Mapping[str, Any] = NO_FIELDS,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        super().__init__(settings, fields=fields, transport=transport)
        self._filter = _make_filter(self.settings.groups_filter)
        if self.settings.groups_cap < 0:
            raise ValueError("groups_cap must be >= 0")
        self._cap = self.settings.groups_cap or DEFAULT_GROUPS_CAP
        self._url = _origin(self.settings.org_url or fields.get("oidc_discovery_url") or "")
        if self.settings.fetch_groups and not self._url:
            raise ValueError(
                "'org_url' must be set in provider_config or oidc_discovery_url must be configured "
                "when fetch_groups=true"
            )
        if self.settings.fetch_groups and not self.settings.api_token:
            raise ValueError("'api_token' is required in provider_config when fetch_groups=true")
        if self.settings.api_token:
            check_token(self.settings.api_token.reveal())

    async def fetch_groups(self, lookup: Lookup) -> Any:
        """Return the token's groups if they are all there, else Okta's.

        Raises:
            LoginError: they cannot be had.
        """
        claimed, is_asked = lookup.claimed_groups, self.settings.fetch_groups
        if not is_asked and claimed is None:
            raise LoginError(f"{quote(lookup.groups_claim)} claim not found in token")
        if not is_asked or (isinstance(claimed, list) and len(claimed) < self._cap):
            return await self._select(claimed) if isinstance(claimed, list) else claimed
        url = f"{self._url}/api/v1/users/{self._find_user(lookup)}/groups"
        async with self.ask(url, "unable to fetch groups from Okta API: okta api returned") as session:
            groups = await self._fetch_pages(session, url)
        return await self._select(groups)

    async def _fetch_pages(self, session: HTTPSession, url: str) -> list[Any]:
        groups: list[Any] = []
        for _ in range(MAX_PAGES):
            answer = await session.get(url, authorization=f"SSWS {self.settings.api_token.reveal()}")
            groups += _names(answer.content)
            if not answer.next_url:
                return groups
            url = answer.next_url
            if not is_same_origin(url, self._url):
                raise LoginError("unable to fetch groups from Okta API: the next page is on another host")
        raise LoginError(
            f"unable to fetch groups from Okta API: okta API pagination exceeded {MAX_PAGES} pages; "
            "possible circular Link header"
        )

    async def _select(self, groups: list[Any]) -> list[str]:
        names = [group for group in groups if isinstance(group, str)]
        if self._filter is None:
            return names
        try:
            async with asyncio.timeout(FILTER_WAIT):
                return await self.client.threads.run(partial(self._filter.select, names))
        except (TimeoutError, ThreadsBusyError) as error:
            raise LoginError("the groups_filter takes too long for the groups of this user") from error

    def _find_user(self, lookup: Lookup) -> str:
        """Return the user's id as a part of a path."""
        claim = self.settings.user_id_claim or lookup.user_claim
        user = get_claim(lookup.claims, claim)
        if user is None:
            raise LoginError(f"unable to locate {quote(claim)} in claims for Okta user lookup")
        if not isinstance(user, str):
            raise LoginError(f"claim {quote(claim)} is not a string; cannot use for Okta user lookup")
        if not user:
            raise LoginError(f"claim {quote(claim)} is empty; cannot use for Okta user lookup")
        try:
            return path_segment(user, reserved=RESERVED_USERS)
        except ValueError as error:
            text = f"claim {quote(claim)} cannot be used for Okta user lookup: {error}"
            raise LoginError(text) from error


def _names(content: Any) -> list[str]:
    if not isinstance(content, list):
        raise FetchError("an answer that is no list of groups")
    profiles = [group.get("profile") for group in content if isinstance(group, dict)]
    names = [profile.get("name") for profile in profiles if isinstance(profile, dict)]
    return [name for name in names if isinstance(name, str) and name]


def _make_filter(pattern: str) -> NameFilter | None:
    try:
        return NameFilter(pattern) if pattern else None
    except ValueError as error:
        raise ValueError(f"invalid groups_filter regex: {error}") from error


def _origin(url: str) -> str:
    """Return scheme and host of the URL, empty for none."""
    if not url:
        return ""
    if not url.startswith("https:"):
        raise ValueError("org_url must use https")
    if has_credentials(url):
        raise ValueError("org_url must not hold credentials")
    try:
        return f"https://{check_url(url).netloc}"
    except ValueError as error:
        raise ValueError(f"org_url must include a host: {error}") from error
