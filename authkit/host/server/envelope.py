"""Answers and errors as a client of the HTTP API sees them: statuses, envelopes, texts.

The rules are those of Vault SDK 0.20 (logical/response_util.go) and Vault 1.21 (http/logical.go), seen on
Vault 1.21.1 with plugins in processes of their own.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from authkit.auth.policies import sanitize_policies
from authkit.errors import BadRequestError, CodedError, LogicalError
from authkit.host.messages import Failure, HostResponse, Outcome, join_errors
from authkit.host.server.operations import Asked
from authkit.host.store.times import show_time, whole_seconds
from authkit.logical import Auth, LeasedSecret, Operation, TokenType, WrapInfo

__all__ = ["envelope", "failure_of", "plain_numbers", "render"]

STATUSES: Final = {
    "permission denied": 403,
    "unsupported operation": 405,
    "unsupported path": 404,
    "invalid request": 400,
    "invalid credentials": 400,
    "upstream rate limited": 502,
    "rate limit quota exceeded": 429,
    "lease count quota exceeded": 429,
    "required index state not present": 412,
    "functionality on this path has been removed": 404,
    "relative paths not supported": 400,
    "overloaded, try again later": 503,
}
"""Statuses that an error's text alone decides on. Anything else is 500."""

_LIFTED = re.compile(
    r"sys/(?:auth|mounts|policy|audit)(?:/.*)?|sys/capabilities(?:-self|-accessor)?|sys/ha-status|sys/remount"
)
"""Old endpoints, whose data stands in the envelope as well (Vault 1.21, http/handler.go)."""

_SEALED = "Vault is sealed"
_FORWARD = "please forward to the active node"


def failure_of(error: Exception, *, authenticated: bool) -> Failure:
    """Return what a client sees of a backend's error.

    On a path that needs a token the text is listed, unless the backend sent an error response beside it,
    whose text then counts.
    """
    text = str(error)
    beside = error.response_data if isinstance(error, LogicalError) else None
    status = 500 if beside is None else 400
    if isinstance(error, BadRequestError):
        status = 400
    status = STATUSES.get(text, status)
    if text == _FORWARD:
        return Failure(503, "node is not active")
    if beside is not None and beside.get("error") is not None and beside.keys() <= {"error", "data"}:
        return Failure(status, str(beside["error"]), data=beside.get("data"))
    if isinstance(error, CodedError):
        status = error.status
    elif text == _SEALED:
        status = 503
    return Failure(status, join_errors(text) if authenticated else text)


def render(asked: Asked, answer: Outcome | None, request_id: str) -> HostResponse:
    """Return the response to a request that was served."""
    operation = asked.operation
    if operation is Operation.HELP and answer is not None:
        return HostResponse(status=200, body=answer.data or {})
    if answer is None:
        if operation in (Operation.READ, Operation.HEADER, Operation.LIST, Operation.HELP):
            return HostResponse(status=404, body={"errors": []})
        return HostResponse(status=204)
    if answer.redirect:
        return _redirect(operation, answer)
    if answer.raw is not None:
        return _raw(answer)
    if answer.bare is not None:
        return HostResponse(status=answer.status, body=answer.bare)
    if operation is Operation.LIST and not answer.wrap_info:
        status = _list_status(answer)
        if status != 200:
            return HostResponse(status=status, body={"errors": []})
    body = envelope(answer, request_id)
    if answer.wrap_info is None and _LIFTED.fullmatch(asked.path):
        body = {**(answer.data or {}), **body}
    return HostResponse(status=answer.status, body=body, headers=answer.headers)


def envelope(answer: Outcome, request_id: str) -> dict[str, Any]:
    """Return the JSON object that holds an answer."""
    is_wrapped = answer.wrap_info is not None
    secret = LeasedSecret() if is_wrapped or answer.secret is None else answer.secret
    return {
        "request_id": "" if is_wrapped else request_id,
        "lease_id": secret.lease_id,
        "renewable": secret.lease.renewable,
        "lease_duration": whole_seconds(secret.lease.ttl),
        "data": None if is_wrapped else answer.data,
        "wrap_info": _show_wrap_info(answer.wrap_info) if answer.wrap_info else None,
        "warnings": None if is_wrapped else list(answer.warnings) or None,
        "auth": None if is_wrapped or answer.auth is None else _show_auth(answer.auth),
        "mount_type": "" if is_wrapped else answer.mount_type,
    }


def _show_auth(auth: Auth) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "client_token": auth.client_token,
        "accessor": auth.accessor,
        "policies": list(sanitize_policies([*auth.token_policies, *auth.identity_policies])),
        "metadata": dict(auth.metadata) or None,
        "lease_duration": whole_seconds(auth.lease.ttl),
        "renewable": auth.lease.renewable,
        "entity_id": auth.entity_id,
        "token_type": "batch" if auth.token_type is TokenType.BATCH else "service",
        "orphan": auth.orphan,
        "mfa_requirement": None,
        "num_uses": auth.num_uses,
    }
    if auth.token_policies:
        shown["token_policies"] = list(auth.token_policies)
    if auth.identity_policies:
        shown["identity_policies"] = list(sanitize_policies(auth.identity_policies))
    return shown


def _show_wrap_info(info: WrapInfo) -> dict[str, Any]:
    shown = {
        "token": info.token,
        "accessor": info.accessor,
        "ttl": whole_seconds(info.ttl),
        "creation_time": show_time(info.creation_time) if info.creation_time else None,
        "creation_path": info.creation_path,
    }
    return shown | {"wrapped_accessor": info.wrapped_accessor} if info.wrapped_accessor else shown


def plain_numbers(value: Any) -> Any:
    """Return JSON data with its numbers as a server in Go passes them on: `5.0` is `5`."""
    if isinstance(value, bool | str) or value is None:
        return value
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < 1e21 else float(value)
    if isinstance(value, Mapping):
        return {key: plain_numbers(each) for key, each in value.items()}
    if isinstance(value, Sequence):
        return [plain_numbers(each) for each in value]
    return value


def _list_status(answer: Outcome) -> int:
    data = answer.data or {}
    if not data:
        return 200 if answer.warnings else 404
    keys = data.get("keys")
    if keys is None:
        return 200
    if not isinstance(keys, list | tuple) or not all(isinstance(key, str) for key in keys):
        return 500
    return 200 if keys else 404


def _redirect(operation: Operation | None, answer: Outcome) -> HostResponse:
    body = b""
    if operation in (Operation.READ, Operation.LIST):
        link = html.escape(answer.redirect)
        body = f'<a href="{link}">Temporary Redirect</a>.\n\n'.encode()
    headers = {**answer.headers, "Location": [answer.redirect]}
    return HostResponse(status=307, raw=body, headers=headers, content_type="text/html; charset=utf-8")


def _raw(answer: Outcome) -> HostResponse:
    raw = answer.raw
    assert raw is not None
    headers = dict(answer.headers)
    for name, value in (
        ("Cache-Control", raw.cache_control),
        ("Pragma", raw.pragma),
        ("WWW-Authenticate", raw.www_authenticate),
    ):
        if value:
            headers[name] = [value]
    return HostResponse(status=raw.status, raw=raw.body, headers=headers, content_type=raw.content_type)
