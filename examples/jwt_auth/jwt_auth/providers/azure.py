"""Azure (Microsoft Entra ID): groups that a token only points at, or all of them from Microsoft Graph.

Facts are those of vault-plugin-auth-jwt 0.26 (provider_azure.go) and of Microsoft Graph v1.0.
Differences: groups of the access token's owner are used only if that is the user of the JWT, the
access token goes to Microsoft's hosts or to the one that is configured, all pages are read, an answer
without a list of groups is a failure, and what Graph sent is for the log only.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from authkit import LoginError
from authkit.oidc import (
    FetchError,
    HTTPSession,
    Lookup,
    find_origin,
    has_credentials,
    is_same_origin,
    show_url,
)
from jwt_auth.providers.configured import NO_FIELDS, ConfiguredProvider
from jwt_auth.providers.settings import AzureSettings
from jwt_auth.texts.quoting import quote

if TYPE_CHECKING:
    import httpx

__all__ = ["AzureProvider"]

GRAPH_HOST = "graph.microsoft.com"

GRAPH_HOSTS = frozenset(
    {GRAPH_HOST, "graph.microsoft.us", "dod-graph.microsoft.us", "microsoftgraph.chinacloudapi.cn"}
)
"""Of all clouds (Microsoft Graph, "National cloud deployments", service root endpoints)."""

MAX_PAGES = 100
"""More is a loop: one answer has up to 11,000 groups (directoryObject: getMemberObjects)."""

_MOVED_HOSTS = {
    "graph.windows.net": "graph.microsoft.com",
    "graph.microsoftazure.us": "graph.microsoft.us",
}
"""Hosts of the retired Azure AD Graph, which tokens still name, and where their API is now."""

_BODY = json.dumps({"securityEnabledOnly": False}).encode()


class AzureProvider(ConfiguredProvider[AzureSettings]):
    """Asks Microsoft Graph for groups.

    Settings: `fetch_groups`, to ask always; `graph_host`, the one host that is asked, in place of
    `GRAPH_HOSTS` for what tokens point at and of `GRAPH_HOST` else.

    `oidc_discovery_ca_pem`, if set, must vouch for Graph too. Arguments and errors: see `ConfiguredProvider`.
    """

    def __init__(
        self,
        settings: Mapping[str, Any],
        *,
        fields: Mapping[str, Any] = NO_FIELDS,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        super().__init__(settings, fields=fields, transport=transport)
        host = self.settings.graph_host
        if host and _find_host(f"https://{host}") != host:
            raise ValueError("graph_host must be the name of a host, in lower case")
        self._hosts = frozenset({host}) if host else GRAPH_HOSTS
        self._url = f"https://{host or GRAPH_HOST}/v1.0"

    async def fetch_groups(self, lookup: Lookup) -> Any:
        """Return the groups: Graph's if it is always asked, else the token's, else those it points at.

        Raises:
            LoginError: they cannot be had, or not all of them.
        """
        if self.settings.fetch_groups:
            return await self._fetch_own(lookup)
        claimed = lookup.claimed_groups
        if claimed is not None:
            return claimed
        try:
            return await self._fetch_from(_find_source(lookup, self._hosts), lookup)
        except LoginError as error:
            text = f"{quote(lookup.groups_claim)} claim not found in token: {error.public}"
            raise LoginError(text, error.detail) from error

    async def _fetch_own(self, lookup: Lookup) -> list[Any]:
        prefix = "unable to fetch groups from Microsoft Graph API: "
        try:
            token = _get_token(lookup)
            async with self.client.session(self._url) as session:
                if not lookup.is_same_user:
                    await _verify_owner(session, f"{self._url}/me?$select=id", token, lookup)
                return await _fetch_members(session, f"{self._url}/me/getMemberObjects", token)
        except FetchError as error:
            raise LoginError(f"{prefix}failed to get groups: {error.public}", error.detail) from error
        except LoginError as error:
            raise LoginError(prefix + error.public, error.detail) from error

    async def _fetch_from(self, url: str, lookup: Lookup) -> list[Any]:
        token = _get_token(lookup)
        try:
            async with self.client.session(url) as session:
                return await _fetch_members(session, url, token)
        except FetchError as error:
            raise LoginError(f"failed to get groups: {error.public}", error.detail) from error


async def _verify_owner(session: HTTPSession, url: str, token: str, lookup: Lookup) -> None:
    """Raise `LoginError` unless the access token is the JWT user's: both carry the id of the same object.

    `sub` would not do: it differs from application to application.
    """
    answer = await session.get(url, authorization=f"Bearer {token}")
    owner = answer.content.get("id") if isinstance(answer.content, dict) else None
    user = lookup.claims.get("oid")
    if not isinstance(user, str) or not user:
        raise LoginError("the token has no oid claim to compare the access token's owner with")
    if owner != user:
        raise LoginError("the access token belongs to another user")


async def _fetch_members(session: HTTPSession, url: str, token: str) -> list[Any]:
    authorization = f"Bearer {token}"
    answer = await session.post(url, _BODY, "application/json", authorization=authorization)
    found: list[Any] = []
    for _ in range(MAX_PAGES):
        groups = answer.content.get("value") if isinstance(answer.content, dict) else None
        if not isinstance(groups, list):
            raise FetchError("an answer without groups")
        found += groups
        next_url = answer.content.get("@odata.nextLink")
        if not next_url:
            return found
        # The access token goes there.
        if not isinstance(next_url, str) or not is_same_origin(next_url, url):
            raise FetchError("the list of groups is not complete: its next page is on another host")
        answer = await session.get(next_url, authorization=authorization)
    raise FetchError(f"the list of groups is not complete: it has more than {MAX_PAGES} pages")


def _get_token(lookup: Lookup) -> str:
    if lookup.access_token is None:
        raise LoginError("token unavailable to call Microsoft Graph API")
    token = lookup.access_token.reveal()
    if not token:
        raise LoginError("access token is empty. Cannot call Microsoft Graph API")
    if not token.isascii() or not token.isprintable():
        raise LoginError("access token is malformed. Cannot call Microsoft Graph API")
    return token


def _find_source(lookup: Lookup, hosts: Collection[str]) -> str:
    """Return where the token says that its groups are (OpenID Connect Core 1.0 section 5.6.2)."""
    prefix, claim = "unable to get claim sources: ", lookup.groups_claim
    names, sources = lookup.claims.get("_claim_names"), lookup.claims.get("_claim_sources")
    source_id = names.get(claim) if isinstance(names, dict) else None
    if not isinstance(source_id, str):
        raise LoginError(f"{prefix}unable to locate groups claim {quote(claim)} in _claim_names")
    source = sources.get(source_id) if isinstance(sources, dict) else None
    url = source.get("endpoint") if isinstance(source, dict) else None
    if not isinstance(url, str):
        raise LoginError(f"{prefix}unable to locate /_claim_sources/{source_id}/endpoint in claims")
    return _move(url, hosts)


def _move(url: str, hosts: Collection[str]) -> str:
    # An access token goes there: never in the clear, never to a host that a token's issuer makes up.
    prefix, host = "unable to get claim sources: ", _find_host(url)
    if not host:
        raise LoginError(f"{prefix}the endpoint is not an https URL")
    moved = _MOVED_HOSTS.get(host, "")
    if host in hosts:
        return url
    if moved in hosts:
        parts = urlsplit(url)
        return parts._replace(netloc=moved, path="/v1.0" + parts.path).geturl()
    detail = f"it is {show_url(url)}; 'graph_host' in provider_config names another host"
    raise LoginError(f"{prefix}the endpoint is not at a host of Microsoft Graph", detail)


def _find_host(url: str) -> str:
    """Return the host of an https URL at the usual port, empty for any other text."""
    try:
        scheme, host, port = find_origin(url)
    except ValueError:
        return ""
    return host if scheme == "https" and port == 443 and not has_credentials(url) else ""
