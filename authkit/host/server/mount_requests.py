"""Requests as the backend of a mount receives them, and what its answers mean before they are shown.

Answers that grant something: `authkit.host.server.logins` and `.renewals`.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from authkit.errors import AuthKitError, RPCError, StatusCode, UnsupportedPathError, UserError
from authkit.host.authorization import Caller
from authkit.host.backends.base import OwnRequest, OwnResponse
from authkit.host.messages import Failure, HostRequest, Outcome, join_errors
from authkit.host.mounts.table import RunningMount
from authkit.host.server.envelope import failure_of, plain_numbers
from authkit.host.server.operations import Asked
from authkit.host.store.plugin_errors import in_go_words
from authkit.logical import Connection, Operation, Request, Response, WrapRequest
from authkit.values import Value, replace

__all__ = ["MountRequest", "answer_of", "ask", "check_existence"]

logger = logging.getLogger("authkit.host")

REQUEST_TIMEOUT = timedelta(seconds=90)
"""For one answer of a plugin (Vault 1.21, internalshared/configutil, DefaultMaxRequestDuration)."""

_ALSO_WHEN_TAINTED = (Operation.REVOKE, Operation.ROLLBACK)
"""What a mount that is being removed is still asked (Vault 1.21, vault/router.go, routeCommon)."""

_NEVER_PASSED = frozenset({"x-vault-token", "x-vault-request"})


class MountRequest(Value, frozen=True, kw_only=True):
    """One request on its way to the backend of one mount."""

    mount: RunningMount
    route: str
    """Of the mount when the request came: it may be moved meanwhile."""
    request: HostRequest
    request_id: str
    asked: Asked
    caller: Caller | None = None
    accessor: str = ""
    """Of the token that was sent, also if it is not valid for this caller."""
    unauthenticated: bool = False
    wrap_ttl: timedelta = timedelta(0)

    @property
    def path(self) -> str:
        """The path below the mount."""
        return self.asked.path.removeprefix(self.route.removesuffix("/")).removeprefix("/")

    def to_backend(self, operation: Operation, *, routed_before: bool = False) -> Request:
        """Return the request as the backend receives it (Vault 1.21, vault/router.go, routeCommon)."""
        entry, token = self.mount.entry, self.caller.token if self.caller else None
        request = Request(
            operation=operation,
            path=self.path,
            id=self.request_id,
            data=self.asked.data,
            has_data=self.asked.has_data,
            headers=_passed_headers(self),
            connection=self.connection,
            unauthenticated=self.unauthenticated,
            client_token=_salted(entry.uuid, self.request.token),
            client_token_accessor=token.accessor if token else self.accessor,
            display_name=token.display_name if token and not self.unauthenticated else "",
            entity_id=token.entity_id if token else "",
            mount_point=self.route,
            mount_type=entry.type,
            mount_accessor=entry.accessor if routed_before else "",
            wrap_info=WrapRequest(ttl=self.wrap_ttl) if self.wrap_ttl else None,
        )
        return OwnRequest.of(request, self.caller, self.request.token) if self.mount.is_own else request

    @property
    def connection(self) -> Connection:
        """Where the client is."""
        return Connection(remote_addr=self.request.remote_addr)

    @property
    def is_mount_gone(self) -> bool:
        """Whether the mount is being removed or moved, or was moved, since the request came."""
        return self.mount.is_tainted or self.mount.entry.route != self.route


async def check_existence(call: MountRequest) -> Operation:
    """Return whether a write creates or updates.

    Raises:
        Failure: the check failed.
    """
    try:
        async with call.mount.in_use() as backend:
            if backend is None or call.is_mount_gone:
                return Operation.UPDATE
            exists = await backend.handle_existence_check(call.to_backend(Operation.UPDATE))
    except UnsupportedPathError:
        return Operation.UPDATE
    except UserError as error:
        raise Failure(400, str(error)) from error
    except AuthKitError as error:
        logger.error("failed to run existence check", exc_info=error)
        raise Failure(500, join_errors("internal error")) from error
    return Operation.CREATE if exists is False else Operation.UPDATE


async def ask(call: MountRequest, request: Request) -> Response | None:
    """Return the backend's answer; an error response is a failure.

    Raises:
        Failure: it refused or failed, or there is no backend.
    """
    try:
        response = await send(call.mount, request, f"{call.route}{request.path}")
    except AuthKitError as error:
        raise failure_of(in_go_words(error), authenticated=not call.unauthenticated) from error
    if response is not None and response.is_error:
        assert response.data is not None
        raise Failure(400, str(response.data["error"]), data=plain_numbers(response.data.get("data")))
    return response


async def send(mount: RunningMount, request: Request, route: str) -> Response | None:
    """Return the backend's answer as it is, within `REQUEST_TIMEOUT`. Raises what `send_within` does."""
    return await send_within(REQUEST_TIMEOUT, mount, request, route)


async def send_within(
    limit: timedelta | None, mount: RunningMount, request: Request, route: str
) -> Response | None:
    """Return the backend's answer as it is. `None` for a limit: it may take as long as it likes.

    Raises:
        Failure: there is no backend, or the mount is being removed or was moved.
        AuthKitError: what the backend, or the way to it, reported.
    """
    async with mount.in_use() as backend:
        if mount.is_tainted and request.operation not in _ALSO_WHEN_TAINTED:
            raise Failure(404, f'no handler for route "{route}". route entry is tainted.')
        if request.mount_point != mount.entry.route:  # it was moved while the request waited
            raise Failure(404, f'no handler for route "{route}". route entry not found.')
        if backend is None:
            raise Failure(404, f'no handler for route "{route}". route entry found, but backend is nil.')
        try:
            async with asyncio.timeout(None if limit is None else limit.total_seconds()):
                return await backend.handle_request(request)
        except TimeoutError as error:
            raise RPCError(StatusCode.DEADLINE_EXCEEDED, "context deadline exceeded") from error


def answer_of(call: MountRequest, response: Response | None) -> Outcome | None:
    """Return what a backend's answer amounts to; a plugin's grant is left out."""
    if response is None:
        return None
    entry = call.mount.entry
    ttls = [ttl for ttl in (call.wrap_ttl, response.wrap_info.ttl if response.wrap_info else None) if ttl]
    raw = response.raw
    if raw is not None and raw.status == 204:
        raw = replace(raw, body=b"")
    own = response if isinstance(response, OwnResponse) else OwnResponse()
    # Of a secret it is the data, also if it has none.
    has_data = response.data or response.secret is not None or call.mount.is_own
    is_empty = response.data is None or not has_data
    return Outcome(
        data=None if is_empty else plain_numbers(response.data),
        warnings=tuple(response.warnings),
        status=own.status,
        bare=own.bare,
        raw=raw,
        redirect=response.redirect,
        headers=_allowed_headers(response.headers, entry.config.allowed_response_headers),
        wrap_ttl=min(ttls) if ttls else timedelta(0),
        wrap_info=response.wrap_info if call.mount.is_own else None,
        mount_type=entry.type if _is_named(call) and own.status == 200 else "",
    )


def _is_named(call: MountRequest) -> bool:
    """Whether the answer says which mount it is from.

    A path without the slash behind the mount's name is routed, but not found by name (Vault 1.21).
    """
    return not call.unauthenticated and f"{call.asked.path}/" != call.route


def _salted(mount_uuid: str, token: str) -> str:
    return hashlib.sha1(f"{mount_uuid}{token}".encode(), usedforsecurity=False).hexdigest()


def _passed_headers(call: MountRequest) -> dict[str, list[str]]:
    wanted = {name.lower() for name in call.mount.entry.config.passthrough_request_headers} - _NEVER_PASSED
    if not wanted:
        return {}
    passed = {name: list(values) for name, values in call.request.headers.items() if name.lower() in wanted}
    if call.caller is not None:
        # The host's own token never reaches a plugin, in whichever header it came.
        token = call.caller.text
        passed = {
            name: [each for each in values if not _is_bearer_of(token, each)]
            for name, values in passed.items()
        }
    return {name: values for name, values in passed.items() if values}


def _is_bearer_of(token: str, value: str) -> bool:
    """Whether a header brings the token, as it is read from there: blanks around it do not count."""
    return value.startswith("Bearer ") and value.removeprefix("Bearer ").strip() == token


def _allowed_headers(headers: Mapping[str, Sequence[str]], allowed: Sequence[str]) -> dict[str, Any]:
    names = {name.lower() for name in allowed}
    return {name: list(values) for name, values in headers.items() if name.lower() in names}
