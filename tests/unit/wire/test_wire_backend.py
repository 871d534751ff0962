"""The Backend service: one backend per mount, from setup to cleanup."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

import pytest
from wire_fakes import FakeBackend, FakeChannel, call_of

from authkit.errors import BrokerError, ErrorKind, InternalError, RPCError, StatusCode, UserError
from authkit.logical import (
    BackendConfig,
    BackendFactory,
    BackendType,
    Operation,
    Request,
    Response,
    SpecialPaths,
)
from authkit.masking import Secret
from authkit.rpc.interface import CallContext, UnaryMethod
from authkit.wire import backend as module
from authkit.wire.backend import BackendService
from authkit.wire.messages import encode_request, encode_response
from authkit.wire.pb import backend_pb2 as pb
from authkit.wire.pb.logical_version_pb2 import VersionReply
from authkit.wire.pb.multiplexing_pb2 import MultiplexingSupportResponse


class Plugin:
    """A service with what its factory and its dialling gave out."""

    def __init__(self, *backends: Any, dial: Any = None, **options: Any) -> None:
        self.backends = list(backends)
        self.configs: list[BackendConfig] = []
        self.dialled: list[int] = []
        self.channels: list[FakeChannel] = []
        self.dial_result = dial
        factory = BackendFactory(build=self._build, backend_type=BackendType.CREDENTIAL, version="v1.2.3")
        self.service = BackendService(factory, self._dial, **options)
        self.handlers = {method.path: method.handler for method in self.service.methods()}

    def _build(self, config: BackendConfig) -> Any:
        self.configs.append(config)
        backend = self.backends.pop(0)
        if isinstance(backend, BaseException):
            raise backend
        return backend

    async def _dial(self, broker_id: int) -> FakeChannel:
        self.dialled.append(broker_id)
        if isinstance(self.dial_result, BaseException):
            raise self.dial_result
        channel = FakeChannel(Get=pb.StorageGetReply())
        self.channels.append(channel)
        return channel

    async def call(self, name: str, message: Any = None, call: CallContext | None = None) -> bytes:
        """Call a method as an engine does."""
        path = name if name.startswith("/") else f"/pb.Backend/{name}"
        data = b"" if message is None else message.SerializeToString()
        result = self.handlers[path](data, call_of() if call is None else call)
        return await result if inspect.isawaitable(result) else result

    async def setup(self, mount: str | None = "m1", broker_id: int = 1, **config: str) -> str:
        """Set a mount up and return the error text."""
        args = pb.SetupArgs(broker_id=broker_id, Config=config, backendUUID="uuid")
        return pb.SetupReply.FromString(await self.call("Setup", args, call_of(mount))).err

    async def request(self, mount: str | None = "m1") -> pb.HandleRequestReply:
        """Send a request to a mount."""
        request = encode_request(Request(operation=Operation.READ, path="p"))
        data = await self.call("HandleRequest", pb.HandleRequestArgs(request=request), call_of(mount))
        return pb.HandleRequestReply.FromString(data)


async def test_everything_that_a_host_calls_is_served() -> None:
    """The methods have the paths that hosts use, and nothing else is there."""
    methods = Plugin().service.methods()
    assert all(isinstance(method, UnaryMethod) for method in methods)
    assert sorted(method.path for method in methods) == sorted(
        [
            *(f"/pb.Backend/{method.name}" for method in pb.DESCRIPTOR.services_by_name["Backend"].methods),
            "/logical.PluginVersion/Version",
            "/pluginutil.multiplexing.PluginMultiplexing/MultiplexingSupport",
        ]
    )


async def test_self_description_needs_no_mount() -> None:
    """Type, version and multiplexing are answered before any setup."""
    plugin = Plugin()
    assert pb.TypeReply.FromString(await plugin.call("Type")).type == 2
    version = await plugin.call("/logical.PluginVersion/Version")
    assert VersionReply.FromString(version).plugin_version == "v1.2.3"
    support = await plugin.call("/pluginutil.multiplexing.PluginMultiplexing/MultiplexingSupport")
    assert MultiplexingSupportResponse.FromString(support).supported


async def test_setup_gives_the_backend_its_host() -> None:
    """The broker id is dialled, options and services reach the factory."""
    plugin = Plugin(FakeBackend())
    assert await plugin.setup(broker_id=7, plugin_name="x") == ""
    config = plugin.configs[0]
    assert (plugin.dialled, dict(config.options), config.backend_uuid) == ([7], {"plugin_name": "x"}, "uuid")
    assert await config.storage.get("a") is None
    assert plugin.channels[0].calls


async def test_setup_while_registering() -> None:
    """Empty settings and a storage that always fails are no reason to fail."""
    plugin = Plugin(FakeBackend())
    reply = await plugin.call("Setup", pb.SetupArgs(broker_id=1))
    assert reply == b""
    assert plugin.channels[0].calls == []


async def test_each_mount_has_its_backend() -> None:
    """Calls reach the backend of their multiplex id, without one that of the single slot."""
    backends = [FakeBackend(Response(data={"n": n})) for n in range(3)]
    plugin = Plugin(*backends)
    for mount in ("a", "b", None):
        assert await plugin.setup(mount) == ""
    for index, mount in enumerate(("a", "b", None)):
        assert (await plugin.request(mount)).response.data == f'{{"n":{index}}}'


@pytest.mark.parametrize(
    "name", ["HandleRequest", "HandleExistenceCheck", "Initialize", "InvalidateKey", "SpecialPaths"]
)
async def test_an_unknown_mount_is_a_failed_precondition(name: str) -> None:
    """A call for a mount that was never set up, or is gone, ends with a clear status."""
    plugin = Plugin(FakeBackend())
    await plugin.setup("m1")
    with pytest.raises(RPCError) as caught:
        await plugin.call(name, call=call_of("other"))
    assert caught.value.code is StatusCode.FAILED_PRECONDITION
    assert "no backend is set up" in caught.value.message


async def test_two_multiplex_ids_are_refused() -> None:
    """Nobody knows which mount is meant."""
    plugin = Plugin(FakeBackend())
    with pytest.raises(RPCError) as caught:
        await plugin.call("Initialize", call=call_of("a", "b"))
    assert caught.value.code is StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("name", ["HandleRequest", "HandleExistenceCheck", "Setup", "InvalidateKey"])
async def test_an_unreadable_message_is_an_invalid_argument(name: str) -> None:
    """Bytes that are no message end the call, not the process."""
    plugin = Plugin(FakeBackend())
    await plugin.setup()
    with pytest.raises(RPCError) as caught:
        await plugin.handlers[f"/pb.Backend/{name}"](b"\xff", call_of())
    assert caught.value.code is StatusCode.INVALID_ARGUMENT


# --- setup that fails --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("exc", "text"),
    [
        (BrokerError("timeout waiting for connection info"), "timeout waiting for connection info"),
        (RPCError(StatusCode.UNAVAILABLE, "refused"), "UNAVAILABLE: refused"),
        (ConnectionRefusedError("refused"), "refused"),
    ],
)
async def test_a_host_that_cannot_be_reached(
    exc: Exception, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The operator reads which way failed, the log has the cause."""
    plugin = Plugin(FakeBackend(), dial=exc)
    assert await plugin.setup() == f"the plugin could not connect back to the server: {text}"
    assert caplog.records[-1].exc_info[1] is exc
    assert caplog.records[-1].kv["mount"] == "uuid"


async def test_a_backend_that_cannot_be_built(caplog: pytest.LogCaptureFixture) -> None:
    """Ours say why, others get a reference; the connection is closed again and no mount is left."""
    pin, other = Secret("hunter2-hunter2"), Secret("a secret of another mount")
    refusal = UserError(f"bad option {pin.reveal()}, {other.reveal()}")
    plugin = Plugin(refusal, ValueError("inner detail"), SystemExit())
    text = await plugin.setup(pin=pin.reveal())
    assert text == f"the backend could not be set up: bad option [masked], {other.reveal()}"
    for _ in range(2):
        text = await plugin.setup()
        reference = caplog.records[-1].kv["request_id"]
        assert text == f"the backend could not be set up: internal error (request {reference})"
    assert [channel.closed for channel in plugin.channels] == [1, 1, 1]
    with pytest.raises(RPCError):
        await plugin.request()


async def test_a_setup_that_is_cancelled_stays_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that gives up gets no mount."""
    dialling = asyncio.Event()

    async def dial(broker_id: int) -> Any:
        dialling.set()
        await asyncio.get_running_loop().create_future()

    plugin = Plugin()
    monkeypatch.setattr(plugin.service, "_dial", dial)
    task = asyncio.ensure_future(plugin.setup())
    await dialling.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_backend_that_cancels_itself_is_not_set_up() -> None:
    """Its connection is closed, and the host reads an error."""
    plugin = Plugin(asyncio.CancelledError())
    assert "internal error" in await plugin.setup()
    assert plugin.channels[0].closed == 1


async def test_a_second_setup_replaces_the_first() -> None:
    """The old backend is cleaned up and its connection closed."""
    old, new = FakeBackend(), FakeBackend(Response(data={"new": True}))
    plugin = Plugin(old, new)
    await plugin.setup()
    assert await plugin.setup() == ""
    assert (old.cleaned, new.cleaned) == (1, 0)
    assert [channel.closed for channel in plugin.channels] == [1, 0]
    assert (await plugin.request()).response.data == '{"new":true}'


async def test_a_failed_second_setup_leaves_the_first() -> None:
    """What works is not thrown away for what does not."""
    plugin = Plugin(FakeBackend(Response()), ValueError("x"))
    await plugin.setup()
    assert await plugin.setup() != ""
    assert (await plugin.request()).HasField("response")


async def test_concurrent_setups_leave_one_backend() -> None:
    """Of several setups for one mount the last one stays, all others are cleaned up."""
    backends = [FakeBackend(Response()) for _ in range(5)]
    plugin = Plugin(*backends)
    assert await asyncio.gather(*(plugin.setup() for _ in backends)) == [""] * 5
    assert sum(backend.cleaned for backend in backends) == 4
    assert sum(channel.closed for channel in plugin.channels) == 4


# --- calls -------------------------------------------------------------------------------------


async def test_the_calls_of_a_mount_reach_its_backend() -> None:
    """Initialization, existence check, special paths and invalidation have their replies."""
    backend = FakeBackend(exists=True, paths=SpecialPaths(unauthenticated=("login",), root=("config",)))
    plugin = Plugin(backend)
    await plugin.setup()
    assert await plugin.call("Initialize") == b""
    check = pb.HandleExistenceCheckArgs(request=pb.Request(operation="update", data="null"))
    reply = pb.HandleExistenceCheckReply.FromString(await plugin.call("HandleExistenceCheck", check))
    assert (reply.check_found, reply.exists) == (True, True)
    paths = pb.SpecialPathsReply.FromString(await plugin.call("SpecialPaths")).paths
    assert (list(paths.unauthenticated), list(paths.root)) == (["login"], ["config"])
    assert await plugin.call("InvalidateKey", pb.InvalidateKeyArgs(key="role/a")) == b""
    assert backend.invalidated == ["role/a"]


class Knowing(FakeBackend):
    """A backend that knows where it has no existence check, and fails for the path `odd`."""

    def has_existence_check(self, path: str) -> bool:
        """Say so."""
        if path == "odd":
            raise ValueError("inner detail")
        return path != "login"


@pytest.mark.parametrize(("path", "asked"), [("login", 0), ("role/a", 1), ("odd", 1)])
async def test_a_backend_that_has_no_check_is_not_asked(path: str, asked: int) -> None:
    """The host hears at once that there is none; any doubt goes the long way."""
    backend = Knowing(exists=False)
    plugin = Plugin(backend)
    await plugin.setup()
    check = pb.HandleExistenceCheckArgs(request=pb.Request(operation="update", path=path, data="null"))
    reply = pb.HandleExistenceCheckReply.FromString(await plugin.call("HandleExistenceCheck", check))
    assert (reply.check_found, reply.exists) == (bool(asked), False)
    assert not reply.HasField("err")
    assert len(backend.requests) == asked


async def test_a_failed_invalidation_is_only_logged(caplog: pytest.LogCaptureFixture) -> None:
    """The host does not read the reply."""
    plugin = Plugin(FakeBackend())
    await plugin.setup()
    assert await plugin.call("InvalidateKey", pb.InvalidateKeyArgs(key="bad")) == b""
    assert caplog.records[-1].message == "invalidation failed"


@pytest.mark.parametrize(
    "paths",
    [ValueError("inner detail"), SystemExit(), SpecialPaths(root=(1,)), None, "x"],  # type: ignore[arg-type]
)
async def test_failed_special_paths_open_nothing(paths: Any, caplog: pytest.LogCaptureFixture) -> None:
    """The reply has no place for an error, so the call fails, neutrally."""
    backend = FakeBackend()
    backend.paths = paths
    plugin = Plugin(backend)
    await plugin.setup()
    with pytest.raises(RPCError) as caught:
        await plugin.call("SpecialPaths")
    assert caught.value.code is StatusCode.INTERNAL
    assert caught.value.message == f"internal error (request {caplog.records[-1].kv['request_id']})"


async def test_a_request_without_content_is_refused() -> None:
    """An empty message has no operation."""
    plugin = Plugin(FakeBackend())
    await plugin.setup()
    reply = pb.HandleRequestReply.FromString(await plugin.call("HandleRequest"))
    assert reply.err.err_type == ErrorKind.UNSUPPORTED_OPERATION


@pytest.mark.parametrize("name", ["HandleRequest", "HandleExistenceCheck", "Initialize", "InvalidateKey"])
async def test_metadata_mode_only_describes(name: str) -> None:
    """In the probe of protocol 4 no work is done."""
    backend = FakeBackend()
    plugin = Plugin(backend, metadata_mode=True)
    assert await plugin.setup(None) == ""
    with pytest.raises(RPCError) as caught:
        await plugin.call(name, call=call_of(None))
    assert caught.value.message == "plugin server can not perform action while in metadata mode"
    assert backend.requests == []
    assert pb.SpecialPathsReply.FromString(await plugin.call("SpecialPaths", call=call_of(None))).HasField(
        "paths"
    )
    assert await plugin.call("Cleanup", call=call_of(None)) == b""
    assert backend.cleaned == 1


# --- the end -----------------------------------------------------------------------------------


async def test_cleanup_ends_a_mount() -> None:
    """The backend is told, the connection closed; a second time and for unknown mounts nothing happens."""
    backend = FakeBackend()
    plugin = Plugin(backend)
    await plugin.setup()
    for mount in ("m1", "m1", "other", None):
        assert await plugin.call("Cleanup", call=call_of(mount)) == b""
    assert (backend.cleaned, plugin.channels[0].closed) == (1, 1)
    with pytest.raises(RPCError):
        await plugin.request()


@pytest.mark.parametrize("exc", [ValueError("x"), SystemExit(), InternalError("x")])
async def test_a_failed_cleanup_closes_the_connection_all_the_same(
    exc: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    """The failure is logged."""
    plugin = Plugin(FakeBackend(cleanup=exc))
    await plugin.setup()
    assert await plugin.call("Cleanup") == b""
    assert plugin.channels[0].closed == 1
    assert caplog.records[-1].exc_info[1] is exc


async def test_a_cleanup_that_does_not_end_is_left(monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    """Not even one that ignores its cancellation holds the host up."""
    monkeypatch.setattr(module, "HOOK_TIMEOUT", module.HOOK_TIMEOUT * 0)
    release = asyncio.Event()

    async def stubborn() -> None:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue

    plugin = Plugin(FakeBackend(cleanup=stubborn))
    await plugin.setup()
    assert await plugin.call("Cleanup") == b""
    assert plugin.channels[0].closed == 1
    assert "takes too long" in caplog.text
    release.set()
    await asyncio.sleep(0)


async def test_an_invalidation_that_does_not_end_is_left(
    monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    """A hook of the author's does not hold up a host, which has the next keys to pass on."""
    monkeypatch.setattr(module, "HOOK_TIMEOUT", module.HOOK_TIMEOUT * 0)

    class Hanging(FakeBackend):
        async def invalidate_key(self, key: str) -> None:
            await super().invalidate_key(key)
            await asyncio.get_running_loop().create_future()

    backend = Hanging()
    plugin = Plugin(backend)
    await plugin.setup()
    async with asyncio.timeout(5):
        assert await plugin.call("InvalidateKey", pb.InvalidateKeyArgs(key="role/a")) == b""
    assert backend.invalidated == ["role/a"]
    assert "invalidation takes too long" in caplog.text


async def test_a_cancelled_cleanup_closes_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that does not wait leaves nothing open."""
    started = asyncio.Event()

    async def slow() -> None:
        started.set()
        await asyncio.Event().wait()

    plugin = Plugin(FakeBackend(cleanup=slow))
    await plugin.setup()
    task = asyncio.ensure_future(plugin.call("Cleanup"))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert plugin.channels[0].closed == 1


async def test_close_ends_every_mount_and_takes_no_other() -> None:
    """At the end of the process all backends are told, once, and a late setup is refused."""
    backends = [FakeBackend(), FakeBackend(cleanup=ValueError("x")), FakeBackend()]
    late = FakeBackend()
    plugin = Plugin(*backends, late)
    for mount in ("a", "b", "c"):
        await plugin.setup(mount)
    await plugin.service.close()
    await plugin.service.close()
    assert [backend.cleaned for backend in backends] == [1, 1, 1]
    assert await plugin.setup("d") == "the plugin is stopping"
    assert late.cleaned == 1
    assert [channel.closed for channel in plugin.channels] == [1, 1, 1, 1]


class KnowingBackend(FakeBackend):
    """A backend that knows the role `dev`, and stumbles over another one."""

    def known_role(self, path: str, body: Any) -> Any:
        """Tell the role from memory."""
        if body.get("role") == "bad":
            raise ValueError("bad")
        return {"dev": "dev", "odd": 7}.get(body.get("role", ""))


@pytest.mark.parametrize("role", ["dev", "odd", "bad", "new"])
async def test_a_known_role_is_told_without_asking(role: str) -> None:
    """In the same words; any other role, and any mistake, is a matter for the request itself."""
    backend = KnowingBackend(Response(data={"role": role}))
    plugin = Plugin(backend)
    await plugin.setup()
    asked = encode_request(
        Request(operation=Operation.RESOLVE_ROLE, path="login", data={"role": role}, has_data=True)
    )
    data = await plugin.call("HandleRequest", pb.HandleRequestArgs(request=asked))
    expected = pb.HandleRequestReply.FromString(data).response
    assert expected == encode_response(Response(data={"role": role}))
    assert len(backend.requests) == (role != "dev")
