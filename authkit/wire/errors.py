"""The error table: exceptions of `authkit.errors` to and from `pb.ProtoError`, and the replies' texts.

Which error a situation deserves is decided elsewhere; here each one gets its one form on the wire.
Numbers and their effects are those of Vault SDK 0.21, plugin/pb/translation.go (ErrToProtoErr,
ProtoErrToErr) and logical/response_util.go.
"""

from __future__ import annotations

from collections.abc import Collection

from authkit.errors import (
    BadRequestError,
    CodedError,
    ErrorKind,
    FieldError,
    InternalError,
    InvalidRequestError,
    LogicalError,
    LoginError,
    MultiAuthzPendingError,
    PermissionDeniedError,
    ReadOnlyError,
    StorageError,
    UnrecoverableError,
    UnsupportedOperationError,
    UnsupportedPathError,
    UserError,
)
from authkit.logical import Response
from authkit.masking import mask_text
from authkit.wire.failures import NEUTRAL_TEXT
from authkit.wire.pb.backend_pb2 import ProtoError

__all__ = [
    "decode_error",
    "encode_check_error",
    "encode_error",
    "error_response",
    "is_expected",
    "shown_text",
    "storage_error",
]

MAX_CAUSES = 8
"""How far the chain of causes is followed; enough for any real one, and an end for a circular one."""


# --- to the host -------------------------------------------------------------------------------


def encode_error(
    exc: BaseException, neutral: str = NEUTRAL_TEXT, own_secrets: Collection[str] = ()
) -> ProtoError:
    """Return the error that the host receives for `exc`. Raises nothing.

    Kinds are found by `isinstance`, so a subclass has the kind of its base. An exception that is
    none of ours, or claims a kind that no host knows, becomes an internal error with the text
    `neutral`. A fault that comes from `ReadOnlyError` keeps that error's text, by which a
    host knows that it has to forward the request. `own_secrets` are masked in the text: see `shown_text`.
    """
    if isinstance(exc, FieldError | LoginError):
        return ProtoError(err_type=ErrorKind.USER, err_msg=shown_text(exc, neutral, own_secrets))
    if isinstance(exc, LogicalError) and not isinstance(exc, InternalError):
        return _encode_logical(exc, neutral, own_secrets)
    read_only = _find_read_only(exc)
    if read_only is not None:
        return ProtoError(err_type=ErrorKind.UNKNOWN, err_msg=_valid(str(read_only)))
    text = shown_text(exc, neutral, own_secrets) if isinstance(exc, InternalError) else neutral
    return ProtoError(err_type=ErrorKind.INTERNAL, err_msg=text)


def encode_check_error(
    exc: BaseException, neutral: str = NEUTRAL_TEXT, own_secrets: Collection[str] = ()
) -> ProtoError:
    """Return the error of a failed existence check. Raises nothing.

    There a host shows the text of a user error alone, and takes all others for faults
    (Vault 1.21, vault/request_handling.go, existenceCheck): bad input is a user error here.
    """
    error = encode_error(exc, neutral, own_secrets)
    if error.err_type == ErrorKind.BAD_REQUEST:
        error.err_type = ErrorKind.USER
    return error


def error_response(exc: BaseException, own_secrets: Collection[str] = ()) -> Response | None:
    """Return the response for a mistake of the caller's, which is HTTP 400 with its text.

    `None` for any other exception: that one is sent as an error. Raises nothing.
    """
    if isinstance(exc, FieldError):
        text = shown_text(exc, "a field has the wrong type", own_secrets)
        return Response.error(f"Field validation failed: {text}")
    if isinstance(exc, UserError | LoginError):
        return Response.error(shown_text(exc, "the request was refused", own_secrets))
    return None


def is_expected(exc: BaseException) -> bool:
    """Whether `exc` is an answer rather than a fault whose cause belongs into the log."""
    if isinstance(exc, LogicalError):
        return not isinstance(exc, InternalError) and _kind_of(exc) not in (None, ErrorKind.INTERNAL)
    return isinstance(exc, FieldError | LoginError | ReadOnlyError)


def _encode_logical(exc: LogicalError, neutral: str, own_secrets: Collection[str]) -> ProtoError:
    kind = _kind_of(exc)
    if kind is None:
        return ProtoError(err_type=ErrorKind.INTERNAL, err_msg=neutral)
    status = exc.status if isinstance(exc, CodedError) else 0
    return ProtoError(err_type=kind, err_msg=shown_text(exc, neutral, own_secrets), err_code=status)


def _kind_of(exc: LogicalError) -> ErrorKind | None:
    """Return the kind as a member of the enumeration; attributes can be set to anything, later on too."""
    if isinstance(exc, CodedError):
        is_status = isinstance(exc.status, int) and 400 <= exc.status <= 599
        return ErrorKind.CODED if is_status else None
    kind = exc.err_type
    return kind if isinstance(kind, ErrorKind) and kind is not ErrorKind.CODED else None


def _find_read_only(exc: BaseException | None) -> ReadOnlyError | None:
    for _ in range(MAX_CAUSES):
        if exc is None or isinstance(exc, ReadOnlyError):
            return exc
        exc = exc.__cause__
    return None


def shown_text(exc: BaseException, otherwise: str, own_secrets: Collection[str] = ()) -> str:
    """Return the text of `exc` as a client may see it, `otherwise` when it has none. Raises nothing.

    Masked are `own_secrets`, what the client's own request has in secret fields, and what looks like a
    secret. Nothing else: see `authkit.masking`.
    """
    try:
        text = str(exc)
    except Exception:
        return otherwise
    return _valid(mask_text(text, own_secrets)) or otherwise


def _valid(text: str) -> str:
    """Return `text` without halves of surrogate pairs, which protobuf cannot carry."""
    return text.encode("utf-8", "replace").decode()


# --- from the other side -----------------------------------------------------------------------

_KINDS: dict[int, type[LogicalError]] = {
    ErrorKind.UNKNOWN: LogicalError,
    ErrorKind.USER: UserError,
    ErrorKind.INTERNAL: InternalError,
    ErrorKind.BAD_REQUEST: BadRequestError,
    ErrorKind.UNSUPPORTED_OPERATION: UnsupportedOperationError,
    ErrorKind.UNSUPPORTED_PATH: UnsupportedPathError,
    ErrorKind.INVALID_REQUEST: InvalidRequestError,
    ErrorKind.PERMISSION_DENIED: PermissionDeniedError,
    ErrorKind.MULTI_AUTHZ_PENDING: MultiAuthzPendingError,
    ErrorKind.UNRECOVERABLE: UnrecoverableError,
}


def decode_error(error: ProtoError | None) -> LogicalError | None:
    """Return what a backend's error means, `None` only for `None`.

    A kind that no host knows is an internal error; Vault would take it for success. The kinds 5 to
    10 get their fixed text, as a host gives it to them.
    """
    if error is None:
        return None
    if error.err_type == ErrorKind.CODED and 400 <= error.err_code <= 599:
        return CodedError(error.err_code, error.err_msg)
    kind = _KINDS.get(error.err_type)
    if kind is None:
        return InternalError(f"the backend answered with an error of unknown kind {error.err_type}")
    return kind() if kind.fixed_text else kind(error.err_msg)


def storage_error(text: str) -> StorageError:
    """Return the error for a text of the host's storage, which has no kinds.

    The only place that knows how "read only" reads (Vault SDK 0.21, logical/error.go, ErrReadOnly).
    """
    return ReadOnlyError(text) if ReadOnlyError.TEXT in text else StorageError(text)
