"""The whole exception tree of authkit.

::

    AuthKitError
    ├── PluginError                    the process, or its tie to the host, cannot go on
    │   ├── HandshakeError             the host's environment does not allow a start
    │   ├── BrokerError                a connection back to the host could not be made
    │   ├── HostGoneError              the host has closed the connection
    │   └── HostingError               a host's trouble with one of its plugins; carries a hint
    │       ├── PluginStartError       the plugin could not be started
    │       ├── PluginSetupError       the plugin refused to set a mount up
    │       └── PluginGoneError        the plugin's process ended under a call
    ├── RPCError                       a gRPC call ended with another status than OK
    ├── LogicalError                   the host receives it as an error of this kind
    │   ├── UserError                  the caller's mistake: HTTP 400 with the text
    │   │   └── NotConfiguredError     nobody has configured what the request needs
    │   ├── InternalError              a fault: HTTP 500 with the text
    │   ├── CodedError                 HTTP status of its own, with the text
    │   │   ├── NotFoundError          HTTP 404
    │   │   ├── TooManyRequestsError   HTTP 429
    │   │   └── UpstreamError          HTTP 502: another service failed
    │   ├── InvalidCredentialsError    HTTP 400 with the text `invalid credentials`
    │   ├── BadRequestError            HTTP 400 with the text
    │   ├── UnsupportedOperationError  HTTP 405
    │   ├── UnsupportedPathError       HTTP 404
    │   ├── InvalidRequestError        HTTP 400
    │   ├── PermissionDeniedError      HTTP 403
    │   ├── MultiAuthzPendingError     the request waits for approval
    │   └── UnrecoverableError         repeating the request will not help
    ├── StorageError                   the host's storage refused a call
    │   └── ReadOnlyError              this node may not write; the host forwards
    ├── SystemViewError                the host could not answer a question about itself
    │   └── UnsupportedByHostError     this host does not have the call at all
    ├── FieldError                     one field of a request is wrong; it names the field
    ├── SealedTextError                a sealed text does not open here
    └── LoginError                     identity could not be established
        └── TokenError                 a token, its signature or its claims are not acceptable

The kinds of :class:`LogicalError` and their numbers are those of `pb.ProtoError` (Vault SDK 0.21,
plugin/pb/translation.go). The fixed texts of the kinds 5 to 10 are the host's: it drops ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Any

__all__ = [
    "AuthKitError",
    "BadRequestError",
    "BrokerError",
    "CodedError",
    "ErrorKind",
    "FieldError",
    "HandshakeError",
    "HostGoneError",
    "HostingError",
    "InternalError",
    "InvalidCredentialsError",
    "InvalidRequestError",
    "LogicalError",
    "LoginError",
    "MultiAuthzPendingError",
    "NotConfiguredError",
    "NotFoundError",
    "PermissionDeniedError",
    "PluginError",
    "PluginGoneError",
    "PluginSetupError",
    "PluginStartError",
    "RPCError",
    "ReadOnlyError",
    "SealedTextError",
    "StatusCode",
    "StorageError",
    "SystemViewError",
    "TokenError",
    "TooManyRequestsError",
    "UnrecoverableError",
    "UnsupportedByHostError",
    "UnsupportedOperationError",
    "UnsupportedPathError",
    "UpstreamError",
    "UserError",
]


class AuthKitError(Exception):
    """Base of everything that authkit raises on purpose."""


# --- the process -------------------------------------------------------------------------------


class PluginError(AuthKitError):
    """The plugin process, or its tie to the host, cannot go on."""


class HandshakeError(PluginError):
    """The host's environment does not allow a start; the text names the variable at fault."""


class BrokerError(PluginError):
    """A connection back to the host could not be made."""


class HostGoneError(PluginError):
    """The host has closed the connection that the call needed."""


class HostingError(PluginError):
    """A host's trouble with one of its plugins.

    The text is that of a Vault server where it has one. `hint` says to a human what
    happened and what to do; it may quote what the plugin printed and is not for clients of the API.
    """

    def __init__(self, text: str, *, hint: str = "") -> None:
        super().__init__(text)
        self.hint = hint


class PluginStartError(HostingError):
    """A plugin could not be started: its file, its handshake or its connection is at fault."""


class PluginSetupError(HostingError):
    """A plugin refused to set a mount up. The text is the plugin's own."""


class PluginGoneError(HostingError):
    """The plugin's process ended under a call. Nobody knows whether the call took effect."""


# --- gRPC --------------------------------------------------------------------------------------


class StatusCode(IntEnum):
    """gRPC status codes (grpc/grpc, doc/statuscodes.md)."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


class RPCError(AuthKitError):
    """A gRPC call ended with another status than OK.

    A handler raises it to choose the status that its caller receives; a channel raises it for the
    status that the peer, or the connection, gave.
    """

    def __init__(self, code: StatusCode, message: str = "") -> None:
        super().__init__(f"{code.name}: {message}" if message else code.name)
        self.code = code
        self.message = message


# --- Vault's errors ----------------------------------------------------------------------------


class ErrorKind(IntEnum):
    """Every `err_type` that a host knows.

    A host takes any other number for "no error": the request counts as successful (observed on
    Vault 1.21.1). The encoder accepts members of this enumeration and nothing else.
    """

    UNKNOWN = 0
    USER = 1
    INTERNAL = 2
    CODED = 3
    BAD_REQUEST = 4
    UNSUPPORTED_OPERATION = 5
    UNSUPPORTED_PATH = 6
    INVALID_REQUEST = 7
    PERMISSION_DENIED = 8
    MULTI_AUTHZ_PENDING = 9
    UNRECOVERABLE = 10


class LogicalError(AuthKitError):
    """A failed request, as the host understands failures.

    Its text is shown to the caller, who may be anybody: no secret and no detail of the inside.
    Raise one of the subclasses; the base itself travels as an unclassified error (HTTP 500).
    """

    err_type: ErrorKind = ErrorKind.UNKNOWN
    fixed_text: str | None = None
    response_data: Mapping[str, Any] | None = None
    """Set by a host alone: the data of the response that a backend in Go sent beside this error.

    A host then shows the text under `error`, if there is one, and takes 400 in place of 500.
    """

    def __init__(self, text: str = "") -> None:
        super().__init__(text or self.fixed_text or type(self).__name__)


class UserError(LogicalError):
    """The caller's mistake. Sent as an error *response*: HTTP 400 with exactly this text."""

    err_type = ErrorKind.USER


class NotConfiguredError(UserError):
    """Nobody has configured yet what the request needs: HTTP 400 with the text."""


class InternalError(LogicalError):
    """A fault that is not the caller's: HTTP 500. Keep the text neutral, log the cause."""

    err_type = ErrorKind.INTERNAL


class CodedError(LogicalError):
    """A failure with an HTTP status of its own (400 to 599), shown with its text.

    Raises:
        ValueError: `status` is not an error status. The host would use it as it is.
    """

    err_type = ErrorKind.CODED

    def __init__(self, status: int, text: str) -> None:
        if not 400 <= status <= 599:
            raise ValueError(f"not an HTTP error status: {status}")
        super().__init__(text)
        self.status = status


class NotFoundError(CodedError):
    """What the request names does not exist: HTTP 404 with the text.

    Not kind 0 with the text `not found`, of which a host makes a 500 for external plugins
    (observed on Vault 1.21.1).
    """

    def __init__(self, text: str = "not found") -> None:
        super().__init__(404, text)


class TooManyRequestsError(CodedError):
    """The caller has to wait before another try: HTTP 429 with the text."""

    def __init__(self, text: str = "too many requests") -> None:
        super().__init__(429, text)


class UpstreamError(CodedError):
    """A service that the request needs, such as an identity provider, failed: HTTP 502 with the text.

    The text says which one; what it answered belongs into the cause (`raise ... from`) and the log.
    """

    def __init__(self, text: str = "an upstream service failed") -> None:
        super().__init__(502, text)


class InvalidCredentialsError(LogicalError):
    """The credentials are wrong: HTTP 400 with the same text for every reason.

    A host knows it by that text alone (Vault SDK 0.21, logical/error.go, ErrInvalidCredentials).
    """

    fixed_text = "invalid credentials"

    def __init__(self) -> None:
        super().__init__()


class BadRequestError(LogicalError):
    """A request that cannot be served as it is: HTTP 400 with the text."""

    err_type = ErrorKind.BAD_REQUEST


class UnsupportedOperationError(LogicalError):
    """The path exists, the operation on it does not: HTTP 405."""

    err_type = ErrorKind.UNSUPPORTED_OPERATION
    fixed_text = "unsupported operation"


class UnsupportedPathError(LogicalError):
    """No such path: HTTP 404."""

    err_type = ErrorKind.UNSUPPORTED_PATH
    fixed_text = "unsupported path"


class InvalidRequestError(LogicalError):
    """The request contradicts itself: HTTP 400 with the host's fixed text."""

    err_type = ErrorKind.INVALID_REQUEST
    fixed_text = "invalid request"


class PermissionDeniedError(LogicalError):
    """The caller may not do this: HTTP 403 with the host's fixed text, the reason stays here."""

    err_type = ErrorKind.PERMISSION_DENIED
    fixed_text = "permission denied"


class MultiAuthzPendingError(LogicalError):
    """The request waits for further approval."""

    err_type = ErrorKind.MULTI_AUTHZ_PENDING
    fixed_text = "request needs further approval"


class UnrecoverableError(LogicalError):
    """Repeating the request will not help."""

    err_type = ErrorKind.UNRECOVERABLE
    fixed_text = "unrecoverable error"


# --- the host's services -----------------------------------------------------------------------


class StorageError(AuthKitError):
    """The host's storage refused a call. The text is the host's own."""


class ReadOnlyError(StorageError):
    """This node may not write.

    Let it pass: hosts that can forward a request recognise its text (OpenBao 2.5 and later look
    for it anywhere in the error; Vault Enterprise wants it unchanged).
    """

    TEXT = "cannot write to readonly storage"


class SystemViewError(AuthKitError):
    """The host could not answer a question about itself."""


class UnsupportedByHostError(SystemViewError):
    """This host does not have the call at all."""


# --- input and login ---------------------------------------------------------------------------


class FieldError(AuthKitError):
    """One field of a request is wrong. Becomes an error response (HTTP 400).

    `reason` says what was expected; it never repeats the value.
    """

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f'error converting input for field "{field}": {reason}')
        self.field = field
        self.reason = reason


class SealedTextError(AuthKitError):
    """A sealed text does not open here: it was changed, was made elsewhere, or its key is gone.

    Texts come from strangers: answer this like any other wrong input.
    """


class LoginError(AuthKitError):
    """Identity could not be established.

    `public` is what the caller reads (HTTP 400); `detail` goes to the log only. `code` and `facts` say the
    same as `public` to programs, for those who have texts of their own; an empty code has no such meaning.
    """

    def __init__(
        self, public: str, detail: str = "", *, code: str = "", facts: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(public)
        self.public = public
        self.detail = detail
        self.code = code
        self.facts: Mapping[str, Any] = facts or {}


class TokenError(LoginError):
    """A token is not acceptable: its form, its signature, its claims, or the keys to check it with.

    No text of it holds the token, and of its content only what the text's rule is about.
    """
