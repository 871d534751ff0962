"""The table of errors, row by row: what an auth method raises, what travels, which HTTP status comes of it.

The statuses are those that a real server gave to an external auth method (observed on Vault 1.21.1).
`http_status` repeats the host's rule for a reply (Vault SDK 0.21, logical/response_util.go).
"""

from __future__ import annotations

import json
from typing import Any, Final

import pytest
from wire_fakes import FakeBackend

from authkit.errors import (
    BadRequestError,
    CodedError,
    ErrorKind,
    FieldError,
    InternalError,
    InvalidCredentialsError,
    InvalidRequestError,
    LogicalError,
    LoginError,
    MultiAuthzPendingError,
    NotConfiguredError,
    NotFoundError,
    PermissionDeniedError,
    ReadOnlyError,
    StorageError,
    TokenError,
    TooManyRequestsError,
    UnrecoverableError,
    UnsupportedOperationError,
    UnsupportedPathError,
    UpstreamError,
    UserError,
)
from authkit.logical import Operation, Request
from authkit.wire.guards import answer
from authkit.wire.messages import encode_request
from authkit.wire.pb import backend_pb2 as pb

OF_KIND: Final = {
    ErrorKind.BAD_REQUEST: 400,
    ErrorKind.UNSUPPORTED_OPERATION: 405,
    ErrorKind.UNSUPPORTED_PATH: 404,
    ErrorKind.INVALID_REQUEST: 400,
    ErrorKind.PERMISSION_DENIED: 403,
}
OF_TEXT: Final = {
    "permission denied": 403,
    "invalid credentials": 400,
    "upstream rate limited": 502,
    "lease count quota exceeded": 429,
    "rate limit quota exceeded": 429,
    "required index state not present": 412,
    "functionality on this path has been removed": 404,
    "relative paths not supported": 400,
    "overloaded, try again later": 503,
    "Vault is sealed": 503,
    "please forward to the active node": 503,
}
"""Errors of kind 0 that a host recognises by their exact text."""


def wrapped(text: str) -> PermissionDeniedError:
    """Return a denial with a text of its own and a cause."""
    error = PermissionDeniedError(text)
    error.__cause__ = ValueError("inner detail")
    return error


RESPONSE = -1
"""In place of a kind: an error response."""

TABLE: dict[str, tuple[BaseException, int, int]] = {
    "permission denied": (PermissionDeniedError(), 8, 403),
    "the same, wrapped: keeps its kind": (wrapped("wrapped: permission denied"), 8, 403),
    "invalid request": (InvalidRequestError(), 7, 400),
    "unsupported operation": (UnsupportedOperationError(), 5, 405),
    "unsupported path": (UnsupportedPathError(), 6, 404),
    "invalid credentials": (InvalidCredentialsError(), 0, 400),
    "request needs further approval": (MultiAuthzPendingError(), 9, 500),
    "unrecoverable error": (UnrecoverableError(), 10, 500),
    "upstream rate limited": (LogicalError("upstream rate limited"), 0, 502),
    "lease count quota exceeded": (LogicalError("lease count quota exceeded"), 0, 429),
    "rate limit quota exceeded": (LogicalError("rate limit quota exceeded"), 0, 429),
    "required index state not present": (LogicalError("required index state not present"), 0, 412),
    "functionality on this path has been removed": (
        LogicalError("functionality on this path has been removed"),
        0,
        404,
    ),
    "not found, of kind 0": (LogicalError("not found"), 0, 500),
    "not found, coded": (NotFoundError(), 3, 404),
    "relative paths not supported": (LogicalError("relative paths not supported"), 0, 400),
    "invalid token": (LogicalError("invalid token"), 0, 500),
    "coded error (status, text)": (CodedError(418, "a teapot"), 3, 418),
    "coded error: too many requests": (TooManyRequestsError("later"), 3, 429),
    "coded error: upstream": (UpstreamError("the directory does not answer"), 3, 502),
    "status-bad-request error": (BadRequestError("bad"), 4, 400),
    "user error": (UserError("a mistake"), RESPONSE, 400),
    "user error: not configured": (NotConfiguredError("could not load configuration"), RESPONSE, 400),
    "user error: a login": (LoginError("wrong pin", "detail"), RESPONSE, 400),
    "user error: a token": (TokenError("expired", "detail"), RESPONSE, 400),
    "user error: a field": (FieldError("ttl", "expected a duration"), RESPONSE, 400),
    "internal error": (InternalError("neutral"), 2, 500),
    "any other: an exception of Python's": (ValueError("inner detail"), 2, 500),
    "any other: the host's storage": (StorageError("inner detail"), 2, 500),
    "any other: a LogicalError": (LogicalError("something else"), 0, 500),
    "overloaded, try again later": (LogicalError("overloaded, try again later"), 0, 503),
    "Vault is sealed": (LogicalError("Vault is sealed"), 0, 503),
    "cannot write to readonly storage": (ReadOnlyError(ReadOnlyError.TEXT), 0, 500),
    "please forward to the active node": (LogicalError("please forward to the active node"), 0, 503),
}


async def reply_to(exc: BaseException, **fields: Any) -> pb.HandleRequestReply:
    """Return the reply to a login that fails with `exc`."""
    request = Request(operation=Operation.UPDATE, path="login", unauthenticated=True, **fields)
    return pb.HandleRequestReply.FromString(await answer(FakeBackend(exc), encode_request(request)))


def http_status(reply: pb.HandleRequestReply) -> int:
    """Return the status that a host gives to a failed request."""
    if not reply.HasField("err"):
        return 400
    if reply.err.err_type == ErrorKind.CODED:
        return reply.err.err_code
    if reply.err.err_type == ErrorKind.UNKNOWN:
        return OF_TEXT.get(reply.err.err_msg, 500)
    return OF_KIND.get(ErrorKind(reply.err.err_type), 500)


@pytest.mark.parametrize("row", TABLE)
async def test_row(row: str) -> None:
    """The error has its kind and its status."""
    exc, kind, status = TABLE[row]
    reply = await reply_to(exc, id="r-1")
    assert (reply.err.err_type if reply.HasField("err") else RESPONSE) == kind
    assert http_status(reply) == status


@pytest.mark.parametrize("row", TABLE)
async def test_never_both(row: str) -> None:
    """An error and an error response together would change the status: a reply has one of them."""
    reply = await reply_to(TABLE[row][0])
    assert reply.HasField("err") != reply.HasField("response")
    assert not reply.response.HasField("auth")


@pytest.mark.parametrize("row", [row for row, (_, kind, _) in TABLE.items() if kind == RESPONSE])
async def test_error_response_alone(row: str) -> None:
    """A mistake of the caller's is an error response with its text, without what is for the log."""
    body = json.loads((await reply_to(TABLE[row][0])).response.data)
    assert body.keys() == {"error"}
    assert str(TABLE[row][0]) in body["error"]
    assert "detail" not in body["error"]


@pytest.mark.parametrize("row", [row for row in TABLE if row.startswith(("any other: an", "any other: the"))])
async def test_faults_are_neutral(row: str) -> None:
    """Whoever may be anybody reads no detail of the inside."""
    reply = await reply_to(TABLE[row][0], id="r-1")
    assert reply.err.err_msg == "internal error (request r-1)"


def test_invalid_credentials_have_one_text() -> None:
    """Hosts know the error by its text, so that no other can be given."""
    assert str(InvalidCredentialsError()) == "invalid credentials"
    with pytest.raises(TypeError):
        InvalidCredentialsError("wrong password")
