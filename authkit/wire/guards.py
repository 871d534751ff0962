"""What keeps the host alive and safe, whatever a backend returns or raises.

A host trusts its backends: it makes a token of any auth in a reply, and some of its callers read
a reply without looking whether there is one. Each rule here names the place that needs it. What a
message looks like: `authkit.wire.messages`. The calls themselves:
`authkit.wire.backend`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import lru_cache
from typing import Any

from authkit.errors import (
    ErrorKind,
    InternalError,
    LoginError,
    UnsupportedOperationError,
    UnsupportedPathError,
    UpstreamError,
    UserError,
)
from authkit.logical import (
    Alias,
    Auth,
    Backend,
    HasExistenceChecks,
    HasKnownRoles,
    Operation,
    Request,
    Response,
)
from authkit.rpc.cancellation import is_cancellation
from authkit.rpc.interface import RevocableReply
from authkit.wire.errors import (
    encode_check_error,
    encode_error,
    error_response,
    is_expected,
)
from authkit.wire.failures import failure, neutral_text
from authkit.wire.jsontext import decode_object
from authkit.wire.messages import decode_request, encode_grant, encode_response, is_plain_grant
from authkit.wire.pb import backend_pb2 as pb

__all__ = [
    "NO_CHECK",
    "answer",
    "answer_known_role",
    "check_existence",
    "initialize",
    "is_unchecked",
    "report",
]

logger = logging.getLogger("authkit.wire")

_LOGINS = frozenset({Operation.CREATE, Operation.UPDATE, Operation.READ})
"""Operations that may log in (OpenBao 2.6.2, sdk/logical/request.go, LoginOperations)."""

_STRANDING = frozenset(
    {ErrorKind.UNSUPPORTED_OPERATION, ErrorKind.UNSUPPORTED_PATH, ErrorKind.INVALID_REQUEST}
)
"""After one of these in answer to a revocation a host does not try again, and keeps the lease as irrevocable
(Vault 1.21, vault/expiration.go, revocationJob). `UnrecoverableError` says that on purpose."""

MAX_KEPT_ROLES = 256
"""Roles whose reply is encoded once."""

MAX_CAUSE = 500
"""Characters in the log of why an upstream service failed: it may have sent them."""

_FALLBACK_HELP = "No help is available for this plugin."

_EMPTY_REPLY = pb.HandleRequestReply().SerializeToString()
NO_CHECK = pb.HandleExistenceCheckReply().SerializeToString()
_EXISTS = pb.HandleExistenceCheckReply(check_found=True, exists=True).SerializeToString()
_ABSENT = pb.HandleExistenceCheckReply(check_found=True).SerializeToString()


def report(request: pb.Request, exc: BaseException) -> str:
    """Log why a request failed, if that is not an answer of its own; return the reference for its client."""
    context = {
        "request_id": request.id,
        "mount": request.mount_point,
        "operation": request.operation,
        "path": request.path,
    }
    if not is_expected(exc):
        return failure("request failed", exc, **context)
    if isinstance(exc, LoginError) and exc.detail:
        logger.info("login refused", extra={"kv": {**context, "reason": exc.detail}})
    if isinstance(exc, UpstreamError) and exc.__cause__ is not None:
        cause = f"{type(exc.__cause__).__name__}: {exc.__cause__}"[:MAX_CAUSE]
        logger.warning("an upstream service failed", extra={"kv": {**context, "error": cause}})
    return request.id


async def answer(
    backend: Backend,
    message: pb.Request,
    report: Callable[[pb.Request, BaseException], str] = report,
) -> bytes:
    """Return the reply of `backend` to a request: a `pb.HandleRequestReply` that no host stumbles over.

    Everything but a cancellation becomes a reply. One that grants something carries no error. `report` is
    called once for a request that failed.
    """
    request = None
    try:
        request = decode_request(message)
        response = await backend.handle_request(request)
    # Also SystemExit and its like: one handler must not end the process that serves all mounts.
    except BaseException as exc:
        if is_cancellation(exc):
            raise
        reference = report(message, exc)
        return _refusal(message, *_shown(backend, request, exc, reference), reference)
    try:
        reply = _encode(_checked(request, response))
    except BaseException as exc:
        if isinstance(response, Response) and response.on_untaken is not None:
            response.on_untaken()
        # What is wrong with a response is the author's business: its text stays in the log.
        reference = report(message, exc)
        shown = exc if is_expected(exc) else InternalError(neutral_text(reference))
        return _refusal(message, *_shown(backend, request, shown, reference), reference)
    if response is not None and response.on_sent is not None:
        response.on_sent()
    if response is not None and response.on_untaken is not None:
        revocable = RevocableReply(reply)
        revocable.on_untaken = response.on_untaken
        return revocable
    return reply


def _refusal(request: pb.Request, exc: BaseException, own_secrets: Collection[str], reference: str) -> bytes:
    """Return the reply to a request that failed with `exc`, in the form that its operation allows."""
    if _is_root_help(request):
        return _encode(_fallback_help())
    if _takes_error_response(request):
        response = error_response(exc, own_secrets)
        if response is not None:
            return _encode(response)
    error = encode_error(exc, neutral_text(reference), own_secrets)
    if request.operation == Operation.REVOKE and error.err_type in _STRANDING:
        error.err_type = ErrorKind.UNKNOWN
    return _error_reply(error)


def _takes_error_response(request: pb.Request) -> bool:
    """Whether a host can do with an error response to this operation.

    It reads the answer to a lookahead unchecked, and would crash. The answer about a lease it shows its
    client as a dump of the whole response (Vault 1.21, vault/expiration.go).
    """
    return request.operation != Operation.ALIAS_LOOKAHEAD and not request.HasField("secret")


def _shown(
    backend: Backend, request: Request | None, exc: BaseException, reference: str
) -> tuple[BaseException, Collection[str]]:
    """Return the error that the client reads, and what its own request has in secret fields, to be masked."""
    # Not `isinstance(backend, HasSecretFields)`: that takes 20 us on Python 3.11, for each refused login.
    secret_texts: Callable[[Request], Collection[str]] | None = getattr(backend, "secret_texts", None)
    if request is None or secret_texts is None:
        return exc, ()
    try:
        return exc, secret_texts(request)
    except Exception as unknown:
        failure("secret fields failed", unknown, request_id=reference, mount=request.mount_point)
        return InternalError(neutral_text(reference)), ()


def is_unchecked(backend: HasExistenceChecks, path: str) -> bool:
    """Whether `NO_CHECK` is the answer to an existence check of `path`, without asking any further."""
    try:
        return not backend.has_existence_check(path)
    except Exception:
        return False  # what is wrong with it shows, and is told, when it is asked


def answer_known_role(backend: HasKnownRoles, message: pb.Request) -> bytes | None:
    """Return the reply to a host that asks for a login's role, `None` where `answer` has to find it.

    A host asks after each login of a service token. Nothing is raised: what is wrong is told by `answer`.
    """
    try:
        body = decode_object(message.data, is_request=True) or {}
        role = backend.known_role(message.path, body)
    except Exception:
        return None
    return _role_reply(role) if type(role) is str else None


@lru_cache(MAX_KEPT_ROLES)
def _role_reply(role: str) -> bytes:
    return _encode(Response(data={"role": role}))


async def check_existence(backend: Backend, message: pb.Request) -> bytes:
    """Return the reply of `backend` to an existence check, a `pb.HandleExistenceCheckReply`.

    Everything but a cancellation becomes a reply.
    """
    request = None
    try:
        request = decode_request(message)
        exists = await backend.handle_existence_check(request)
        if exists is None:
            return NO_CHECK
        if not isinstance(exists, bool):
            raise InternalError(f"the existence check returned a {type(exists).__name__}")
        return _EXISTS if exists else _ABSENT
    except BaseException as exc:
        if is_cancellation(exc):
            raise
        reference = report(message, exc)
        shown, own_secrets = _shown(backend, request, exc, reference)
        error = encode_check_error(shown, neutral_text(reference), own_secrets)
        return pb.HandleExistenceCheckReply(err=error).SerializeToString()


async def initialize(backend: Backend, mount: str) -> bytes:
    """Return the reply of `backend` to its initialization, a `pb.InitializeReply`.

    Everything but a cancellation becomes a reply.
    """
    try:
        await backend.initialize()
        return pb.InitializeReply().SerializeToString()
    except BaseException as exc:
        if is_cancellation(exc):
            raise
        reference = failure("initialization failed", exc, mount=mount)
        return pb.InitializeReply(err=encode_error(exc, neutral_text(reference))).SerializeToString()


def _error_reply(error: pb.ProtoError) -> bytes:
    return pb.HandleRequestReply(err=error).SerializeToString()


def _encode(response: Response | None) -> bytes:
    if response is None:
        return _EMPTY_REPLY
    if is_plain_grant(response):
        return encode_grant(response)
    return pb.HandleRequestReply(response=encode_response(response)).SerializeToString()


# --- what an operation may answer --------------------------------------------------------------


def _checked(request: Request, response: Response | None) -> Response | None:
    """Return the response as it may be sent.

    Raises:
        InternalError: the backend must not answer this operation so.
    """
    if response is not None and not isinstance(response, Response):
        raise InternalError(f"the handler returned a {type(response).__name__}, not a Response")
    _require_error_text(response)
    if request.secret is not None and response is not None and response.data and response.is_error:
        # As an error it is shown as it is.
        raise UserError(response.data["error"])
    if request.operation is Operation.RESOLVE_ROLE:
        return _checked_role(response)
    if request.operation is Operation.ALIAS_LOOKAHEAD:
        return _checked_lookahead(request, response)
    require = _RULES.get(request.operation)
    if require is not None:
        require(request, response)
    _require_permitted(request, response)
    return response


def _require_error_text(response: Response | None) -> None:
    """A host that is sent another error than a text may crash the request, without an answer for its client
    (OpenBao, August 2026, sdk/logical/response_util.go, RespondErrorCommon).
    """
    if response is not None and response.data and response.is_error:
        error = response.data["error"]
        if not isinstance(error, str):
            raise InternalError(f"the `error` of an error response is a {type(error).__name__}, not a text")


def _checked_role(response: Response | None) -> Response:
    """Return the role alone, or the error response. Vault reads a role unchecked (1.21, vault/core.go,
    doResolveRoleLocked).

    Only "unsupported" tells a host that a mount has no roles; an error response is a login without one
    (vault/logical_system_quotas.go asks with no data before it takes a quota with a role).
    """
    if response is None:
        raise UnsupportedOperationError
    if response.is_error and response.data:
        return Response.error(str(response.data["error"]))
    role = response.data.get("role") if response.data else None
    if type(role) is not str:
        raise InternalError("resolve-role was not answered with a role")
    return Response(data={"role": role})


def _checked_lookahead(request: Request, response: Response | None) -> Response:
    """Return the alias's name alone, which Vault reads unchecked.

    Vault 1.21, vault/core.go, aliasNameFromLoginRequest. A lookahead of the host's own has no id. One
    with an id was sent by a client, which OpenBao before 2.6.2 let pass (GHSA-rh46-vc3j-w2w3) and
    then made a token of the answer.
    """
    if request.id:
        raise UnsupportedOperationError
    alias = response.auth.alias if response is not None and response.auth is not None else None
    if alias is None or not alias.name:
        raise InternalError("alias-lookahead was not answered with an alias that has a name")
    return Response(auth=Auth(alias=Alias(name=alias.name)))


def _require_help(request: Request, response: Response | None) -> None:
    """The host reads a help page unchecked, and the one of the root for its whole OpenAPI document."""
    if response is None:
        raise UnsupportedPathError
    if _is_root_help(request) and (response.is_error or not response.data):
        raise InternalError("the root's help was not answered with a page")


def _require_renewal(request: Request, response: Response | None) -> None:
    """Without an answer a renewal would end quietly, neither renewed nor refused: HTTP 204 for a lease."""
    if request.auth is not None and (response is None or not (response.auth or response.is_error)):
        raise InternalError("renewal was answered with neither auth nor an error")
    if request.secret is not None and (response is None or response.secret is None):
        raise InternalError("renewal was answered with neither a secret nor an error")


def _require_names(request: Request, response: Response | None) -> None:
    """A host answers anything else than texts with 500 and no word (SDK 0.21, logical/response_util.go)."""
    names = response.data.get("keys") if response is not None and response.data else None
    if names is None:
        return
    is_list = isinstance(names, Sequence) and not isinstance(names, str | bytes)
    if not is_list or not all(isinstance(name, str) for name in names):
        raise InternalError("the `keys` of a list are not a list of texts")


_RULES: Mapping[Operation, Callable[[Request, Response | None], None]] = {
    Operation.HELP: _require_help,
    Operation.RENEW: _require_renewal,
    Operation.LIST: _require_names,
    Operation.SCAN: _require_names,
}


def _require_permitted(request: Request, response: Response | None) -> None:
    """A host makes a token of any auth it gets on a path without token, whatever the operation was."""
    if response is None:
        return
    if response.auth is not None and not _may_grant(request):
        raise InternalError("auth in reply to a request that is neither a login nor a token's renewal")
    if response.secret is not None and request.unauthenticated:
        raise InternalError("a leased secret in reply to a request without token")


def _may_grant(request: Request) -> bool:
    if request.operation is Operation.RENEW:
        # Only a host's own renewal brings the auth that is to be renewed.
        return request.auth is not None
    return request.unauthenticated and request.operation in _LOGINS


def _is_root_help(request: Request | pb.Request) -> bool:
    return request.operation == Operation.HELP and not request.path


def _fallback_help() -> Response:
    page: dict[str, Any] = {"help": _FALLBACK_HELP, "see_also": None}
    return Response(data=page)
