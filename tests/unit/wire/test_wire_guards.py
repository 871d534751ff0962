"""The guards: whatever a backend returns or raises, the host gets something that it can bear."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Coroutine
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wire_fakes import FakeBackend

from authkit.errors import (
    BadRequestError,
    CodedError,
    ErrorKind,
    FieldError,
    InternalError,
    InvalidRequestError,
    LoginError,
    PermissionDeniedError,
    ReadOnlyError,
    StorageError,
    UnrecoverableError,
    UnsupportedOperationError,
    UnsupportedPathError,
    UpstreamError,
    UserError,
)
from authkit.logical import Alias, Auth, LeasedSecret, Operation, RawBody, Request, Response
from authkit.masking import Secret
from authkit.rpc import RevocableReply
from authkit.values import replace
from authkit.wire.failures import contain
from authkit.wire.guards import answer, check_existence, initialize
from authkit.wire.messages import encode_request
from authkit.wire.pb import backend_pb2 as pb

AUTH = Auth(alias=Alias(name="bob"), policies=("p",))
GRANT = Response(auth=AUTH)
FAILURES = [
    ValueError("inner detail"),
    SystemExit(3),
    KeyboardInterrupt(),
    GeneratorExit(),
    RecursionError("inner detail"),
    MemoryError(),
    StopIteration(),
    StorageError("inner detail"),
    InternalError("inner detail"),
    AssertionError("inner detail"),
]


async def ask(reply: Any, operation: str = "update", **fields: Any) -> pb.HandleRequestReply:
    """Return the reply to a request of this operation."""
    request = Request(operation=Operation(operation), **({"mount_point": "auth/x/"} | fields))
    message = encode_request(request)
    return pb.HandleRequestReply.FromString(await answer(FakeBackend(reply), message))


def text_of(reply: pb.HandleRequestReply) -> str:
    """Return the text of an error response."""
    return json.loads(reply.response.data)["error"]


# --- texts -------------------------------------------------------------------------------------


class WithSecretFields(FakeBackend):
    """A backend that knows its secret fields, or fails to."""

    def __init__(self, reply: Any, known: Any) -> None:
        super().__init__(reply, exists=reply)
        self.known = known

    def secret_texts(self, request: Request) -> Any:
        """Return what was given, or raise it."""
        if isinstance(self.known, BaseException):
            raise self.known
        return self.known


@pytest.mark.parametrize(
    ("known", "shown"),
    [
        (("hunter2",), "no [masked] here"),
        ((), "no hunter2 here"),
        (KeyError(), "internal error (request r-1)"),
    ],
)
async def test_a_text_is_shown_without_the_secrets_of_its_request(known: Any, shown: str) -> None:
    """Of requests and existence checks; where they are not known the client reads no text at all."""
    message = encode_request(Request(operation=Operation.UPDATE, id="r-1"))
    backend = WithSecretFields(BadRequestError("no hunter2 here"), known)
    assert pb.HandleRequestReply.FromString(await answer(backend, message)).err.err_msg == shown
    check = await check_existence(backend, message)
    assert pb.HandleExistenceCheckReply.FromString(check).err.err_msg == shown


# --- faults ------------------------------------------------------------------------------------


@pytest.mark.parametrize("exc", [exc for exc in FAILURES if type(exc) is not InternalError], ids=repr)
@pytest.mark.parametrize("operation", ["update", "read", "list", "renew", "rollback", "alias-lookahead"])
async def test_any_exception_is_a_neutral_error(
    exc: BaseException, operation: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The caller reads a reference, the log has the cause under the same one."""
    reply = await ask(exc, operation, id="" if operation == "alias-lookahead" else "r-1", path="a/b")
    assert not reply.HasField("response")
    assert reply.err.err_type == ErrorKind.INTERNAL
    record = caplog.records[-1]
    assert reply.err.err_msg == f"internal error (request {record.kv['request_id']})"
    assert record.exc_info is not None
    assert record.kv | {"request_id": ""} == {
        "request_id": "",
        "mount": "auth/x/",
        "operation": operation,
        "path": "a/b",
    }
    assert record.levelno == logging.ERROR
    if operation != "alias-lookahead":
        assert record.kv["request_id"] == "r-1"


async def test_a_request_without_id_gets_a_reference() -> None:
    """Two faults without request id are told apart."""
    texts = {(await ask(ValueError("x"), "rollback")).err.err_msg for _ in range(5)}
    assert len(texts) == 5


async def test_a_raised_internal_error_shows_its_text_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """What an author writes for the caller arrives; the cause is in the log."""
    reply = await ask(InternalError("the upstream is down"))
    assert (reply.err.err_type, reply.err.err_msg) == (ErrorKind.INTERNAL, "the upstream is down")
    assert len(caplog.records) == 1


class Hanging(FakeBackend):
    """A backend that never answers."""

    async def _hang(self, *_: Any) -> Any:
        await asyncio.get_running_loop().create_future()

    handle_request = handle_existence_check = initialize = _hang


async def cancelled(call: Coroutine[Any, Any, Any]) -> bool:
    """Whether a call that is cancelled while it waits ends as cancelled."""
    task = asyncio.ensure_future(call)
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    return task.cancelled()


async def test_cancellation_passes() -> None:
    """A call that its client cancels stays cancelled."""
    backend = Hanging()
    assert await cancelled(answer(backend, _message("update")))
    assert await cancelled(check_existence(backend, _message("update")))
    assert await cancelled(initialize(backend, "m"))
    assert await cancelled(contain(backend.initialize, "it failed", "m"))


async def test_a_cancellation_of_the_handler_s_own_is_a_fault() -> None:
    """It comes from a task or future of the author's; passed on, nobody would ever be answered."""
    result = await ask(asyncio.CancelledError(), id="r-1")
    assert result.err.err_msg == "internal error (request r-1)"
    data = await check_existence(FakeBackend(exists=asyncio.CancelledError()), _message("update"))
    assert pb.HandleExistenceCheckReply.FromString(data).err.err_type == ErrorKind.INTERNAL
    backend = FakeBackend()
    backend.initialize_result = asyncio.CancelledError()
    data = await initialize(backend, "m")
    assert pb.InitializeReply.FromString(data).err.err_type == ErrorKind.INTERNAL


@pytest.mark.parametrize("reply", ["text", 7, {"a": 1}, pb.Response(), [], True, AUTH, Response], ids=repr)
async def test_anything_but_a_response_is_a_fault(reply: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A handler that returns the wrong thing fails, it does not succeed silently."""
    result = await ask((lambda _: reply) if reply is Response else reply, id="r-1")
    assert (result.err.err_type, result.err.err_msg) == (2, "internal error (request r-1)")
    assert "not a Response" in str(caplog.records[-1].exc_info[1])


async def test_a_backend_that_is_not_asynchronous_is_a_fault() -> None:
    """A plain method in place of a coroutine fails the request, not the process."""

    class Plain(FakeBackend):
        def handle_request(self, request: Request) -> Response:  # type: ignore[override]
            return GRANT

    reply = pb.HandleRequestReply.FromString(await answer(Plain(), _message("update")))
    assert reply.err.err_type == ErrorKind.INTERNAL


async def test_a_response_that_cannot_be_sent_is_a_fault(caplog: pytest.LogCaptureFixture) -> None:
    """The place is in the log, the caller learns nothing."""
    pin = Secret("hunter2-hunter2")
    reply = await ask(Response(data={"a": {"pin": pin}}), "read", id="r-1")
    assert (reply.err.err_type, reply.err.err_msg) == (2, "internal error (request r-1)")
    assert str(caplog.records[-1].exc_info[1]) == "data.a.pin: a Secret is never sent"


# --- answers -----------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [5, True, ["text"], {"text": "x"}], ids=str)
async def test_an_error_that_is_not_a_text_is_a_fault(error: Any, caplog: pytest.LogCaptureFixture) -> None:
    """OpenBao would drop the client's connection."""
    reply = await ask(Response(data={"error": error}), id="r-1")
    assert not reply.HasField("response")
    assert (reply.err.err_type, reply.err.err_msg) == (2, "internal error (request r-1)")
    assert str(caplog.records[-1].exc_info[1]).endswith("not a text")


async def test_plain_answers_pass() -> None:
    """Data, an empty response and nothing arrive as they are."""
    assert json.loads((await ask(Response(data={"a": 1}), "read")).response.data) == {"a": 1}
    empty = await ask(Response(), "update")
    assert (empty.HasField("response"), empty.response.data) == (True, "null")
    nothing = await ask(None, "delete")
    assert not nothing.HasField("response")
    assert not nothing.HasField("err")


@pytest.mark.parametrize(
    ("exc", "text"),
    [
        (UserError("wrong"), "wrong"),
        (LoginError("denied", "detail"), "denied"),
        (FieldError("f", "r"), 'Field validation failed: error converting input for field "f": r'),
    ],
)
async def test_a_callers_mistake_is_an_error_response(exc: Exception, text: str) -> None:
    """It is a response, not an error."""
    reply = await ask(exc)
    assert text_of(reply) == text
    assert not reply.HasField("err")


async def test_the_detail_of_a_refused_login_is_logged_only(caplog: pytest.LogCaptureFixture) -> None:
    """The operator finds out why, the caller does not."""
    caplog.set_level(logging.INFO)
    reply = await ask(LoginError("denied", "group missing"), id="r-1")
    assert text_of(reply) == "denied"
    record = caplog.records[-1]
    assert (record.levelno, record.kv["reason"], record.kv["request_id"]) == (
        logging.INFO,
        "group missing",
        "r-1",
    )


async def test_the_cause_of_an_upstream_error_is_logged_only(caplog: pytest.LogCaptureFixture) -> None:
    """The caller reads that a service failed, the operator how; not at any length."""
    error = UpstreamError("the desk cannot be asked")
    error.__cause__ = TimeoutError("x" * 1000)
    reply = await ask(error, id="r-1")
    assert b"TimeoutError" not in reply.SerializeToString()
    record = caplog.records[-1]
    assert (record.levelno, record.kv["request_id"]) == (logging.WARNING, "r-1")
    assert record.kv["error"] == f"TimeoutError: {'x' * 1000}"[:500]


@pytest.mark.parametrize(
    ("exc", "kind", "text", "code"),
    [
        (PermissionDeniedError("no"), 8, "no", 0),
        (UnsupportedOperationError(), 5, "unsupported operation", 0),
        (BadRequestError("bad"), 4, "bad", 0),
        (CodedError(429, "slow down"), 3, "slow down", 429),
        (ReadOnlyError("cannot write to readonly storage"), 0, "cannot write to readonly storage", 0),
    ],
)
async def test_a_deliberate_error_keeps_its_kind(
    exc: Exception, kind: int, text: str, code: int, caplog: pytest.LogCaptureFixture
) -> None:
    """It is sent as it is and logged nowhere."""
    reply = await ask(exc)
    assert (reply.err.err_type, reply.err.err_msg, reply.err.err_code) == (kind, text, code)
    assert not reply.HasField("response")
    assert not caplog.records


@pytest.mark.parametrize(("data", "kind"), [("[]", 4), ("", 4), ('{"a": ' + "[" * 9999, 4)])
async def test_unreadable_data_is_refused_before_the_backend(data: str, kind: int) -> None:
    """A bad request never reaches the backend."""
    backend = FakeBackend(GRANT)
    message = pb.Request(operation="update", data=data, unauthenticated=True)
    reply = pb.HandleRequestReply.FromString(await answer(backend, message))
    assert reply.err.err_type == kind
    assert not reply.HasField("response")
    assert not backend.requests


@pytest.mark.parametrize("message", [pb.Request(), pb.Request(operation="delegate", data="null")])
async def test_an_unknown_operation_is_refused_before_the_backend(message: pb.Request) -> None:
    """A verb that we do not know is unsupported."""
    backend = FakeBackend(GRANT)
    reply = pb.HandleRequestReply.FromString(await answer(backend, message))
    assert reply.err.err_type == ErrorKind.UNSUPPORTED_OPERATION
    assert not backend.requests


# --- grants ------------------------------------------------------------------------------------


@pytest.mark.parametrize("operation", ["create", "update", "read"])
async def test_a_login_may_grant(operation: str) -> None:
    """On a path without token these operations log in."""
    reply = await ask(GRANT, operation, unauthenticated=True)
    assert reply.response.auth.alias.name == "bob"
    assert reply.response.data == "null"
    assert not reply.HasField("err")


async def test_a_renewal_may_grant() -> None:
    """A host's renewal brings the auth that is to be renewed."""
    assert (await ask(GRANT, "renew", auth=AUTH)).response.HasField("auth")


@pytest.mark.parametrize("operation", sorted(Operation))
async def test_nothing_else_may_grant(operation: str) -> None:
    """With a token, or by another operation, an auth is a fault and not sent."""
    login = operation in ("create", "update", "read")
    reply = await ask(GRANT, operation, unauthenticated=not login, path="login")
    # Only a lookahead of the host's own, which has no id, gets an auth: the name alone.
    if operation == "alias-lookahead":
        assert reply.response.auth == pb.Auth(
            alias={"name": "bob"},
            internal_data="{}",
            lease_options=reply.response.auth.lease_options,
        )
    else:
        assert not reply.response.HasField("auth")
        assert reply.HasField("err")


@given(
    st.sampled_from(Operation), st.booleans(), st.booleans(), st.booleans(), st.sampled_from(["", "login"])
)
def test_an_auth_never_stands_beside_an_error(
    operation: Operation, unauthenticated: bool, renews: bool, has_id: bool, path: str
) -> None:
    """Whatever is asked and whatever goes wrong: either a grant or an error."""
    request = Request(
        operation=operation,
        unauthenticated=unauthenticated,
        auth=AUTH if renews else None,
        id="r-1" if has_id else "",
        path=path,
    )
    for result in (GRANT, None, UserError("x"), ValueError("x"), Response.error("x")):
        data = asyncio.run(answer(FakeBackend(result), encode_request(request)))
        reply = pb.HandleRequestReply.FromString(data)
        if reply.response.HasField("auth"):
            assert result is GRANT
            assert not reply.HasField("err")
            assert "error" not in reply.response.data


async def test_a_leased_secret_needs_a_token() -> None:
    """On a path without token a secret is a fault: a host refuses it."""
    response = Response(secret=LeasedSecret())
    assert (await ask(response, "read", unauthenticated=True)).err.err_type == 2
    assert (await ask(response, "read")).response.HasField("secret")


# --- renewal -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "reply", [None, Response(), Response(data={"a": 1}), Response(raw=RawBody(status=204))]
)
async def test_a_renewal_is_never_quiet(reply: Any) -> None:
    """Neither granted nor refused is a fault."""
    result = await ask(reply, "renew", auth=AUTH)
    assert result.err.err_type == ErrorKind.INTERNAL
    assert not result.HasField("response")


async def test_a_renewal_may_be_refused() -> None:
    """A refusal arrives as it is."""
    assert text_of(await ask(Response.error("no longer"), "renew", auth=AUTH)) == "no longer"


@pytest.mark.parametrize("reply", [None, Response(), Response(data={"a": 1})])
async def test_a_lease_is_never_renewed_quietly(reply: Any) -> None:
    """A host would answer 204 and leave the lease as it is."""
    result = await ask(reply, "renew", secret=LeasedSecret())
    assert result.err.err_type == ErrorKind.INTERNAL
    assert not result.HasField("response")


@pytest.mark.parametrize(
    ("operation", "reply"),
    [
        ("renew", Response(secret=LeasedSecret())),
        ("renew", Response(secret=LeasedSecret(), data={"a": 1})),
        ("revoke", None),
        ("revoke", Response(data={"a": 1})),
    ],
)
async def test_a_lease_is_renewed_and_revoked(operation: str, reply: Any) -> None:
    """What a host expects arrives as it is, whatever else the answer holds."""
    result = await ask(reply, operation, secret=LeasedSecret())
    assert not result.HasField("err")
    assert result.response.HasField("secret") is (operation == "renew")


@pytest.mark.parametrize("operation", ["renew", "revoke"])
async def test_refusals_about_a_lease_are_errors(operation: str) -> None:
    """An error response would reach the client as a dump of it."""
    for refusal in (Response.error("no longer"), UserError("no longer")):
        result = await ask(refusal, operation, secret=LeasedSecret())
        assert (result.err.err_type, result.err.err_msg) == (ErrorKind.USER, "no longer")
        assert not result.HasField("response")


async def test_a_refused_revocation_strands_no_lease() -> None:
    """After some kinds of errors a host would not try again."""
    for error in (UnsupportedOperationError(), UnsupportedPathError(), InvalidRequestError()):
        result = await ask(error, "revoke", secret=LeasedSecret())
        assert (result.err.err_type, result.err.err_msg) == (ErrorKind.UNKNOWN, str(error))
    on_purpose = await ask(UnrecoverableError(), "revoke", secret=LeasedSecret())
    assert on_purpose.err.err_type == ErrorKind.UNRECOVERABLE


async def test_who_answers_is_told_when_the_answer_leaves() -> None:
    """And not when it cannot be sent."""
    told: list[str] = []
    await ask(Response(data={"a": 1}, on_sent=lambda: told.append("sent")), "read")
    await ask(Response(data={"a": object()}, on_sent=lambda: told.append("unsendable")), "read")
    assert told == ["sent"]


async def test_who_answers_is_told_when_nobody_takes_it() -> None:
    """The reply has it along, or it cannot be sent; for one that says nothing of it, it is plain bytes."""
    told: list[str] = []
    message = encode_request(Request(operation=Operation.READ, mount_point="x/"))
    response = Response(data={"a": 1}, on_untaken=lambda: told.append("untaken"))
    reply = await answer(FakeBackend(response), message)
    assert isinstance(reply, RevocableReply)
    reply.on_untaken()
    assert told == ["untaken"]
    await answer(FakeBackend(replace(response, data={"a": object()})), message)
    assert told == ["untaken", "untaken"]
    assert type(await answer(FakeBackend(Response(data={"a": 1})), message)) is bytes


# --- resolve-role ------------------------------------------------------------------------------


async def test_a_role_is_sent_alone() -> None:
    """Nothing else of the response travels."""
    reply = await ask(Response(data={"role": "dev", "x": 1}, warnings=("w",)), "resolve-role")
    assert reply.response == pb.Response(data='{"role":"dev"}')


@pytest.mark.parametrize(
    "reply",
    [
        None,
        Response(),
        GRANT,
        Response(data={}),
        Response(data={"role": None}),
        Response(data={"role": 7}),
        Response(data={"role": ["a"]}),
        Response(raw=RawBody(status=204)),
        "dev",
        PermissionDeniedError(),
        *FAILURES,
    ],
    ids=repr,
)
async def test_a_role_that_is_not_one_is_an_error(reply: Any) -> None:
    """Vault reads the role of any response unchecked; an error tells it that there is none.

    Only for a backend that answers nothing is it "unsupported", by which a host refuses quotas with roles.
    """
    result = await ask(reply, "resolve-role", path="login")
    assert not result.HasField("response")
    assert (result.err.err_type == ErrorKind.UNSUPPORTED_OPERATION) == (reply is None)
    # An author who raises an InternalError has chosen its text.
    assert "inner detail" not in result.err.err_msg or isinstance(reply, InternalError)


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        (UserError('role "x" could not be found'), 'role "x" could not be found'),
        (LoginError("x"), "x"),
        (FieldError("a", "b"), 'Field validation failed: error converting input for field "a": b'),
        (Response(data={"error": "no role", "data": {"role": "x"}}), "no role"),
    ],
    ids=repr,
)
async def test_a_role_that_is_unknown_is_an_error_response(reply: Any, text: str) -> None:
    """As of the official methods: a host finds no role in it. The error alone travels."""
    result = await ask(reply, "resolve-role", path="login")
    assert not result.HasField("err")
    assert json.loads(result.response.data) == {"error": text}


async def test_unreadable_data_at_resolve_role_is_an_error() -> None:
    """It is asked before anything was checked, with whatever the client sent."""
    message = pb.Request(operation="resolve-role", data="[]")
    reply = pb.HandleRequestReply.FromString(await answer(FakeBackend(), message))
    assert not reply.HasField("response")
    assert reply.err.err_type == ErrorKind.BAD_REQUEST


# --- alias-lookahead ---------------------------------------------------------------------------


async def test_a_lookahead_tells_the_name_alone() -> None:
    """Policies and the rest are left out, data is null."""
    reply = await ask(Response(auth=AUTH, data={"x": 1}), "alias-lookahead")
    assert reply.response.auth.alias.name == "bob"
    assert not reply.response.auth.policies
    assert reply.response.data == "null"


async def test_a_lookahead_by_a_client_is_refused() -> None:
    """The host's own has no id. One with an id would make a token."""
    reply = await ask(GRANT, "alias-lookahead", id="r-1", unauthenticated=True)
    assert not reply.HasField("response")
    assert reply.err.err_type == ErrorKind.UNSUPPORTED_OPERATION


@pytest.mark.parametrize(
    "reply",
    [
        None,
        Response(),
        Response(data={}),
        Response(auth=Auth()),
        Response(auth=Auth(alias=Alias(name=""))),
        Response.error("unknown user"),
        UserError("x"),
        LoginError("x"),
        FieldError("a", "b"),
        UnsupportedOperationError(),
        *FAILURES,
    ],
    ids=repr,
)
async def test_a_lookahead_without_name_is_an_error(reply: Any) -> None:
    """A response without auth, an error response too, would cut the client's connection."""
    result = await ask(reply, "alias-lookahead")
    assert not result.HasField("response")
    assert result.HasField("err")


# --- help --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "reply",
    [None, Response(), GRANT, Response.error("x"), Response(data={}), "text", UserError("x"), *FAILURES],
    ids=repr,
)
async def test_the_roots_help_never_fails(reply: Any) -> None:
    """The whole server's OpenAPI document hangs on it."""
    result = await ask(reply, "help", data={"requestResponsePrefix": "x"})
    assert not result.HasField("err")
    page = json.loads(result.response.data)
    assert page["help"]
    assert "openapi" not in page


async def test_help_pages_pass() -> None:
    """A page arrives as it is, of the root and of a path."""
    page = {"help": "text", "see_also": ["a"], "openapi": {"openapi": "3.0.2"}}
    for path in ("", "login"):
        reply = await ask(Response(data=page), "help", path=path)
        assert json.loads(reply.response.data) == page


async def test_help_of_an_unknown_path_is_an_error() -> None:
    """A host reads the page of a path unchecked, so nothing is no answer."""
    reply = await ask(None, "help", path="nowhere")
    assert reply.err.err_type == ErrorKind.UNSUPPORTED_PATH


# --- lists -------------------------------------------------------------------------------------


@pytest.mark.parametrize("operation", ["list", "scan"])
@pytest.mark.parametrize(
    "keys", ["abc", b"abc", [1], ["a", None], {"a": 1}, 7, [["a"]], {"a"}, False], ids=repr
)
async def test_keys_that_are_no_texts_are_a_fault(
    operation: str, keys: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """A host answers them with an empty error; here the log says what is wrong."""
    reply = await ask(Response(data={"keys": keys}), operation, id="r-1")
    assert (reply.err.err_type, reply.err.err_msg) == (2, "internal error (request r-1)")
    assert "list of texts" in str(caplog.records[-1].exc_info[1])


@pytest.mark.parametrize(
    "data", [None, {}, {"keys": None}, {"keys": []}, {"keys": ["a"]}, {"keys": ("a", "b/")}]
)
async def test_lists_of_texts_pass(data: Any) -> None:
    """Names, no names and no list at all are answers."""
    assert (await ask(Response(data=data), "list")).HasField("response")


async def test_keys_mean_nothing_elsewhere() -> None:
    """The rule is for lists."""
    assert (await ask(Response(data={"keys": 7}), "read")).HasField("response")


# --- the other calls ---------------------------------------------------------------------------


def _message(operation: str, **fields: Any) -> pb.Request:
    return encode_request(Request(operation=Operation(operation), **fields))


@pytest.mark.parametrize(
    ("exists", "expected"),
    [(None, (False, False)), (False, (True, False)), (True, (True, True))],
)
async def test_existence_checks(exists: Any, expected: tuple[bool, bool]) -> None:
    """Nobody can tell, no, and yes."""
    data = await check_existence(FakeBackend(exists=exists), _message("update"))
    reply = pb.HandleExistenceCheckReply.FromString(data)
    assert (reply.check_found, reply.exists) == expected
    assert not reply.HasField("err")


@pytest.mark.parametrize("exists", [0, 1, "", "yes", Response(), *FAILURES], ids=repr)
async def test_a_failed_existence_check_is_an_error(exists: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Neither yes nor no, and the cause is in the log."""
    data = await check_existence(FakeBackend(exists=exists), _message("update", id="r-1"))
    reply = pb.HandleExistenceCheckReply.FromString(data)
    assert (reply.check_found, reply.exists, reply.err.err_type) == (False, False, ErrorKind.INTERNAL)
    assert caplog.records


async def test_unreadable_data_of_an_existence_check_is_a_user_error() -> None:
    """The client learns that its data is bad, rather than of an internal error."""
    message = pb.Request(operation="update", data="[]")
    data = await check_existence(FakeBackend(), message)
    assert pb.HandleExistenceCheckReply.FromString(data).err.err_type == ErrorKind.USER


async def test_initialization() -> None:
    """Success is empty, a failure an error."""
    backend = FakeBackend()
    assert pb.InitializeReply.FromString(await initialize(backend, "m")) == pb.InitializeReply()
    backend.initialize_result = SystemExit()
    assert pb.InitializeReply.FromString(await initialize(backend, "m")).err.err_type == ErrorKind.INTERNAL
    backend.initialize_result = ReadOnlyError("cannot write to readonly storage")
    reply = pb.InitializeReply.FromString(await initialize(backend, "m"))
    assert reply.err.err_msg == "cannot write to readonly storage"


async def test_containment(caplog: pytest.LogCaptureFixture) -> None:
    """A call whose failure nobody reads fails into the log."""

    async def fail() -> None:
        raise SystemExit

    await contain(fail, "it failed", "m")
    assert caplog.records[-1].message == "it failed"
