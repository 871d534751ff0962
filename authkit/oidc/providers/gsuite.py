"""Google Workspace: a user's groups and custom fields, from the Directory API.

Credentials are left to `authkit.oidc.providers.google`. Facts are those of vault-plugin-auth-jwt
0.26 (provider_gsuite.go) and of the Directory API directory_v1. Differences: without `fetch_groups`
the token's own groups stay as they are, and a user without a name is refused: the API would list
every group of the company.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from authkit.errors import LoginError
from authkit.oidc.http.fetch import FetchError
from authkit.oidc.http.json_api import API, Session
from authkit.oidc.http.network import Network
from authkit.oidc.http.urls import path_segment
from authkit.oidc.providers.base import NO_FIELDS, Lookup, get_setting
from authkit.oidc.providers.google import (
    METADATA_HOST,
    TOKEN_URL,
    Impersonation,
    TokenSource,
    find_default_credentials,
    load_credentials,
)
from authkit.oidc.tokens.claims import get_claim
from authkit.threads import ThreadsBusyError

if TYPE_CHECKING:
    import httpx

__all__ = ["GSuiteProvider"]

DIRECTORY_URL = "https://admin.googleapis.com/admin/directory/v1"
SCOPES = (
    "https://www.googleapis.com/auth/admin.directory.group.readonly",
    "https://www.googleapis.com/auth/admin.directory.user.readonly",
)

MAX_REQUESTS = 500
"""Pages of groups read for one login; nested groups need at least one each."""

RESERVED_USERS = frozenset({"me", "my_customer"})
"""Words that the Directory API takes for the caller, and for the whole company."""

_log = logging.getLogger(__name__)


class GSuiteProvider:
    """Asks the Directory API of a Google Workspace.

    Settings: `gsuite_service_account`, `gsuite_admin_impersonate`, `impersonate_principal`, `domain`,
    `user_custom_schemas`, `fetch_groups`, `fetch_user_info`, `groups_recurse_max_depth`.

    Credentials are those of `gsuite_service_account` (JSON, or the name of a file), else those of this
    machine, which may have to sign for `impersonate_principal`. Arguments and errors: see `Provider`;
    `find_default` gives the machine's credentials, `now` the seconds since 1970.
    """

    def __init__(
        self,
        settings: Mapping[str, Any],
        *,
        fields: Mapping[str, Any] = NO_FIELDS,
        transport: httpx.AsyncBaseTransport | None = None,
        find_default: Callable[[], TokenSource] = find_default_credentials,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._account = get_setting(settings, "gsuite_service_account", "")
        self._subject = get_setting(settings, "gsuite_admin_impersonate", "")
        self._principal = get_setting(settings, "impersonate_principal", "")
        self._domain = get_setting(settings, "domain", "")
        self._schemas = get_setting(settings, "user_custom_schemas", "")
        self._knows_groups = get_setting(settings, "fetch_groups", False)
        self._knows_users = get_setting(settings, "fetch_user_info", False)
        self._depth = get_setting(settings, "groups_recurse_max_depth", 0)
        if self._depth < 0:
            raise ValueError("'gsuite_recurse_max_depth' must be a positive integer")
        self._find_default = find_default
        self._now = now
        self._api = API(Network(direct_hosts={METADATA_HOST}, transport=transport))
        if self._account:
            self._find_credentials()

    async def fetch_groups(self, lookup: Lookup) -> Any:
        """Return the groups' addresses, nearest first, or the token's own groups if that is not asked for.

        Raises:
            LoginError: they cannot be had.
        """
        if not self._knows_groups:
            return get_claim(lookup.claims, lookup.groups_claim)
        user = lookup.user_key(RESERVED_USERS)
        try:
            async with self._api.lookup(TOKEN_URL) as session:
                token = await self._fetch_token(session)
                return await self._fetch_all(session, token, user)
        except FetchError as error:
            text = f"unable to fetch groups from the Directory API: {error.public}"
            raise LoginError(text, error.detail) from error

    async def fetch_user_info(self, lookup: Lookup) -> Mapping[str, Any]:
        """Return the user's custom fields by schema; nothing if they are not asked for.

        Raises:
            LoginError: they cannot be had.
        """
        if not self._knows_users or not self._schemas:
            if self._schemas:
                _log.warning("user_custom_schemas is set but fetch_user_info is not: no custom field is read")
            return {}
        query = {"projection": "custom", "customFieldMask": self._schemas, "fields": "customSchemas"}
        user = path_segment(lookup.user_key(RESERVED_USERS))
        url = f"{DIRECTORY_URL}/users/{user}?{urlencode(query)}"
        try:
            async with self._api.lookup(TOKEN_URL) as session:
                token = await self._fetch_token(session)
                content = (await session.get(url, authorization=f"Bearer {token}")).content
        except FetchError as error:
            text = f"unable to fetch user info from the Directory API: {error.public}"
            raise LoginError(text, error.detail) from error
        schemas = content.get("customSchemas", {}) if isinstance(content, dict) else {}
        return schemas if isinstance(schemas, dict) else {}

    async def _fetch_all(self, session: Session, token: str, user: str) -> list[str]:
        """Return the groups of the user, and groups of groups down to the depth asked for, each once."""
        found: dict[str, None] = {}
        members, requests = [user], 0
        for _ in range(self._depth + 1):
            nearest: list[str] = []
            for member in members:
                page = ""
                while True:
                    requests += 1
                    if requests > MAX_REQUESTS:
                        raise FetchError(f"more than {MAX_REQUESTS} pages of groups")
                    names, page = await self._fetch_page(session, token, member, page)
                    nearest += [name for name in names if name not in found]
                    found |= dict.fromkeys(names)
                    if not page:
                        break
            members = list(dict.fromkeys(nearest))
        return list(found)

    async def _fetch_page(
        self, session: Session, token: str, member: str, page: str
    ) -> tuple[list[str], str]:
        query = {"userKey": member, "fields": "nextPageToken,groups(email)"}
        query |= {"domain": self._domain} if self._domain else {}
        query |= {"pageToken": page} if page else {}
        url = f"{DIRECTORY_URL}/groups?{urlencode(query)}"
        content = (await session.get(url, authorization=f"Bearer {token}")).content
        if not isinstance(content, dict):
            raise FetchError("an answer that is no page of groups")
        groups, next_page = content.get("groups") or [], content.get("nextPageToken") or ""
        if not isinstance(groups, list) or not isinstance(next_page, str):
            raise FetchError("an answer that is no page of groups")
        names = [group.get("email") for group in groups if isinstance(group, dict)]
        return [name for name in names if isinstance(name, str) and name], next_page

    async def _fetch_token(self, session: Session) -> str:
        try:
            # Files are read each time: an operator replaces a key without a write.
            credentials = await self._api.threads.run(self._find_credentials)
        except (ValueError, ThreadsBusyError) as error:
            raise FetchError(str(error)) from error
        return await credentials.fetch_token(session, SCOPES, self._subject, self._now())

    def _find_credentials(self) -> TokenSource:
        if self._account:
            try:
                return load_credentials(self._account)
            except ValueError as error:
                raise ValueError(f"error parsing service account JSON: {error}") from error
        try:
            source = self._find_default()
        except (OSError, ValueError) as error:
            raise ValueError("failed to find application default credentials") from error
        return Impersonation(self._principal, source) if self._principal else source
