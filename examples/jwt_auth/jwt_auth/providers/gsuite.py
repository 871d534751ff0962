"""Google Workspace: a user's groups and custom fields, from the Directory API.

Credentials: see `jwt_auth.providers.google`. Facts are those of vault-plugin-auth-jwt
0.26 (provider_gsuite.go) and of the Directory API directory_v1. Differences: without `fetch_groups`
the token's own groups stay as they are, and a user without a name is refused: the API would list
every group of the company.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from authkit.oidc import FetchError, HTTPSession, Lookup, Network, ThreadsBusyError, path_segment
from jwt_auth.providers.configured import NO_FIELDS, ConfiguredProvider
from jwt_auth.providers.google import (
    METADATA_HOST,
    TOKEN_URL,
    GoogleAccount,
    fetch_token,
    find_default,
    load_account,
)
from jwt_auth.providers.settings import GSuiteSettings

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

TOKEN_SECONDS = 60.0
"""How long a token is used. Google's last an hour; a new one takes a thread, of which there are two."""

RESERVED_USERS = frozenset({"me", "my_customer"})
"""Words that the Directory API takes for the caller, and for the whole company."""

_log = logging.getLogger(__name__)


class GSuiteProvider(ConfiguredProvider[GSuiteSettings]):
    """Asks the Directory API of a Google Workspace.

    Settings: `gsuite_service_account`, `gsuite_admin_impersonate`, `impersonate_principal`, `domain`,
    `user_custom_schemas`, `fetch_groups`, `fetch_user_info`, `groups_recurse_max_depth`.

    Credentials are those of `gsuite_service_account` (JSON, or the name of a file), else those of this
    machine, which may have to sign for `impersonate_principal`. Arguments and errors: see
    `ConfiguredProvider`; `find_machine` gives the machine's credentials.
    """

    def __init__(
        self,
        settings: Mapping[str, Any],
        *,
        fields: Mapping[str, Any] = NO_FIELDS,
        transport: httpx.AsyncBaseTransport | None = None,
        find_machine: Callable[[], GoogleAccount] = find_default,
    ) -> None:
        super().__init__(settings, fields=fields, transport=transport)
        if self.settings.groups_recurse_max_depth < 0:
            raise ValueError("'gsuite_recurse_max_depth' must be a positive integer")
        self._find_machine = find_machine
        self._fetching = asyncio.Lock()
        self._known: tuple[GoogleAccount, float, str] | None = None
        """The account, the loop's time until which its token is used, and the token."""
        if self.settings.gsuite_service_account:
            self._find_account()

    def make_network(self, fields: Mapping[str, Any], transport: httpx.AsyncBaseTransport | None) -> Network:
        """Return how Google is reached. `oidc_discovery_ca_pem` does not vouch for it."""
        return Network(direct_hosts={METADATA_HOST}, transport=transport)

    async def fetch_groups(self, lookup: Lookup) -> Any:
        """Return the groups' addresses, nearest first, or the token's own groups if that is not asked for.

        Raises:
            LoginError: they cannot be had.
        """
        if not self.settings.fetch_groups:
            return lookup.claimed_groups
        user = lookup.user_key(RESERVED_USERS)
        async with self.ask(TOKEN_URL, "unable to fetch groups from the Directory API:") as session:
            token = await self._fetch_token(session)
            return await self._fetch_all(session, token, user)

    async def fetch_user_info(self, lookup: Lookup) -> Mapping[str, Any]:
        """Return the user's custom fields by schema; nothing if they are not asked for.

        Raises:
            LoginError: they cannot be had.
        """
        if not self.settings.fetch_user_info or not self.settings.user_custom_schemas:
            if self.settings.user_custom_schemas:
                _log.warning("user_custom_schemas is set but fetch_user_info is not: no custom field is read")
            return {}
        query = {"projection": "custom", "fields": "customSchemas"}
        query["customFieldMask"] = self.settings.user_custom_schemas
        user = path_segment(lookup.user_key(RESERVED_USERS))
        url = f"{DIRECTORY_URL}/users/{user}?{urlencode(query)}"
        async with self.ask(TOKEN_URL, "unable to fetch user info from the Directory API:") as session:
            token = await self._fetch_token(session)
            content = (await session.get(url, authorization=f"Bearer {token}")).content
        schemas = content.get("customSchemas", {}) if isinstance(content, dict) else {}
        return schemas if isinstance(schemas, dict) else {}

    async def _fetch_all(self, session: HTTPSession, token: str, user: str) -> list[str]:
        """Return the groups of the user, and groups of groups down to the depth asked for, each once."""
        found: dict[str, None] = {}
        members, requests = [user], 0
        for _ in range(self.settings.groups_recurse_max_depth + 1):
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
        self, session: HTTPSession, token: str, member: str, page: str
    ) -> tuple[list[str], str]:
        query = {"userKey": member, "fields": "nextPageToken,groups(email)"}
        query |= {"domain": self.settings.domain} if self.settings.domain else {}
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

    async def _fetch_token(self, session: HTTPSession) -> str:
        try:
            # Files are read each time: an operator replaces a key without a write.
            account = await self.client.threads.run(self._find_account)
            async with self._fetching:
                return await self._get_token(account, session)
        except (ValueError, ThreadsBusyError) as error:
            raise FetchError(str(error)) from error

    async def _get_token(self, account: GoogleAccount, session: HTTPSession) -> str:
        loop = asyncio.get_running_loop()
        if self._known is not None and self._known[0] == account and loop.time() < self._known[1]:
            return self._known[2]
        is_other = not self.settings.gsuite_service_account
        principal = self.settings.impersonate_principal if is_other else ""
        subject = self.settings.gsuite_admin_impersonate
        token = await self.client.threads.run(
            partial(fetch_token, account, principal, subject, SCOPES, session, loop)
        )
        self._known = (account, loop.time() + TOKEN_SECONDS, token)
        return token

    def _find_account(self) -> GoogleAccount:
        account = self.settings.gsuite_service_account.reveal()
        if account:
            try:
                return load_account(account)
            except ValueError as error:
                raise ValueError(f"error parsing service account JSON: {error}") from error
        try:
            return self._find_machine()
        except (OSError, ValueError) as error:
            raise ValueError("failed to find application default credentials") from error
