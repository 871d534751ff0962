"""The base of the host's own backends, which are written on `authkit.framework` as a plugin's are."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar, Protocol

import msgspec

from authkit.errors import FieldError, UserError
from authkit.framework import Backend, Call
from authkit.host.authorization import Caller
from authkit.host.state import HostState
from authkit.host.store.tokens import Token
from authkit.logical import BackendConfig, Operation, Request, Response
from authkit.wire.errors import error_response

__all__ = ["HostBackend", "OwnCall", "OwnRequest", "OwnResponse", "Server"]


class Server(Protocol):
    """What the backends ask of the server above them."""

    async def renew(
        self, token: Token, increment: timedelta, *, text: str, remote_addr: str
    ) -> Response | None:
        """Return the renewed grant, `None` when nothing was changed.

        Raises:
            Failure: the token cannot be renewed, or the backend that granted it refuses.
        """

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

    call_type = OwnCall
    grants_to_callers = True
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
