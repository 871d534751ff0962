"""The error table: every exception has one form on the wire, and none means success."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authkit.errors import (
    AuthKitError,
    BadRequestError,
    BrokerError,
    CodedError,
    ErrorKind,
    FieldError,
    HostGoneError,
    InternalError,
    LogicalError,
    LoginError,
    PermissionDeniedError,
    ReadOnlyError,
    RPCError,
    StatusCode,
    StorageError,
    SystemViewError,
    UnsupportedByHostError,
    UnsupportedOperationError,
    UserError,
)
from authkit.masking import Secret
from authkit.wire.errors import (
    decode_error,
    encode_check_error,
    encode_error,
    error_response,
    is_expected,
    storage_error,
)
from authkit.wire.pb.backend_pb2 import ProtoError

READ_ONLY = "cannot write to readonly storage"


def all_kinds(base: type[LogicalError] = LogicalError) -> Iterator[type[LogicalError]]:
    """Return the class and everything below it in authkit that has a number of its own."""
    yield base
    for kind in base.__subclasses__():
        if kind.__module__ == "authkit.errors" and "err_type" in vars(kind):
            yield from all_kinds(kind)


def make(kind: type[LogicalError]) -> LogicalError:
    """Return an error of the class."""
    return kind(451, "some text") if issubclass(kind, CodedError) else kind("some text")


@pytest.mark.parametrize("kind", list(all_kinds()))
def test_every_error_comes_back_as_itself(kind: type[LogicalError]) -> None:
    """Each class has its number, and the number its class; the fixed texts are the host's."""
    message = encode_error(make(kind))
    assert message.err_type == kind.err_type
    assert message.err_msg == "some text"
    decoded = decode_error(message)
    assert type(decoded) is kind
    assert str(decoded) == (kind.fixed_text or "some text")


@pytest.mark.parametrize("kind", list(all_kinds()))
def test_an_authors_subclass_has_the_kind_of_its_base(kind: type[LogicalError]) -> None:
    """Errors are recognised by what they are, not by their exact class."""
    own = type("Own", (kind,), {})
    message = encode_error(make(own))
    assert message.err_type == kind.err_type
    assert message.err_code == (451 if issubclass(kind, CodedError) else 0)


def test_every_kind_has_a_class() -> None:
    """The classes cover the numbers that hosts know, one each."""
    assert sorted(kind.err_type for kind in all_kinds()) == list(ErrorKind)


@pytest.mark.parametrize("kind", [11, 255, -1, None, "5", 5, ErrorKind.CODED, StatusCode.OK])
def test_no_other_kind_can_be_sent(kind: object) -> None:
    """A class that claims a kind of its own is an internal error: a host would take it for success."""
    own = type("Own", (LogicalError,), {"err_type": kind})
    message = encode_error(own("text"), "neutral")
    assert (message.err_type, message.err_msg, message.err_code) == (ErrorKind.INTERNAL, "neutral", 0)
    assert not is_expected(own("text"))


@pytest.mark.parametrize("status", [0, 200, 399, 600, None, "404"])
def test_a_coded_error_has_an_error_status(status: object) -> None:
    """A status that was changed later on to one that is no error does not go out."""
    error = CodedError(404, "text")
    error.status = status  # type: ignore[assignment]
    message = encode_error(error, "neutral")
    assert (message.err_type, message.err_msg, message.err_code) == (ErrorKind.INTERNAL, "neutral", 0)


@pytest.mark.parametrize("status", [400, 599])
def test_every_error_status_goes_out(status: int) -> None:
    """The first and the last."""
    message = encode_error(CodedError(status, "text"), "neutral")
    assert (message.err_type, message.err_msg, message.err_code) == (ErrorKind.CODED, "text", status)


@pytest.mark.parametrize(
    "exc",
    [
        ValueError("secret detail"),
        StorageError("secret detail"),
        SystemViewError("secret detail"),
        UnsupportedByHostError("secret detail"),
        BrokerError("secret detail"),
        HostGoneError("secret detail"),
        RPCError(StatusCode.UNKNOWN, "secret detail"),
        AuthKitError("secret detail"),
        SystemExit("secret detail"),
        RecursionError("secret detail"),
        ExceptionGroup("secret detail", [ValueError("secret detail")]),
    ],
)
def test_a_fault_has_a_neutral_text(exc: BaseException) -> None:
    """What went wrong inside is not told outside."""
    message = encode_error(exc, "internal error (request 1)")
    assert (message.err_type, message.err_msg) == (ErrorKind.INTERNAL, "internal error (request 1)")
    assert error_response(exc) is None
    assert not is_expected(exc)


@pytest.mark.parametrize(("kind", "code"), [(11, 0), (99, 404), (3, 399), (3, 600), (3, 0)])
def test_a_kind_that_nobody_knows_is_no_success(kind: int, code: int) -> None:
    """Vault takes it for none; our host does not."""
    error = decode_error(ProtoError(err_type=kind, err_msg="text", err_code=code))
    assert type(error) is InternalError
    assert str(kind) in str(error)


def test_read_only_keeps_its_text() -> None:
    """A host that can forward a request recognises the text, which is therefore the host's own."""
    text = f"1 error occurred:\n\t* {READ_ONLY}\n\n"
    message = encode_error(storage_error(text))
    assert (message.err_type, message.err_msg) == (ErrorKind.UNKNOWN, text)
    assert is_expected(storage_error(text))


def test_read_only_shows_through_a_fault_that_it_caused() -> None:
    """A fault raised from a read-only error is forwarded as well; a deliberate answer stands."""
    cause = ReadOnlyError(READ_ONLY)
    for wrapper in (ValueError("x"), InternalError("x"), StorageError("x")):
        wrapper.__cause__ = cause
        assert encode_error(wrapper).err_msg == READ_ONLY
    denied = PermissionDeniedError()
    denied.__cause__ = cause
    assert encode_error(denied).err_type == ErrorKind.PERMISSION_DENIED


def test_a_circle_of_causes_ends() -> None:
    """Causes that point at each other do not hang the process."""
    one, other = ValueError("1"), ValueError("2")
    one.__cause__, other.__cause__ = other, one
    assert encode_error(one, "neutral").err_msg == "neutral"


def test_an_error_that_cannot_be_shown() -> None:
    """An exception whose own text fails, is empty, or is no Unicode still becomes an error."""

    class Broken(InternalError):
        def __str__(self) -> str:
            raise RuntimeError("no")

    class Empty(UserError):
        def __str__(self) -> str:
            return ""

    assert encode_error(Broken(), "neutral").err_msg == "neutral"
    assert encode_error(Empty(), "neutral").err_msg == "neutral"
    assert error_response(Empty()).data == {"error": "the request was refused"}
    assert encode_error(UserError("a\ud800b")).err_msg == "a?b"


def test_the_secrets_of_the_request_are_masked_and_no_others() -> None:
    """A text that repeats them goes out without; what else lives in the process changes nothing."""
    pin, other = Secret("tr0ub4dor&3"), Secret("correct horse battery")
    text = f"not {pin.reveal()}, {other.reveal()}"
    own = (pin.reveal(),)
    for message in (
        encode_error(BadRequestError(text), own_secrets=own).err_msg,
        encode_error(InternalError(text), own_secrets=own).err_msg,
        encode_check_error(BadRequestError(text), own_secrets=own).err_msg,
        error_response(UserError(text), own).data["error"],
    ):
        assert message == f"not [masked], {other.reveal()}"


@pytest.mark.parametrize(
    ("exc", "text"),
    [
        (UserError("wrong"), "wrong"),
        (LoginError("denied", "no such role"), "denied"),
        (
            FieldError("ttl", "not a duration"),
            'Field validation failed: error converting input for field "ttl": not a duration',
        ),
    ],
)
def test_the_callers_mistakes_are_error_responses(exc: Exception, text: str) -> None:
    """A mistake of the caller's is a response with its text, which a host shows as HTTP 400."""
    response = error_response(exc)
    assert response.data == {"error": text}
    assert response.is_error
    assert is_expected(exc)


@pytest.mark.parametrize(
    ("exc", "kind", "text"),
    [
        (FieldError("ttl", "not a duration"), 1, 'error converting input for field "ttl": not a duration'),
        (UserError("wrong"), 1, "wrong"),
        (LoginError("denied", "no such role"), 1, "denied"),
        (BadRequestError("bad"), 1, "bad"),
        (UnsupportedOperationError(), 5, "unsupported operation"),
        (PermissionDeniedError("no"), 8, "no"),
        (ValueError("detail"), 2, "neutral"),
    ],
)
def test_bad_input_of_an_existence_check_is_a_user_error(exc: Exception, kind: int, text: str) -> None:
    """There a host shows the text of user errors only."""
    message = encode_check_error(exc, "neutral")
    assert (message.err_type, message.err_msg) == (kind, text)


@given(st.integers(0, 2**32 - 1), st.text(max_size=5), st.integers(-(2**63), 2**63 - 1))
def test_no_error_of_a_backend_decodes_to_success(kind: int, text: str, code: int) -> None:
    """Whatever number a backend sends is an error to a host in Python."""
    decoded = decode_error(ProtoError(err_type=kind, err_msg=text, err_code=code))
    assert isinstance(decoded, LogicalError)
    if kind > 10 or (kind == 3 and not 400 <= code <= 599):
        assert type(decoded) is InternalError


def test_no_error_is_none() -> None:
    """Only the absence of the message means success."""
    assert decode_error(None) is None
    assert decode_error(ProtoError()) is not None


def test_storage_texts_are_told_apart_in_one_place() -> None:
    """Read-only is recognised anywhere in the text, anything else is a plain storage error."""
    assert type(storage_error(f"x: {READ_ONLY}!")) is ReadOnlyError
    assert type(storage_error("cannot write to storage during setup")) is StorageError
