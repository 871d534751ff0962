"""The base of the host's own backends, which are written on `authkit.framework` as a plugin's are."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar, Protocol

import msgspec

from authkit.errors import FieldError, UserError
from authkit.framework import Backend, Call
from authkit.host.authorization import Caller
from authkit.host.mounts.table import RunningMount
from authkit.host.state import HostState
from authkit.host.store.tokens import Token
from authkit.logical import BackendConfig, Operation, Request, Response
from authkit.wire.errors import error_response

__all__ = ["HostBackend", "MountMoves", "OwnCall", "OwnRequest", "OwnResponse", "SecretLeases", "Server"]


class SecretLeases(Protocol):
    """What can be done with the leases of secrets. See `authkit.host.server.leases`."""

    async def renew(self, lease_id: str, increment: timedelta) -> Response | None:
        """Renew a lease; `None` when nothing was changed.

        Raises:
            UserError: it cannot be renewed, or its backend refuses or fails.
        """
        ...

    async def revoke(self, lease_id: str, *, is_queued: bool = False) -> None:
        """Revoke a lease, if there; `is_queued`: soon, and it is tried again if that fails.

        Raises:
            RevocationError: the backend refuses or fails.
        """

    async def revoke_below(self, prefix: str, *, force: bool = False, is_queued: bool = False) -> None:
        """Revoke the lease of that id, else all below that path; `force` forgets them whatever backends say.

        Raises:
            RevocationError: one cannot be revoked.
        """

    async def tidy(self) -> None:
        """Revoke leases whose token is gone, by force."""

    async def end(self, mount: RunningMount) -> None:
        """Revoke the leases of a mount that is to be removed; before, an engine is rolled back.

        Raises:
            RevocationError: one cannot be revoked. The mount has to stay.
        """


class MountMoves(Protocol):
    """What can be done with mounts that are moved. See `authkit.host.server.moves`."""

    def begin(self, source: str, target: str) -> str:
        """Begin to move the mount at a route to another route; return the id of the move."""
        ...

    def find(self, move_id: str) -> tuple[str, str, str] | None:
        """Return source, target and status of a move."""
        ...


class Server(Protocol):
    """What the backends ask of the server above them."""

    async def renew(
        self, token: Token, increment: timedelta, *, text: str, remote_addr: str
    ) -> Response | None:
        """Return the renewed grant, `None` when nothing was changed.

        Raises:
            Failure: the token cannot be renewed, or the backend that granted it refuses.
        """

    @property
    def leases(self) -> SecretLeases:
        """The leases of secrets."""
        ...

    @property
    def moves(self) -> MountMoves:
        """Mounts on their way to another path."""
        ...

    async def describe_mounts(self, caller: Caller | None, *, generic: bool) -> dict[str, Any]:
        """Return the OpenAPI document of all mounts that the caller may see."""
        ...


class OwnRequest(Request, frozen=True, kw_only=True):
    """A request to the host's own backends: it carries the caller and the token."""

    caller: Caller | None = None
    """`None`: without a valid token, on a path that needs none."""
    token: str = ""
    """As it was sent."""

    unshown: ClassVar[tuple[str, ...]] = (*Request.unshown, "token")

    @classmethod
    def of(cls, request: Request, caller: Caller | None, token: str) -> OwnRequest:
        """Return a request with what the host knows of it."""
        return cls(**msgspec.structs.asdict(request), caller=caller, token=token)


class OwnResponse(Response, frozen=True, kw_only=True):
    """A response that only the host's own backends make."""

    status: int = 200
    bare: Mapping[str, Any] | None = None
    """The whole body, without an envelope."""


class OwnCall(Call, frozen=True, kw_only=True):
    """What a handler of the host gets."""

    request: OwnRequest

    @property
    def token(self) -> str:
        """The token as it was sent."""
        return self.request.token

    @property
    def caller(self) -> Caller:
        """The caller, on a path that needs a token."""
        assert self.request.caller is not None
        return self.request.caller


class HostBackend(Backend):
    """A backend of the host itself. Its handlers read and change `state`."""

    call_type: ClassVar[type[Call]] = OwnCall
    grants_to_callers: ClassVar[bool] = True
    warns_without_answer = False

    def __init__(self, config: BackendConfig, state: HostState, server: Server) -> None:
        super().__init__(config)
        self.state = state
        self.server = server

    async def handle_request(self, request: Request) -> Response | None:
        """Answer a request. A mistake of the caller's and a list without keys are answers."""
        try:
            response = await super().handle_request(request)
        except (FieldError, UserError) as error:
            return error_response(error)
        return Response(data={}) if response is None and request.operation is Operation.LIST else response
