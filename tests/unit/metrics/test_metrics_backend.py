"""What requests, storage calls and database calls come to, as a host sees them."""

from __future__ import annotations

import asyncio
import inspect
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from recorded_login import record

from authkit import (
    AuthMethod,
    Collection,
    Identity,
    LoginCall,
    PermissionDeniedError,
    Role,
    Secret,
    field,
    login,
)
from authkit.errors import (
    BadRequestError,
    FieldError,
    InternalError,
    InvalidCredentialsError,
    LoginError,
    NotFoundError,
    ReadOnlyError,
    RPCError,
    StatusCode,
    StorageError,
    TooManyRequestsError,
    UnsupportedPathError,
    UpstreamError,
    UserError,
)
from authkit.logical import (
    Alias,
    Auth,
    BackendType,
    LeasedSecret,
    Operation,
    Request,
    Response,
    SpecialPaths,
    StorageEntry,
)
from authkit.metrics.backend import MeasuredAnswers, MeasuredStorage
from authkit.metrics.database import CALLS, measured_methods
from authkit.metrics.plugin_meter import OUTCOMES, PluginMeter, harmless
from authkit.rpc.interface import CallContext, Method, RevocableReply, UnaryMethod
from authkit.testing import Simulator
from authkit.wire.messages import encode_request
from authkit.wire.pb import backend_pb2 as pb
from authkit.wire.pb import database_pb2


class OneAnswer:
    """A backend that answers all requests alike: with a response, or by raising."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def special_paths(self) -> SpecialPaths:
        return SpecialPaths()

    async def handle_request(self, request: Request) -> Any:
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer


def samples(registry: CollectorRegistry, name: str) -> dict[tuple[str, ...], float]:
    """The values of a metric that are not 0, by its labels in the order of their names."""
    found = [each for metric in registry.collect() for each in metric.samples if each.name == name]
    return {tuple(dict(sorted(each.labels.items())).values()): each.value for each in found if each.value}


async def ask(
    meter: PluginMeter,
    answer: Any,
    operation: Operation = Operation.UPDATE,
    *,
    backend_type: BackendType = BackendType.CREDENTIAL,
    **fields: Any,
) -> bytes:
    """Have a backend answer a request without token."""
    request = Request(
        operation=operation, path="login", mount_point="auth/x/", **{"unauthenticated": True} | fields
    )
    answers = MeasuredAnswers(meter, backend_type)
    return await answers(OneAnswer(answer), encode_request(request))  # type: ignore[arg-type]


GRANT = Response(auth=Auth(alias=Alias(name="alice")))


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (GRANT, "granted"),
        (Response(data={"auth_url": "https://op.example"}), "ok"),
        (None, "ok"),
        (Response.error("no such role"), "invalid"),
        (Response(data={"error": "a field of this name", "other": 1}), "ok"),
        (LoginError("wrong"), "denied"),
        (PermissionDeniedError(), "denied"),
        (InvalidCredentialsError(), "denied"),
        (TooManyRequestsError(), "limited"),
        (UserError("wrong"), "invalid"),
        (FieldError("role", "wrong"), "invalid"),
        (BadRequestError("wrong"), "invalid"),
        (NotFoundError(), "invalid"),
        (UnsupportedPathError(), "invalid"),
        (ReadOnlyError("read only"), "forwarded"),
        (UpstreamError(), "error"),
        (StorageError("storage is down"), "error"),
        (InternalError("a fault"), "error"),
        (RuntimeError("a fault"), "error"),
        (SystemExit(1), "error"),
        ("no response at all", "error"),
    ],
)
async def test_what_a_login_comes_to(answer: Any, outcome: str) -> None:
    """Each answer and each error has one outcome."""
    meter = PluginMeter({})
    await ask(meter, answer)
    assert outcome in OUTCOMES
    found = samples(meter.registry, "authkit_requests_total")
    assert found == {("auth/x/", "login", outcome): 1.0}


async def test_a_client_that_leaves_is_no_error() -> None:
    """Its request is cancelled, and the cancellation goes on."""
    meter = PluginMeter({})

    class Waiting(OneAnswer):
        async def handle_request(self, request: Request) -> Any:
            task.cancel()
            await asyncio.get_running_loop().create_future()

    message = encode_request(Request(operation=Operation.READ, path="p", mount_point="auth/x/"))
    answers = MeasuredAnswers(meter, BackendType.CREDENTIAL)
    task = asyncio.ensure_future(answers(Waiting(None), message))  # type: ignore[arg-type]
    with pytest.raises(asyncio.CancelledError):
        await task
    assert samples(meter.registry, "authkit_requests_total") == {("auth/x/", "read", "cancelled"): 1.0}


async def test_a_fault_in_counting_loses_no_answer(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither a grant, nor what takes back a credential that nobody took, nor a refusal; it is told once."""
    meter = PluginMeter({})
    broken = harmless(lambda *args: {}["a fault"])
    monkeypatch.setattr(PluginMeter, "request_answered", lambda *args: {}["a fault"])
    monkeypatch.setattr(PluginMeter, "storage_called", broken)
    taken_back: list[bool] = []
    leased = Response(secret=LeasedSecret(), on_untaken=lambda: taken_back.append(True))
    usual: dict[str, Any] = {"backend_type": BackendType.LOGICAL, "unauthenticated": False}
    assert pb.HandleRequestReply.FromString(await ask(meter, GRANT)).response.HasField("auth")
    reply = await ask(meter, leased, Operation.READ, **usual)
    assert isinstance(reply, RevocableReply)
    reply.on_untaken()
    assert taken_back == [True]
    refused = pb.HandleRequestReply.FromString(await ask(meter, LoginError("wrong")))
    assert not refused.response.HasField("auth")
    storage = MeasuredStorage(Host(pb.StorageGetReply().SerializeToString()), meter)  # type: ignore[arg-type]
    assert await storage.get("key") is None
    assert await storage.get("key") is None
    assert caplog.text.count("something could not be counted") <= 2


@pytest.mark.parametrize(
    ("operation", "fields", "label"),
    [
        (Operation.UPDATE, {}, "login"),
        (Operation.UPDATE, {"unauthenticated": False}, "update"),
        (Operation.LIST, {}, "list"),
        (Operation.RENEW, {}, "renew"),
        (Operation.ROLLBACK, {"unauthenticated": False}, "rollback"),
        (Operation.UPDATE, {"backend_type": BackendType.LOGICAL}, "update"),
    ],
)
async def test_operations_are_those_of_the_host(
    operation: Operation, fields: dict[str, Any], label: str
) -> None:
    """But a request without token to an auth method, which is a login."""
    meter = PluginMeter({})
    await ask(meter, None, operation, **fields)
    assert {labels[1] for labels in samples(meter.registry, "authkit_requests_total")} == {label}


async def test_an_operation_that_nobody_knows_is_no_label() -> None:
    """A host of the future may send one."""
    meter = PluginMeter({})
    answers = MeasuredAnswers(meter, BackendType.CREDENTIAL)
    await answers(OneAnswer(None), pb.Request(operation="x" * 1000, mount_point="auth/x/"))  # type: ignore[arg-type]
    assert {labels[1] for labels in samples(meter.registry, "authkit_requests_total")} == {"other"}


async def test_leases_are_counted() -> None:
    """Given out and revoked; a renewal gives out none, and a revocation that fails ends none."""
    meter = PluginMeter({})
    usual: dict[str, Any] = {"backend_type": BackendType.LOGICAL, "unauthenticated": False}
    secret = LeasedSecret()
    leased = Response(data={"password": "p"}, secret=secret)
    await ask(meter, leased, Operation.READ, **usual)
    await ask(meter, leased, Operation.RENEW, secret=secret, **usual)
    await ask(meter, None, Operation.REVOKE, secret=secret, **usual)
    await ask(meter, InternalError("no"), Operation.REVOKE, secret=secret, **usual)
    assert samples(meter.registry, "authkit_leases_issued_total") == {("auth/x/",): 1.0}
    assert samples(meter.registry, "authkit_leases_revoked_total") == {("auth/x/",): 1.0}


class Host:
    """A channel to a host that answers every call alike."""

    def __init__(self, reply: bytes | BaseException) -> None:
        self.reply = reply

    async def call(self, path: str, request: bytes, **options: Any) -> bytes:
        if isinstance(self.reply, BaseException):
            raise self.reply
        return self.reply


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        (b"", "ok"),
        (pb.StoragePutReply(err="storage is down").SerializeToString(), "failed"),
        (pb.StoragePutReply(err=ReadOnlyError.TEXT).SerializeToString(), "read_only"),
        (RPCError(StatusCode.UNAVAILABLE), "failed"),
        (asyncio.CancelledError(), "cancelled"),
    ],
)
async def test_storage_calls_are_counted(reply: bytes | BaseException, outcome: str) -> None:
    """With what they came to, which the caller gets as before."""
    meter = PluginMeter({})
    storage = MeasuredStorage(Host(reply), meter)  # type: ignore[arg-type]
    calls: dict[str, Callable[[], Awaitable[object]]] = {
        "put": lambda: storage.put(StorageEntry("k", b"")),
        "delete": lambda: storage.delete("k"),
    }
    for call in calls.values():
        if outcome == "ok":
            await call()
        else:
            with pytest.raises((StorageError, asyncio.CancelledError)):
                await call()
    name = "authkit_storage_call_duration_seconds_count"
    assert samples(meter.registry, name) == {(call, outcome): 1.0 for call in calls}


async def test_what_storage_returns_goes_through() -> None:
    """Reads and lists, with pages."""
    meter = PluginMeter({})
    reply = pb.StorageListReply(keys=["b", "a"]).SerializeToString()
    storage = MeasuredStorage(Host(reply), meter)  # type: ignore[arg-type]
    assert await storage.list() == ["a", "b"]
    assert await storage.list_page() == ["a", "b"]
    assert await MeasuredStorage(Host(b""), meter).get("k") is None  # type: ignore[arg-type]
    name = "authkit_storage_call_duration_seconds_count"
    assert samples(meter.registry, name) == {("list", "ok"): 2.0, ("get", "ok"): 1.0}


async def test_database_calls_are_counted() -> None:
    """With what they came to; what the plugin says of itself is not."""

    async def wait(data: bytes, call: CallContext) -> bytes:
        if isinstance(result, BaseException):
            raise result
        if not result:
            await asyncio.get_running_loop().create_future()
        return result

    meter = PluginMeter({})
    paths = [*CALLS, "/dbplugin.v5.Database/Type"]
    methods: list[Method] = [UnaryMethod(path, wait) for path in paths]
    methods.append(UnaryMethod("/dbplugin.v5.Database/Close", lambda data, call: b"at once"))
    measured = measured_methods(methods, meter)
    assert [each.path for each in measured] == [each.path for each in methods]
    for result in (b"reply", RPCError(StatusCode.INTERNAL), b""):
        for method in measured[:-1]:
            assert isinstance(method, UnaryMethod)
            reply = method.handler(b"", CallContext(method.path))
            assert inspect.isawaitable(reply)
            task = asyncio.ensure_future(reply)
            if result == b"reply":
                assert await task == result
                continue
            await asyncio.sleep(0)
            if not task.done():
                task.cancel()
            with pytest.raises((RPCError, asyncio.CancelledError)):
                await task
    last = measured[-1]
    assert isinstance(last, UnaryMethod)
    reply = last.handler(b"", CallContext(last.path))
    assert inspect.isawaitable(reply)
    assert await reply == b"at once"
    found = samples(meter.registry, "authkit_database_call_duration_seconds_count")
    outcomes = ("ok", "failed", "cancelled")
    expected = {(call, outcome): 1.0 for call in CALLS.values() for outcome in outcomes}
    assert found == expected | {("close", "ok"): 2.0}


def test_database_calls_are_those_of_the_service() -> None:
    """A renamed method would go unmeasured."""
    service = database_pb2.DESCRIPTOR.services_by_name["Database"]
    served = {f"/{service.full_name}/{method.name}" for method in service.methods}
    assert served - set(CALLS) == {"/dbplugin.v5.Database/Type"}
    assert set(CALLS) <= served


class Team(Role):
    """A team and its PIN."""

    pin: Secret = field(required=True, help="The PIN.")


class Teams(AuthMethod, name="teams", version="1.0.0"):
    """Log in with a PIN."""

    teams = Collection(Team, "role/{name}")

    @login("login")
    async def log_in(self, call: LoginCall, team: Team, pin: Secret) -> Identity:
        """Log in."""
        if pin != team.pin:
            raise PermissionDeniedError
        return Identity(name=call.role_name)


async def test_where_nobody_asks_nothing_is_called() -> None:
    """Not one function of a login knows of metrics: what nobody reads costs nothing."""
    called: set[str] = set()

    def note(frame: Any, event: str, argument: object) -> None:
        called.add(str(frame.f_globals.get("__name__")))

    async with Simulator(Teams) as vault:
        await vault.write("role/red", pin="1234")
        await vault.login(role="red", pin="1234")
        with record() as messages:
            await vault.login(role="red", pin="1234")
        sys.setprofile(note)
        try:
            await messages.send()
        finally:
            sys.setprofile(None)
    assert "authkit.wire.guards" in called
    assert not [name for name in called if name.startswith(("authkit.metrics", "authkit.meter"))]
