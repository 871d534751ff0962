"""The simulator: a host in this process, one mount to begin with, and the switches of a test.

The rules are those of `authkit.host`, which the same conformance cases hold against a real server. Every
message goes through `authkit.wire`, as bytes, both ways.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from types import TracebackType
from typing import Any, Self, TypeVar

from authkit.clock import Clock
from authkit.database import Database
from authkit.host.built_in import add_built_in
from authkit.host.mounts.system_view import as_logical
from authkit.host.server.core import Core
from authkit.host.store.catalog import DATABASE, type_of
from authkit.host.supervisor.databases.in_process import InProcessDatabase
from authkit.host.supervisor.in_process.plugin import InProcessPlugin
from authkit.logical import Backend, BackendConfig, BackendFactory, BackendType, Entity, Servable
from authkit.testing.blocking import BlockingWatch
from authkit.testing.clock import MovableClock
from authkit.testing.mounts import ROOT_TOKEN, MountClient
from authkit.testing.requests import make_request
from authkit.testing.responses import ClientResponse
from authkit.testing.storage import StoredEntries
from authkit.testing.tokens import GrantedToken
from authkit.values import Value, replace

__all__ = ["Audited", "SimulatedMount", "Simulator"]

P = TypeVar("P", InProcessPlugin, InProcessDatabase)

BLOCKING_SECONDS = 2.0
"""More than any handler takes that waits for nothing, also on a machine that does much else."""


class Audited(Value, frozen=True):
    """One request that was made. Kept by the simulator, without bodies: they hold credentials."""

    method: str
    path: str
    """Below `/v1/`."""
    remote_addr: str
    status: int
    errors: tuple[str, ...] = ()
    accessor: str = ""
    """Of the token that was granted."""
    role: str = ""
    """The role that the login was for, as the plugin resolved it when the host asked."""


class SimulatedMount(MountClient):
    """One mount of the simulator."""

    def __init__(self, simulator: Simulator, path: str, backend_type: BackendType) -> None:
        super().__init__(simulator, path, backend_type)
        self.storage = StoredEntries(simulator.core, self.route)
        """What the mount has stored."""


class Simulator(SimulatedMount):
    """A host with one backend, mounted once. Use it as an asynchronous context manager.

    `path` is where it is mounted, by default the backend's name; `options` and `config` are the mount's. Of a
    database plugin the host's database engine is mounted, by default at `database`: `config/<name>` takes the
    simulator's `name` as `plugin_name`, and the settings.
    Time stands still until the test moves `clock`, which is the `self.clock` of the backend as well.
    An `async` handler that keeps the event loop for `blocking_seconds` of real time brings a
    `BlockingHandlerWarning`; `None` watches nothing.
    """

    def __init__(
        self,
        backend: type[Servable] | type[Database[Any, Any]] | BackendFactory,
        *,
        path: str = "",
        clock: MovableClock | None = None,
        options: Mapping[str, str] | None = None,
        config: Mapping[str, Any] | None = None,
        blocking_seconds: float | None = BLOCKING_SECONDS,
    ) -> None:
        self.clock = clock or MovableClock()
        """Move it with `tick`, and let everything that is due happen with `Simulator.tick`."""
        self.core = Core(root_token=ROOT_TOKEN, clock=self.clock, works_by_itself=False)
        """The host itself, for what has no method here."""
        add_built_in(self.core.catalog, self.clock)
        self._plugins: list[InProcessPlugin | InProcessDatabase] = []
        name, self._mounted, self._backend_type = self._add(backend)
        super().__init__(self, path or self._mounted, self._backend_type)
        self.name = name
        """In the catalog."""
        self.audit: list[Audited] = []
        """Every request so far."""
        self._options, self._config = options, config
        self._is_entered = False
        self._blocking = BlockingWatch(blocking_seconds)

    async def __aenter__(self) -> Self:
        await self.core.start()
        self._is_entered = True
        self._blocking.start()
        try:
            await self.enable(self.path, options=self._options, config=self._config)
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._stop()
        self._blocking.warn()

    async def _stop(self) -> None:
        try:
            await self.core.stop()
        finally:
            self._blocking.stop()

    async def enable(
        self,
        path: str,
        *,
        options: Mapping[str, str] | None = None,
        config: Mapping[str, Any] | None = None,
    ) -> SimulatedMount:
        """Mount the backend at another path as well; return the mount."""
        body = {"type": self._mounted, "options": dict(options or {}), "config": dict(config or {})}
        mount = SimulatedMount(self, path, self._backend_type)
        (await self.call("POST", mount.settings, body)).verified()
        return mount

    async def call(
        self,
        method: str,
        path: str,
        data: Mapping[str, Any] | None = None,
        /,
        *,
        token: GrantedToken | str | None = ROOT_TOKEN,
        addr: str = "",
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        wrap_ttl: str = "",
    ) -> ClientResponse:
        """Send a request to any path of the API, such as `identity/entity`; return the answer."""
        if not self._is_entered:
            raise RuntimeError("the simulator is not running: use it with 'async with'")
        request = make_request(
            method, path, data, token=token, addr=addr, query=query, headers=headers, wrap_ttl=wrap_ttl
        )
        response = ClientResponse.of(await self.core.handle(request))
        accessor = (response.auth or {}).get("accessor", "")
        granted = self.core.state.tokens.find_accessor(accessor)
        role = granted.login_role if granted else ""
        self.audit.append(
            Audited(method, path, request.remote_addr, response.status, response.errors, accessor, role)
        )
        self._blocking.warn()
        return response

    async def openapi(self) -> Mapping[str, Any]:
        """Return the OpenAPI document of the whole host, this backend's part in it."""
        return (await self.call("GET", "sys/internal/specs/openapi")).verified().body

    def find_entity(self, entity_id: str) -> Entity | None:
        """Return an entity with its aliases, `None` when there is none."""
        record = self.core.state.identity.entities.get(entity_id)
        return None if record is None else as_logical(record)

    # --- what happens to a plugin --------------------------------------------------------------

    async def tick(self, duration: str | float | timedelta = "0s") -> None:
        """Let time pass, and then everything happen that is due: expiry, revocations, tasks (`@every`).

        A server lets tasks run each minute; here they run once, at the end.
        """
        self.clock.tick(duration)
        await self.core.run_due_work()
        self._blocking.warn()

    def fail_storage(
        self, *, gets: bool = False, puts: bool = False, deletes: bool = False, lists: bool = False
    ) -> None:
        """Let these calls of the backend's storage fail from now on, and all others work again."""
        gate = self.core.state.gate
        gate.fail_gets, gate.fail_puts, gate.fail_deletes, gate.fail_lists = gets, puts, deletes, lists

    def standby(self, on: bool = True) -> None:
        """Make the node one that may not write, as a standby of OpenBao; `on=False` ends that."""
        self.core.state.gate.read_only = on

    async def crash(self) -> None:
        """End the plugin as a killed process ends: nothing in memory survives. The next request starts it."""
        for plugin in self._plugins:
            await plugin.crash()

    def password_policy(self, name: str, length: int = 20) -> None:
        """Let the host have a password policy of that name."""
        self.core.system_views.password_policies[name] = length

    def _add(
        self, backend: type[Servable] | type[Database[Any, Any]] | BackendFactory
    ) -> tuple[str, str, BackendType]:
        """Add a plugin to the catalog; return its name, and what is mounted for it: name and type."""
        catalog = self.core.catalog
        if isinstance(backend, type) and issubclass(backend, Database):
            backend.verify_servable()
            catalog.add_local_database(
                backend.name, lambda entry: self._keep(InProcessDatabase(backend)), backend.version
            )
            return backend.name, DATABASE, BackendType.LOGICAL
        factory, name = _factory_of(backend, self.clock)
        catalog.add_local(
            name,
            lambda entry: self._keep(InProcessPlugin(factory)),
            factory.version,
            type=type_of(factory.backend_type),
        )
        return name, name, factory.backend_type

    def _keep(self, plugin: P) -> P:
        self._plugins.append(plugin)
        return plugin


def _factory_of(backend: type[Servable] | BackendFactory, clock: Clock) -> tuple[BackendFactory, str]:
    """Return what makes the backends, each with the test's clock, and a name for it."""
    if isinstance(backend, BackendFactory):
        factory, name = backend, "simulated"
    else:
        factory, name = backend.factory(), backend.name or "simulated"

    def build(config: BackendConfig) -> Backend:
        return factory.build(replace(config, clock=clock))

    return replace(factory, build=build), name
