"""Response wrapping: a response is stored, and the client gets a token that unwraps it once."""

from __future__ import annotations

import json

from authkit.host.backends.sys.wrapping import Wrapped, keep_wrapped
from authkit.host.messages import Failure, Outcome
from authkit.host.server.envelope import envelope
from authkit.host.state import HostState
from authkit.logical import Operation

__all__ = ["wrap"]


async def wrap(
    state: HostState, answer: Outcome, operation: Operation, path: str, request_id: str, *, is_plugins: bool
) -> Outcome:
    """Keep an answer, and return the answer with its wrapping token.

    Raises:
        Failure: a list of a plugin's, or an empty one: a server wraps neither (Vault 1.21,
            vault/wrapping.go).
    """
    if operation is Operation.LIST and (is_plugins or not (answer.data or answer.warnings)):
        raise Failure(404, "unsupported path")
    if answer.raw is not None:
        status, body, kind = answer.raw.status, answer.raw.body.decode("latin-1"), answer.raw.content_type
    elif answer.bare is not None:
        status, body, kind = answer.status, json.dumps(answer.bare), "application/json"
    else:
        status, body, kind = 200, json.dumps(envelope(answer, request_id)), "application/json"
    wrapped = Wrapped(
        status=status, body=body, content_type=kind, created=state.clock.now(), ttl=answer.wrap_ttl, path=path
    )
    accessor = answer.auth.accessor if answer.auth else ""
    return Outcome(wrap_info=await keep_wrapped(state, wrapped, path, accessor))
