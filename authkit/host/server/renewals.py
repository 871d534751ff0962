"""Renewal of tokens: by the backend that granted them, or by the host for tokens that it made itself.

What the backend returns replaces what was granted before (Vault 1.21, vault/expiration.go, RenewToken).
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from authkit.auth.policies import sanitize_policies
from authkit.errors import AuthKitError, PermissionDeniedError
from authkit.framework.ttl import Lifetimes, MountLimits, PastMaxTTLError, calculate_ttl
from authkit.host.messages import Failure, join_errors
from authkit.host.server.envelope import STATUSES
from authkit.host.server.mount_requests import send
from authkit.host.state import HostState
from authkit.host.store.plugin_errors import in_go_words
from authkit.host.store.tokens import BATCH, Token
from authkit.logical import Auth, Connection, Operation, Request, Response
from authkit.values import replace

__all__ = ["renew_token"]


async def renew_token(
    state: HostState, token: Token, increment: timedelta, *, text: str, remote_addr: str
) -> Response | None:
    """Renew a token; `None` when its backend has nothing to say: a success that changes nothing.

    Raises:
        Failure: it cannot be renewed, or the backend refuses.
    """
    if token.type == BATCH:
        raise Failure(400, "batch tokens cannot be renewed")
    if not token.renewable or token.auth is None:
        raise Failure(400, "lease is not renewable")
    granted = replace(
        token.auth, lease=replace(token.auth.lease, increment=increment, issue_time=token.created)
    )
    if token.path.startswith("auth/token/"):
        limits = state.mounts.token_mount.limits
        renewed: Auth | None = replace(granted, period=token.period, explicit_max_ttl=token.explicit_max_ttl)
    else:
        limits, renewed = await _ask_backend(state, token, granted, remote_addr)
    if renewed is None:
        return None
    return await _extend(state, token, renewed, increment, limits, text)


async def _extend(
    state: HostState, token: Token, auth: Auth, increment: timedelta, limits: MountLimits, text: str
) -> Response:
    now = state.clock.now()
    try:
        ttl, warnings = calculate_ttl(limits, Lifetimes.of(auth, increment), now=now, issued=token.created)
    except PastMaxTTLError as error:
        raise Failure(500, join_errors(str(error))) from error
    if auth.entity_id and not token.path.startswith("auth/token/"):
        accessor = auth.alias.mount_accessor if auth.alias else ""
        groups = await state.identity.refresh_memberships(auth.entity_id, auth.group_aliases, accessor)
        auth = replace(auth, group_aliases=groups)
    auth = replace(auth, lease=replace(auth.lease, ttl=ttl), client_token="")
    if await state.tokens.change(token.key, auth=auth, expires=now + ttl, renewed=now) is None:
        raise Failure(400, "token not found")  # revoked while its backend was asked
    renewed = replace(
        auth,
        client_token=text,
        token_policies=sanitize_policies(auth.token_policies),
        identity_policies=state.identity.policies_of(auth.entity_id),
    )
    return Response(auth=renewed, warnings=warnings)


async def _ask_backend(
    state: HostState, token: Token, granted: Auth, remote_addr: str
) -> tuple[MountLimits, Auth | None]:
    mount = state.mounts.match(token.path)
    if mount is None:
        raise Failure(500, join_errors("failed to renew entry: unsupported path"))
    entry = mount.entry
    request = Request(
        operation=Operation.RENEW,
        path=token.path.removeprefix(entry.route),
        auth=granted,
        connection=Connection(remote_addr=remote_addr),
        mount_point=entry.route,
        mount_type=entry.type,
    )
    try:
        response = await send(mount, request, token.path)
    except AuthKitError as error:
        text = str(in_go_words(error))
        status = 403 if isinstance(error, PermissionDeniedError) else STATUSES.get(text, 500)
        raise Failure(status, join_errors(f"failed to renew entry: {text}")) from error
    if response is None:
        return entry.limits, None
    if response.is_error:
        data: Any = response.data
        raise Failure(400, str(data["error"]), data=data.get("data"))
    if response.auth is None:
        return entry.limits, None
    auth = response.auth
    groups = tuple(replace(each, mount_accessor=entry.accessor) for each in auth.group_aliases)
    alias = replace(auth.alias, mount_accessor=entry.accessor) if auth.alias else None
    return entry.limits, replace(auth, group_aliases=groups, alias=alias)
