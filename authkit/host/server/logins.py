"""From a login's answer to a token: entity, groups, TTL, policies, token type.

The order of the steps is that of Vault 1.21 (vault/request_handling.go, handleLoginRequest,
LoginCreateToken, RegisterAuth).
"""

from __future__ import annotations

from authkit.auth.policies import find_refused_policy, sanitize_policies
from authkit.errors import AuthKitError
from authkit.framework.ttl import Lifetimes, calculate_ttl
from authkit.host.messages import Failure, Outcome
from authkit.host.mounts.entries import Mount
from authkit.host.server.mount_requests import MountRequest, answer_of, ask
from authkit.host.state import HostState
from authkit.host.store.identity import IdentityError
from authkit.host.store.tokens import BATCH, SERVICE, Token
from authkit.logical import Auth, Operation, TokenType
from authkit.values import replace

__all__ = ["answer_login", "find_role"]

LOCKABLE = frozenset({"userpass", "ldap", "approle"})
"""Catalog names under which a server wants to know, before each login, whose it is."""


async def answer_login(state: HostState, call: MountRequest, operation: Operation) -> Outcome | None:
    """Return the answer on a path that needs no token, and the token, if the backend grants one.

    Raises:
        Failure: it is refused.
    """
    entry = call.mount.entry
    if operation is not Operation.HELP and _locks_users_out(entry):
        await _look_ahead(call)
    routed_before = operation in (Operation.CREATE, Operation.UPDATE)
    response = await ask(call, call.to_backend(operation, routed_before=routed_before))
    if response is not None and response.secret is not None:
        raise Failure(500, "internal error")
    answer = answer_of(call, response)
    if response is None or response.auth is None or answer is None:
        return answer
    auth, warnings = await _grant(state, call, response.auth)
    return replace(answer, auth=auth, warnings=answer.warnings + warnings)


async def _grant(state: HostState, call: MountRequest, auth: Auth) -> tuple[Auth, tuple[str, ...]]:
    """Make the token that a backend grants; return it and the warnings."""
    entry, now = call.mount.entry, state.clock.now()
    auth = await _identify(state, entry, auth)
    kind = _token_type(entry.config.token_type, auth.token_type)
    role = await find_role(call) if kind == SERVICE else ""
    ttl, warnings = calculate_ttl(entry.limits, Lifetimes.of(auth), now=now)
    identity_policies = state.identity.policies_of(auth.entity_id)
    policies = sanitize_policies(auth.policies, add_default=not auth.no_default_policy)
    refused = find_refused_policy([*policies, *identity_policies])
    if refused is not None:
        raise Failure(400, refused)
    auth = replace(
        auth,
        display_name=(entry.path.replace("/", "-") + auth.display_name).removesuffix("-"),
        policies=sanitize_policies(auth.policies),
        token_policies=policies,
        bound_cidrs=tuple(_without_full_mask(each) for each in auth.bound_cidrs),
        token_type=TokenType.BATCH if kind == BATCH else TokenType.SERVICE,
        lease=replace(auth.lease, ttl=ttl, renewable=auth.lease.renewable and kind == SERVICE),
    )
    text, token = await _make_token(state, call, auth, role)
    granted = replace(
        auth,
        client_token=text,
        accessor=token.accessor,
        identity_policies=identity_policies,
        orphan=True,
    )
    return granted, warnings


async def _identify(state: HostState, entry: Mount, auth: Auth) -> Auth:
    """Return the grant with its entity and mapped groups."""
    if auth.alias is None:
        return auth
    if not auth.alias.name:
        raise Failure(500, "missing name in alias")
    alias = replace(auth.alias, mount_type=entry.type, mount_accessor=entry.accessor, local=entry.local)
    try:
        entity = await state.identity.of_login(alias, entry.route)
    except IdentityError as error:
        raise Failure(500, str(error)) from error
    if entity.disabled:
        raise Failure(403, "permission denied")
    reported = [replace(each, mount_accessor=entry.accessor) for each in auth.group_aliases]
    groups = await state.identity.refresh_memberships(entity.id, reported, entry.accessor)
    return replace(auth, alias=alias, entity_id=entity.id, group_aliases=groups)


async def _make_token(state: HostState, call: MountRequest, auth: Auth, role: str) -> tuple[str, Token]:
    path = call.route + call.path
    if call.is_mount_gone:  # meanwhile: its tokens are revoked already
        raise Failure(404, f'no handler for route "{path}". route entry is tainted.')
    now = state.clock.now()
    kind = BATCH if auth.token_type is TokenType.BATCH else SERVICE
    token = Token(
        key="",
        path=path,
        policies=auth.token_policies,
        display_name=auth.display_name,
        meta=dict(auth.metadata),
        created=now,
        ttl=auth.lease.ttl,
        expires=now + auth.lease.ttl,
        entity_id=auth.entity_id,
        bound_cidrs=auth.bound_cidrs,
        type=kind,
        login_role=role,
    )
    if kind == BATCH:
        return state.tokens.seal(token), token
    return await state.tokens.add(
        replace(
            token,
            num_uses=auth.num_uses,
            period=auth.period,
            explicit_max_ttl=auth.explicit_max_ttl,
            auth=replace(auth, client_token=""),
        )
    )


def _without_full_mask(block: str) -> str:
    """Return a block as Go prints it: one address has no mask."""
    return block.removesuffix("/128" if ":" in block else "/32")


def _token_type(of_mount: str, of_backend: TokenType) -> str:
    """Return what kind of token is made (Vault 1.21, vault/router.go, routeCommon)."""
    if of_mount in (SERVICE, BATCH):
        return of_mount
    if of_mount == "default-batch":
        is_service = of_backend in (TokenType.SERVICE, TokenType.DEFAULT_SERVICE)
        return SERVICE if is_service else BATCH
    is_batch = of_backend in (TokenType.BATCH, TokenType.DEFAULT_BATCH)
    return BATCH if is_batch else SERVICE


async def find_role(call: MountRequest) -> str:
    """Return the role that a login is for, empty when the backend cannot tell.

    A server asks after each login of a service token, to count leases by role; the path is `login`
    whatever the login's was (Vault 1.21, vault/core.go, doResolveRoleLocked).
    """
    request = replace(
        call.to_backend(Operation.RESOLVE_ROLE), path="login", id="", client_token="", unauthenticated=False
    )
    try:
        response = await ask(call, request)
    except Failure:
        return ""
    role = (response.data or {}).get("role") if response else None
    return role if isinstance(role, str) else ""


def _locks_users_out(entry: Mount) -> bool:
    lockout = entry.config.user_lockout
    return entry.type in LOCKABLE and not (lockout and lockout.lockout_disable)


async def _look_ahead(call: MountRequest) -> None:
    request = replace(
        call.to_backend(Operation.ALIAS_LOOKAHEAD), id="", client_token="", connection=None, headers={}
    )
    try:
        async with call.mount.in_use() as backend:
            response = await backend.handle_request(request) if backend else None
    except AuthKitError:
        response = None
    alias = response.auth.alias if response and response.auth else None
    if alias is None or not alias.name:
        raise Failure(500, "failed to determine alias name from login request")
