"""A plugin in this process: mounts, crashes, the way of every message through the wire."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from factories import FakeClock, mount_config

from authkit.errors import (
    PluginGoneError,
    PluginSetupError,
    PluginStartError,
    RPCError,
    StatusCode,
    StorageError,
    UserError,
)
from authkit.host.supervisor.in_process.plugin import InProcessPlugin, InProcessRun, MakeService
from authkit.host.supervisor.supervised import SupervisedPlugin
from authkit.host.supervisor.supervisor import MAX_RESTARTS, RESTART_WINDOW, Supervisor
from authkit.logical import (
    BackendConfig,
    BackendFactory,
    BackendType,
    Operation,
    Request,
    Response,
    SpecialPaths,
    StorageEntry,
)
from authkit.rpc import Method
from authkit.values import replace
from authkit.wire.backend import BackendService


def serving(backend: type[Keeper]) -> MakeService:
    """Return what makes the service of a backend."""
    return lambda dial: BackendService(backend.factory(), dial)


class Keeper:
    """A backend that keeps what it is told, and does what its path says."""

    made: list[Keeper]

    def __init__(self, config: BackendConfig) -> None:
        self.config = config
        self.initialized = self.cleaned = 0
        self.invalidated: list[str] = []
        self.hanging = asyncio.Event()
        self.was_cancelled = asyncio.Event()
        type(self).made.append(self)

    @classmethod
    def factory(cls) -> BackendFactory:
        return BackendFactory(build=cls, backend_type=BackendType.CREDENTIAL, version="v1.2.3")

    def special_paths(self) -> SpecialPaths:
        return SpecialPaths(unauthenticated=("login",))

    async def initialize(self) -> None:
        self.initialized += 1
        if self.config.options.get("initialize") == "fails":
            raise UserError("not today")

    async def handle_existence_check(self, request: Request) -> bool | None:
        return await self.config.storage.get(request.path) is not None

    async def invalidate_key(self, key: str) -> None:
        self.invalidated.append(key)

    async def cleanup(self) -> None:
        self.cleaned += 1

    async def handle_request(self, request: Request) -> Response | None:
        if request.path == "hang":
            self.hanging.set()
            try:
                await asyncio.get_running_loop().create_future()
            except asyncio.CancelledError:
                self.was_cancelled.set()
                raise
        if request.operation is Operation.UPDATE:
            await self.config.storage.put(StorageEntry(request.path, request.data["value"].encode()))
            return None
        entry = await self.config.storage.get(request.path)
        return entry and Response(data={"value": entry.value.decode(), "uuid": self.config.backend_uuid})


@pytest.fixture
def backend() -> type[Keeper]:
    """A backend class with a list of its instances."""

    class Backend(Keeper):
        made = []

    return Backend


def write(path: str, value: str) -> Request:
    """A write request."""
    return Request(operation=Operation.UPDATE, path=path, data={"value": value}, has_data=True)


def read(path: str) -> Request:
    """A read request."""
    return Request(operation=Operation.READ, path=path)


async def test_a_mount_lives_as_on_a_server(backend: type[Keeper]) -> None:
    """Set up, initialized, asked, invalidated and cleaned up; what it stores is the host's."""
    plugin = InProcessPlugin(backend)
    assert (plugin.backend_type, plugin.version) == (BackendType.CREDENTIAL, "v1.2.3")
    served = mount_config(plugin_name="keeper")
    mount = await plugin.set_up(served)
    assert await mount.special_paths() == SpecialPaths(unauthenticated=("login",))
    await mount.initialize()
    assert await mount.handle_existence_check(read("a")) is False
    assert await mount.handle_request(write("a", "kept")) is None
    assert await mount.handle_existence_check(read("a")) is True
    assert await mount.handle_request(read("a")) == Response(data={"value": "kept", "uuid": "u-1"})
    assert await served.storage.get("a") == StorageEntry("a", b"kept")
    await mount.invalidate_key("a")
    (made,) = backend.made
    assert dict(made.config.options) == {"plugin_name": "keeper"}
    assert (made.initialized, made.invalidated) == (1, ["a"])
    await mount.cleanup()
    await mount.cleanup()
    assert made.cleaned == 1
    with pytest.raises(PluginGoneError, match="has ended"):
        await mount.handle_request(read("a"))


async def test_mounts_share_a_plugin_and_nothing_else(backend: type[Keeper]) -> None:
    """Each has its storage; the end of one is not the end of the other."""
    plugin = InProcessPlugin(backend.factory())
    first, second = await plugin.set_up(mount_config("u-1")), await plugin.set_up(mount_config("u-2"))
    await first.handle_request(write("a", "1"))
    await second.handle_request(write("a", "2"))
    await first.cleanup()
    assert await second.handle_request(read("a")) == Response(data={"value": "2", "uuid": "u-2"})
    await plugin.close()
    await plugin.close()
    assert [made.cleaned for made in backend.made] == [1, 1]


async def test_a_probe_serves_nothing(backend: type[Keeper]) -> None:
    """What is built for it finds no storage, and is gone afterwards."""
    plugin = InProcessPlugin(backend)
    await plugin.probe()
    (made,) = backend.made
    assert (made.config.backend_uuid, dict(made.config.options)) == ("", {})
    assert made.cleaned == 1
    with pytest.raises(StorageError):
        await made.config.storage.get("a")


async def test_a_backend_that_cannot_be_built_refuses_the_setup() -> None:
    """In the words that a server's operator reads; nothing is left of the mount."""

    def build(config: BackendConfig) -> Keeper:
        raise UserError("the option `x` is missing")

    plugin = InProcessPlugin(BackendFactory(build=build, backend_type=BackendType.CREDENTIAL))
    for _ in range(2):
        with pytest.raises(PluginSetupError, match="could not be set up: the option `x` is missing"):
            await plugin.set_up(mount_config())
    with pytest.raises(PluginSetupError):
        await plugin.probe()


async def test_what_a_backend_reports_is_raised(backend: type[Keeper]) -> None:
    """Also while it initializes."""
    mount = await InProcessPlugin(backend).set_up(mount_config(initialize="fails"))
    with pytest.raises(UserError, match="not today"):
        await mount.initialize()


async def test_leaving_a_request_cancels_its_handler(backend: type[Keeper]) -> None:
    """As a client that goes away."""
    plugin = InProcessPlugin(backend)
    mount = await plugin.set_up(mount_config())
    caller = asyncio.ensure_future(mount.handle_request(read("hang")))
    (made,) = backend.made
    await made.hanging.wait()
    caller.cancel()
    await made.was_cancelled.wait()
    await plugin.close()


async def test_after_a_crash_the_next_call_starts_anew(backend: type[Keeper]) -> None:
    """Calls in flight fail and say why; the next one finds a plugin with every mount set up again."""
    plugin = InProcessPlugin(backend)
    first, second = await plugin.set_up(mount_config("u-1")), await plugin.set_up(mount_config("u-2"))
    await first.initialize()
    await second.initialize()
    await second.handle_request(write("a", "kept"))
    caller = asyncio.ensure_future(first.handle_request(read("hang")))
    await backend.made[0].hanging.wait()
    await plugin.crash("killed")
    with pytest.raises(PluginGoneError) as caught:
        await caller
    assert str(caught.value) == "rpc error: code = Unavailable desc = error reading from server: EOF"
    assert caught.value.hint == "The plugin ended: killed."
    answers = await asyncio.gather(*(mount.handle_request(read("a")) for mount in (first, second, first)))
    assert answers == [None, Response(data={"value": "kept", "uuid": "u-2"}), None]
    assert [made.config.backend_uuid for made in backend.made] == ["u-1", "u-2", "u-1", "u-2"]
    assert [made.initialized for made in backend.made] == [1, 1, 1, 1]
    await plugin.close()


async def test_every_mount_is_set_up_again_without_being_called(backend: type[Keeper]) -> None:
    """One call after the crash is enough for all."""
    plugin = InProcessPlugin(backend)
    mounts = [await plugin.set_up(mount_config(f"u-{number}")) for number in range(3)]
    await plugin.crash()
    await mounts[0].special_paths()
    async with asyncio.timeout(5):
        while len(backend.made) < 6:
            await asyncio.sleep(0)
    await plugin.close()


async def test_a_mount_that_cannot_be_set_up_again(caplog: pytest.LogCaptureFixture) -> None:
    """Harms no other one; its own calls say why, each after another try."""
    failing = {"u-2"}

    class Picky(Keeper):
        made = []

        def __init__(self, config: BackendConfig) -> None:
            if Picky.made[1:] and config.backend_uuid in failing:
                raise UserError("not again")
            super().__init__(config)

    plugin = InProcessPlugin(Picky)
    first, second = await plugin.set_up(mount_config("u-1")), await plugin.set_up(mount_config("u-2"))
    await plugin.crash()
    assert await first.handle_request(read("a")) is None
    for _ in range(2):
        with pytest.raises(PluginSetupError, match="not again"):
            await second.handle_request(read("a"))
    failing.clear()
    assert await second.handle_request(read("a")) is None
    assert "could not be set up again" in caplog.text
    await plugin.close()


async def test_a_mount_that_ends_while_it_is_set_up_again(backend: type[Keeper]) -> None:
    """Its new backend is cleaned up as well."""
    offered, go_on = asyncio.Event(), asyncio.Event()

    class Slow(InProcessRun):
        async def offer(self, methods: Sequence[Method]) -> int:
            if backend.made:
                offered.set()
                await go_on.wait()
            return await super().offer(methods)

    started: list[Slow] = []

    async def launch() -> Slow:
        started.append(Slow(serving(backend)))
        return started[-1]

    plugin = SupervisedPlugin(launch)
    mount = await plugin.set_up(mount_config())
    await started[0].crash("It crashed.")
    call = asyncio.ensure_future(mount.handle_request(read("a")))
    await offered.wait()
    ending = asyncio.ensure_future(mount.cleanup())
    await asyncio.sleep(0)
    go_on.set()
    with pytest.raises((PluginGoneError, RPCError)):
        await call
    await ending
    assert all(made.cleaned for made in backend.made)
    assert started[-1].ended.done()
    await plugin.close()


async def test_a_mount_that_ends_while_its_plugin_is_gone(backend: type[Keeper]) -> None:
    """Nothing is started for it."""
    plugin = InProcessPlugin(backend)
    mount = await plugin.set_up(mount_config())
    await plugin.crash()
    await mount.cleanup()
    assert len(backend.made) == 1


async def test_a_plugin_that_always_crashes_is_left_alone_for_a_while(backend: type[Keeper]) -> None:
    """After so many restarts in a minute; once they are past it is tried again."""
    clock, started = FakeClock(), []

    async def launch() -> InProcessRun:
        started.append(InProcessRun(serving(backend)))
        return started[-1]

    supervisor = Supervisor(launch, clock=clock)
    for _ in range(MAX_RESTARTS + 1):
        await (await supervisor.current()).crash("It crashed.")  # type: ignore[attr-defined]
    with pytest.raises(PluginStartError, match="crashed more than 5 times in 60 seconds") as caught:
        await supervisor.current()
    assert "It crashed." in caught.value.hint
    assert len(started) == MAX_RESTARTS + 1
    clock.advance(RESTART_WINDOW.total_seconds())
    assert await supervisor.current() is started[-1]
    await supervisor.close()
    with pytest.raises(PluginStartError, match="closed"):
        await supervisor.current()


async def test_a_plugin_for_one_mount_is_started_for_each(backend: type[Keeper]) -> None:
    """One that is not multiplexed: two set-ups at once share no run either."""
    supervisor: list[InProcessRun] = []

    async def launch() -> InProcessRun:
        supervisor.append(InProcessRun(serving(backend)))
        supervisor[-1].is_multiplexed = False
        return supervisor[-1]

    plugin = SupervisedPlugin(launch)
    first, second = await asyncio.gather(
        plugin.set_up(mount_config("u-1")), plugin.set_up(mount_config("u-2"))
    )
    assert (len(supervisor), plugin.backend_type, plugin.version) == (2, BackendType.CREDENTIAL, "v1.2.3")
    await first.cleanup()
    assert [run.ended.done() for run in supervisor] == [True, False]
    await plugin.set_up(mount_config("u-3"))
    assert len(supervisor) == 3
    await plugin.close()
    assert all(run.ended.done() for run in supervisor)
    del second


async def test_a_status_of_a_plugin_that_lives_is_passed_on(
    backend: type[Keeper], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not taken for a crash."""
    monkeypatch.setattr("authkit.host.supervisor.supervised.END_IS_SEEN", RESTART_WINDOW * 0)
    plugin = InProcessPlugin(backend)
    mount = await plugin.set_up(mount_config())
    run = plugin._runs._running[0]
    run.channel.fail("lost")
    with pytest.raises(RPCError) as caught:
        await mount.handle_request(read("a"))
    assert caught.value.code is StatusCode.UNAVAILABLE
    await plugin.close()


async def test_values_travel_as_on_a_real_wire(backend: type[Keeper]) -> None:
    """Integers beyond 2**53 and durations arrive as a server would see them."""
    seen: list[Request] = []

    class Echo(backend):  # type: ignore[misc, valid-type]
        async def handle_request(self, request: Request) -> Response | None:
            seen.append(request)
            return Response(data={"big": 2**60, "list": (1, 2)})

    plugin = InProcessPlugin(Echo)
    mount = await plugin.set_up(mount_config())
    request = replace(read("x"), data={"n": 2**60}, has_data=True)
    response = await mount.handle_request(request)
    assert response == Response(data={"big": str(2**60), "list": [1, 2]})
    assert seen[0].data == {"n": str(2**60)}
    await plugin.close()
