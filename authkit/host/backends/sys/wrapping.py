"""`sys/wrapping/`: wrapped responses, stored, looked up and unwrapped."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from authkit.errors import UserError
from authkit.framework import Str, route, write
from authkit.host.backends.base import HostBackend, OwnCall, OwnResponse
from authkit.host.messages import Failure
from authkit.host.state import HostState
from authkit.host.store.policies import WRAPPING
from authkit.host.store.records import dump, load
from authkit.host.store.times import show_time, whole_seconds
from authkit.host.store.tokens import Token, wrapped_key
from authkit.logical import Operation, RawBody, Response, WrapInfo
from authkit.values import Value, replace

__all__ = ["Wrapped", "Wrapping", "find_wrapping_token", "keep_wrapped"]

INVALID = "wrapping token is not valid or does not exist"


class Wrapped(Value, frozen=True, kw_only=True):
    """The answer that a wrapping token gives access to."""

    status: int
    body: str
    content_type: str
    created: datetime
    ttl: timedelta
    path: str


async def keep_wrapped(state: HostState, wrapped: Wrapped, path: str, accessor: str = "") -> WrapInfo:
    """Store a wrapped response; return the token that unwraps it."""
    text, token = await state.tokens.add(
        Token(
            key="",
            path=path,
            policies=(WRAPPING,),
            num_uses=1,
            created=wrapped.created,
            ttl=wrapped.ttl,
            explicit_max_ttl=wrapped.ttl,
            expires=wrapped.created + wrapped.ttl,
        ),
        wrapped=dump(wrapped),
    )
    return WrapInfo(
        token=text,
        accessor=token.accessor,
        ttl=wrapped.ttl,
        creation_time=wrapped.created,
        creation_path=wrapped.path,
        wrapped_accessor=accessor,
    )


def find_wrapping_token(state: HostState, data: Mapping[str, Any], sent: str) -> Token:
    """Return the wrapping token that a request is about.

    Raises:
        Failure: there is none.
    """
    text = sent
    if data.get("token") is not None:
        text = data["token"]
        if not isinstance(text, str):
            raise Failure(403, "error validating wrapping token: could not decode token in request body")
        if not text:
            raise Failure(403, "error validating wrapping token: empty token in request body")
    if not text:
        raise Failure(403, "error validating wrapping token: token is empty")
    token = state.tokens.find(text)
    if token is None or token.policies != (WRAPPING,):
        raise Failure(400, INVALID)
    return token


class Wrapping(HostBackend):
    """What can be done with a wrapping token. `find_wrapping_token` has passed."""

    @write("wrapping/wrap", arbitrary_input=True)
    async def wrap(self, call: OwnCall) -> dict[str, Any]:
        """Return what was sent: the host wraps it."""
        if call.request.wrap_info is None:
            raise UserError("endpoint requires response wrapping to be used")
        return dict(call.request.data)

    @write("wrapping/unwrap")
    async def unwrap(self, call: OwnCall, token: Str = "") -> Response:
        """Return what is wrapped, once."""
        wrapped = await self._take(call)
        if wrapped.content_type == "application/json" and wrapped.body.startswith("{"):
            return OwnResponse(bare=json.loads(wrapped.body), status=wrapped.status)
        body = wrapped.body.encode("latin-1")
        return Response(raw=RawBody(status=wrapped.status, content_type=wrapped.content_type, body=body))

    @route("wrapping/lookup", Operation.READ, Operation.UPDATE)
    async def look_up_wrapped(self, call: OwnCall, token: Str = "") -> dict[str, Any]:
        """Return what is known of what is wrapped."""
        wrapped = await self._wrapped(find_wrapping_token(self.state, call.request.data, call.token))
        return {
            "creation_path": wrapped.path,
            "creation_time": show_time(wrapped.created),
            "creation_ttl": whole_seconds(wrapped.ttl),
        }

    @write("wrapping/rewrap")
    async def rewrap(self, call: OwnCall, token: Str = "") -> Response:
        """Wrap what is wrapped once more, with a new token."""
        wrapped = replace(await self._take(call), created=self.state.clock.now())
        return Response(wrap_info=await keep_wrapped(self.state, wrapped, "sys/wrapping/rewrap"))

    async def _take(self, call: OwnCall) -> Wrapped:
        """Return what is wrapped, once. A token of the caller's own has been used by the request itself."""
        if call.request.data.get("token") is None:
            return await self._wrapped(call.caller.token)
        token = find_wrapping_token(self.state, call.request.data, "")
        if await self.state.tokens.use(token) is None:
            raise UserError(INVALID)
        wrapped = await self._wrapped(token)
        await self.state.tokens.revoke(token.key)
        return wrapped

    async def _wrapped(self, token: Token) -> Wrapped:
        stored = await self.state.physical.get(wrapped_key(token.key))
        if stored is None:
            raise UserError(INVALID)
        return load(Wrapped, stored)
