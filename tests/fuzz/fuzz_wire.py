"""What a server sends: calls of a backend, messages of the broker, answers of storage and system view."""

from __future__ import annotations

import inspect
import json
from collections.abc import AsyncIterator, Iterable, Mapping
from datetime import timedelta
from typing import Any

from factories import mount_config
from fuzz_target import Fields, Taker, Target, check, joined, of_function, within
from google.protobuf.message import DecodeError
from shared_pin import SharedPIN

from authkit.errors import BrokerError, RPCError, StatusCode, StorageError, SystemViewError
from authkit.logical import BackendConfig, BackendFactory, BackendType, Operation, RotationJob, StorageEntry
from authkit.plugin.pb.broker_pb2 import ConnInfo
from authkit.plugin.services.broker import Broker, address_of
from authkit.plugin.services.controller import Controller, Health
from authkit.plugin.services.open_calls import OpenCalls
from authkit.rpc import Address, CallContext, Channel
from authkit.wire.backend import BackendService
from authkit.wire.host_services import HostStorage, HostSystemView
from authkit.wire.pb import backend_pb2 as pb

__all__ = ["GUIDED_BY", "TARGETS", "Answering", "call_service"]

GUIDED_BY = ("authkit.wire", "authkit.framework", "authkit.auth", "authkit.plugin.services", "shared_pin")
"""Whose branches guide the fuzzer: measuring all of authkit would take most of the time."""

PIN = "2468-1357"
REPLIES: Mapping[str, Any] = {
    "Setup": pb.SetupReply,
    "HandleRequest": pb.HandleRequestReply,
    "HandleExistenceCheck": pb.HandleExistenceCheckReply,
    "Initialize": pb.InitializeReply,
    "InvalidateKey": pb.Empty,
    "SpecialPaths": pb.SpecialPathsReply,
    "Cleanup": pb.Empty,
    "Type": pb.TypeReply,
}
METHODS = list(REPLIES)
OPERATIONS = list(Operation)
LOGINS = (Operation.CREATE, Operation.UPDATE, Operation.READ)
MOUNTS_KEPT = 500
"""Cases that one set of mounts serves: what they write must not add up."""


class Answering:
    """A host's connection that answers every call with the same bytes or error."""

    def __init__(self, answer: bytes | Exception = b"") -> None:
        self.answer = answer

    async def ready(self, timeout: timedelta) -> None:
        """Be connected."""

    async def call(self, path: str, request: bytes, **options: Any) -> bytes:
        """Answer."""
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def close(self) -> None:
        """Do nothing."""


async def call_service(methods: Mapping[str, Any], path: str, data: bytes, mount: str) -> bytes | None:
    """Return a service's answer, `None` where it ends a call with a status."""
    try:
        answer = methods[path](data, CallContext(path, {"multiplex_id": [mount]}))
        return await within(answer) if inspect.isawaitable(answer) else answer
    except RPCError as error:
        check(error.code is not StatusCode.OK, "a refusal with the status of a success")
        return None


class Plugin(Taker):
    """A backend with PINs behind the service, on two mounts: one to log in at, one that a case may change."""

    def __init__(self) -> None:
        factory = BackendFactory(build=self._build, backend_type=BackendType.CREDENTIAL, version="v1.0.0")
        self.service = BackendService(factory, self._dial)
        self.methods = {method.path: method.handler for method in self.service.methods()}
        self.cases = 0

    def _build(self, config: BackendConfig) -> SharedPIN:
        return SharedPIN(mount_config())

    async def _dial(self, broker_id: int) -> Channel:
        return Answering()

    async def begin(self) -> None:
        """Set both mounts up."""
        for mount in ("login", "other"):
            await self.call("Setup", pb.SetupArgs(broker_id=1).SerializeToString(), mount)
            await self.call("Initialize", b"", mount)
            for path, body in (("config", {"wrong_pins": 10**9}), ("role/ops", {"pin": PIN})):
                request = pb.Request(operation="create", path=path, data=json.dumps(body))
                await self.call(
                    "HandleRequest", pb.HandleRequestArgs(request=request).SerializeToString(), mount
                )

    async def call(self, method: str, data: bytes, mount: str) -> bytes | None:
        """Call a method of the backend's."""
        return await call_service(self.methods, f"/pb.Backend/{method}", data, mount)

    async def take(self, case: bytes) -> None:
        """Make one call, built from the case, or with the case as its message."""
        if self.cases % MOUNTS_KEPT == 0:
            await self.begin()
        self.cases += 1
        fields = Fields(case, 3)
        method = METHODS[fields.choices[0] % len(METHODS)]
        is_raw = fields.choices[0] >= 128
        request = None if is_raw else _request(fields)
        data = fields.rest if request is None else _message(method, request, fields)
        is_login = method == "HandleRequest" and request is not None and request.path.startswith("login")
        reply = await self.call(method, data, "login" if is_login else "other")
        if reply is None:
            return
        message = REPLIES[method].FromString(reply)
        if method == "HandleRequest":
            self._judge(message, pb.HandleRequestArgs.FromString(data).request)

    def _judge(self, reply: pb.HandleRequestReply, request: pb.Request) -> None:
        granted = reply.response.HasField("auth")
        check(not (reply.HasField("err") and reply.HasField("response")), "an answer and an error")
        if not granted or request.HasField("auth"):
            return
        body = json.loads(request.data or "null")
        check(isinstance(body, dict), "a grant without a body")
        check(request.path.strip("/") == "login", f"a grant on {request.path!r}")
        check(request.operation in LOGINS and request.unauthenticated, "a grant that is no login")
        check(body.get("pin") == PIN and body.get("role") is not None, "a grant without the PIN")


def _request(fields: Fields) -> pb.Request:
    flags = fields.choices[2]
    request = pb.Request(
        id="r" * (flags & 1),
        operation=OPERATIONS[fields.choices[1] % len(OPERATIONS)],
        path=fields.text(0),
        data=fields.text(1),
        unauthenticated=not flags & 2,
        mount_point=fields.text(2),
    )
    if flags & 4:
        request.connection.remote_addr = fields.text(3)
    if flags & 8:
        request.auth.internal_data = fields.text(4)
    if flags & 16:
        request.secret.internal_data = fields.text(4)
    if flags & 32:
        request.headers[fields.text(3)].header.append(fields.text(4))
    return request


def _message(method: str, request: pb.Request, fields: Fields) -> bytes:
    if method == "HandleRequest":
        return pb.HandleRequestArgs(request=request).SerializeToString()
    if method == "HandleExistenceCheck":
        return pb.HandleExistenceCheckArgs(request=request).SerializeToString()
    if method == "InvalidateKey":
        return pb.InvalidateKeyArgs(key=fields.text(0)).SerializeToString()
    if method == "Setup":
        args = pb.SetupArgs(broker_id=fields.choices[1], Config={fields.text(0): fields.text(1)})
        return args.SerializeToString()
    return fields.rest


def _backend_seeds() -> Iterable[bytes]:
    handle, create, update = METHODS.index("HandleRequest"), *map(OPERATIONS.index, LOGINS[:2])
    right = json.dumps({"role": "ops", "member": "ann", "pin": PIN}).encode()
    wrong = json.dumps({"role": "ops", "member": "ann", "pin": "1"}).encode()
    for body in (right, wrong, b'{"role":"ops"}', b'{"role":["ops"],"pin":{"a":1e999}}', b"null", b"["):
        yield joined([handle, update, 5], b"login", body, b"auth/pin/", b"192.0.2.1")
    for operation in range(len(OPERATIONS)):
        for path in (b"role/ops", b"role/", b"config", b"", b"login", b"nowhere"):
            yield joined([handle, operation, 1], path, b'{"pin":"x","token_ttl":"1h","left":["a"]}')
    yield joined(
        [handle, OPERATIONS.index(Operation.RENEW), 9],
        b"login",
        b"",
        b"",
        b"",
        b'{"metadata":{"member":"a"}}',
    )
    for method in range(len(METHODS)):
        yield joined([method, create, 1], b"role/ops", b'{"pin":"x"}')
        yield (
            bytes([128 + method, 0, 0])
            + pb.HandleRequestArgs(
                request=pb.Request(operation="update", path="login", data=right.decode())
            ).SerializeToString()
        )


# --- storage and system view -------------------------------------------------------------------

STORAGE = [
    lambda storage: storage.get("a/b"),
    lambda storage: storage.list("a/"),
    lambda storage: storage.list_page("a/", after="b", limit=3),
    lambda storage: storage.put(StorageEntry(key="a", value=b"{}")),
    lambda storage: storage.delete("a"),
]
SYSTEM = [
    lambda system: system.default_lease_ttl(),
    lambda system: system.max_lease_ttl(),
    lambda system: system.tainted(),
    lambda system: system.caching_disabled(),
    lambda system: system.replication_state(),
    lambda system: system.local_mount(),
    lambda system: system.mlock_enabled(),
    lambda system: system.entity_info("e"),
    lambda system: system.groups_for_entity("e"),
    lambda system: system.plugin_env(),
    lambda system: system.cluster_info(),
    lambda system: system.generate_password("p"),
    lambda system: system.wrap_response({"a": 1}, timedelta(seconds=1)),
    lambda system: system.generate_identity_token("a", timedelta(seconds=1)),
    lambda system: system.register_rotation_job(RotationJob(name="n", mount_point="m", path="p")),
    lambda system: system.deregister_rotation_job("m", "p"),
    lambda system: system.rotation_info("p"),
]


async def take_storage_answer(case: bytes) -> None:
    """Ask the storage, with the case as its answer: there is a value, or an error of the storage's."""
    fields = Fields(case, 1)
    try:
        answer = await STORAGE[fields.choices[0] % len(STORAGE)](HostStorage(Answering(fields.rest)))
    except StorageError:
        return
    check(answer is None or isinstance(answer, StorageEntry | list), "an answer of another type")


async def take_system_answer(case: bytes) -> None:
    """Ask the system view: there is a value, or an error of the view's."""
    fields = Fields(case, 1)
    index = fields.choices[0] % len(SYSTEM)
    try:
        answer = await SYSTEM[index](HostSystemView(Answering(fields.rest)))
    except SystemViewError:
        return
    check(index != 11 or answer.reveal(), "an empty password")


def _storage_seeds() -> Iterable[bytes]:
    entry = pb.StorageEntry(key="a/b", value=b'{"a":1}', seal_wrap=True)
    for index, reply in enumerate(
        [
            pb.StorageGetReply(entry=entry),
            pb.StorageListReply(keys=["a", "b/"]),
            pb.StorageListReply(keys=["c"], err="x"),
            pb.StoragePutReply(err="cannot write to readonly storage"),
            pb.StorageDeleteReply(),
        ]
    ):
        yield bytes([index]) + reply.SerializeToString()


def _system_seeds() -> Iterable[bytes]:
    replies = [
        *[pb.TTLReply(TTL=3600 * 10**9)] * 2,
        pb.TaintedReply(tainted=True),
        pb.CachingDisabledReply(disabled=True),
        pb.ReplicationStateReply(state=255),
        pb.LocalMountReply(local=True),
        pb.MlockEnabledReply(enabled=True),
        pb.EntityInfoReply(entity={"ID": "e", "name": "n", "aliases": [{"name": "a"}]}),
        pb.GroupsForEntityReply(groups=[{"ID": "g", "name": "n"}]),
        pb.PluginEnvReply(plugin_environment={"vault_version": "1.21.1"}),
        pb.ClusterInfoReply(cluster_name="c", cluster_id="i"),
        pb.GeneratePasswordFromPolicyReply(password="p"),
        pb.ResponseWrapDataReply(wrap_info={"TTL": 1, "token": "t"}),
        pb.GenerateIdentityTokenResponse(token="t", ttl=1),
        pb.RegisterRotationJobResponse(rotation_id="i"),
        pb.Empty(),
        pb.RotationInfoReply(),
    ]
    for index, reply in enumerate(replies):
        yield bytes([index]) + reply.SerializeToString()


# --- broker, controller, health ----------------------------------------------------------------


async def _messages(parts: Iterable[bytes]) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def take_stream(case: bytes) -> None:
    """Send the case as messages of one stream: it ends, and announced addresses are dialled or refused."""
    fields = Fields(case, 1)
    calls = OpenCalls()
    dialled: list[Address] = []

    def connect(address: Address) -> Channel:
        dialled.append(address)
        return Answering()

    broker = Broker(connect, calls)
    methods = {
        method.path: method.handler
        for method in (*broker.methods(), *Controller(lambda: None).methods(), *Health(calls).methods())
    }
    path = list(methods)[fields.choices[0] % len(methods)]
    if path.endswith(("Shutdown", "Check")):
        try:
            await call_service(methods, path, fields.rest, "")
        except DecodeError:
            return
        return
    parts = fields.rest.split(b"\x1f")
    calls.ended.set() if path.endswith("Watch") else None

    async def read() -> None:
        try:
            async for reply in methods[path](_messages(parts), CallContext(path, {})):
                check(isinstance(reply, bytes), "a reply that is no message")
        except DecodeError:
            return  # ends the stream with a status

    await within(read())
    if path.endswith("StartStream"):
        await _dial_announced(broker, parts, dialled)


async def _dial_announced(broker: Broker, parts: Iterable[bytes], dialled: list[Address]) -> None:
    wanted: dict[int, Address] = {}
    for part in parts:
        try:
            info = ConnInfo.FromString(part)
        except DecodeError:
            break
        if not info.HasField("knock"):
            try:
                wanted[info.service_id] = address_of(info)
            except BrokerError:
                continue
    for service_id, address in wanted.items():
        await within(broker.dial(service_id))
        check(dialled.pop() == address, "another address than the one announced was dialled")


def _stream_seeds() -> Iterable[bytes]:
    known = ConnInfo(service_id=7, network="unix", address="/tmp/x").SerializeToString()
    for info in (
        ConnInfo(service_id=7, network="tcp", address="127.0.0.1:1"),
        ConnInfo(service_id=8, network="udp", address="x"),
        ConnInfo(service_id=9, knock={"knock": True}),
    ):
        yield joined([0], known, info.SerializeToString())
    for index in range(1, 4):
        yield joined([index], b"\x0a\x06plugin")


TARGETS = [
    Target("backend", "every call of a server to a backend", Plugin, _backend_seeds),
    Target("storage", "answers of a server's storage", of_function(take_storage_answer), _storage_seeds),
    Target(
        "system_view", "answers of a server's system view", of_function(take_system_answer), _system_seeds
    ),
    Target("broker", "messages to broker, controller and health", of_function(take_stream), _stream_seeds),
]
