"""`sys/wrapping/`: wrapped responses, stored, looked up and unwrapped."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from authkit.host.backends.router import Call, Routes
from authkit.host.messages import Answer, Failure
from authkit.host.state import HostState
from authkit.host.store.policies import WRAPPING
from authkit.host.store.records import dump, load
from authkit.host.store.times import show_time, whole_seconds
from authkit.host.store.tokens import Token, wrapped_key
from authkit.logical import RawBody
from authkit.values import Value, replace

__all__ = ["Wrapped", "add_wrapping_routes", "find_wrapping_token", "keep_wrapped"]

INVALID = "wrapping token is not valid or does not exist"


class Wrapped(Value, frozen=True, kw_only=True):
    """The answer that a wrapping token gives access to. Made by `wrap`."""

    status: int
    body: str
    content_type: str
    created: datetime
    ttl: timedelta
    path: str


async def keep_wrapped(state: HostState, wrapped: Wrapped, path: str, accessor: str = "") -> dict[str, Any]:
    """Store a wrapped response; return `wrap_info`, with the token that unwraps it."""
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
        )
    )
    await state.tokens.keep(token, beside={wrapped_key(token.key): dump(wrapped)})
    info = {
        "token": text,
        "accessor": token.accessor,
        "ttl": whole_seconds(wrapped.ttl),
        "creation_time": show_time(wrapped.created),
        "creation_path": wrapped.path,
    }
    return info | {"wrapped_accessor": accessor} if accessor else info


def find_wrapping_token(state: HostState, data: Mapping[str, Any], sent: str) -> tuple[Token, bool]:
    """Return the wrapping token that a request is about, and whether it stands in the body.

    Raises:
        Failure: there is none.
    """
    text, is_in_body = sent, False
    if data.get("token") is not None:
        text, is_in_body = data["token"], True
        if not isinstance(text, str):
            raise Failure(403, "error validating wrapping token: could not decode token in request body")
        if not text:
            raise Failure(403, "error validating wrapping token: empty token in request body")
    if not text:
        raise Failure(403, "error validating wrapping token: token is empty")
    token = state.tokens.find(text)
    if token is None or token.policies != (WRAPPING,):
        raise Failure(400, INVALID)
    return token, is_in_body


def add_wrapping_routes(routes: Routes, state: HostState) -> None:
    """Serve `sys/wrapping/`."""

    async def wrapped_of(token: Token) -> Wrapped:
        stored = await state.physical.get(wrapped_key(token.key))
        if stored is None:
            raise Failure(400, INVALID)
        return load(Wrapped, stored)

    async def take(call: Call) -> Wrapped:
        """Return what is wrapped, once. A token of the caller's own has been used by the request itself."""
        if call.data.get("token") is None:
            return await wrapped_of(call.known_caller.token)
        token, _ = find_wrapping_token(state, call.data, "")
        if await state.tokens.use(token) is None:
            raise Failure(400, INVALID)
        wrapped = await wrapped_of(token)
        await state.tokens.revoke(token.key)
        return wrapped

    async def lookup(call: Call) -> Answer:
        token, _ = find_wrapping_token(state, call.data, call.request.token)
        wrapped = await wrapped_of(token)
        data = {
            "creation_path": wrapped.path,
            "creation_time": show_time(wrapped.created),
            "creation_ttl": whole_seconds(wrapped.ttl),
        }
        return Answer(data=data)

    async def unwrap(call: Call) -> Answer:
        wrapped = await take(call)
        if wrapped.content_type == "application/json" and wrapped.body.startswith("{"):
            return Answer(bare=json.loads(wrapped.body), accepted=wrapped.status)
        body = wrapped.body.encode("latin-1")
        return Answer(raw=RawBody(status=wrapped.status, content_type=wrapped.content_type, body=body))

    async def rewrap(call: Call) -> Answer:
        wrapped = replace(await take(call), created=state.clock.now())
        return Answer(wrap_info=await keep_wrapped(state, wrapped, "sys/wrapping/rewrap"))

    async def wrap_(call: Call) -> Answer:
        if not call.wrap_ttl:
            raise Failure(400, "endpoint requires response wrapping to be used")
        return Answer(data=dict(call.data))

    routes.add("wrapping/wrap", any_fields=True, update=wrap_)
    routes.add("wrapping/unwrap", "token", update=unwrap)
    routes.add("wrapping/lookup", "token", read=lookup, update=lookup)
    routes.add("wrapping/rewrap", "token", update=rewrap)
