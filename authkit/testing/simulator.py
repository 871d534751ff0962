"""The simulator: a host in this process, one mount to begin with, and the switches of a test.

The rules are those of `authkit.host`, which the same conformance cases hold against a real server. Every
message goes through `authkit.wire`, as bytes, both ways.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from types import TracebackType
from typing import Any, Self

from authkit.clock import Clock
from authkit.host.mounts.system_view import as_logical
from authkit.host.server.core import Core, HostRequest
from authkit.host.supervisor.in_process.plugin import InProcessPlugin
from authkit.logical import Backend, BackendConfig, BackendFactory, Entity, Servable
from authkit.testing.answers import Audited, SimulatedResponse
from authkit.testing.clock import MovableClock
from authkit.testing.grants import GrantedToken
from authkit.values import replace, verify_collections

__all__ = ["SimulatedMount", "Simulator"]

DEFAULT_ADDRESS = "127.0.0.1"

ROOT_TOKEN = "root"  # noqa: S105 - it opens nothing but this object


class SimulatedMount:
    """One mount. Paths are relative to it; requests are made with the root token unless told.

    `path` and `data` are given by position: fields of these names are given by name. Every method raises
    `RefusedError` when the host does not serve the request.
    """

    def __init__(self, simulator: Simulator, path: str) -> None:
        self._simulator = simulator
        self.path = path
        """Without `auth/` and without slashes around it."""

    # --- requests ------------------------------------------------------------------------------

    async def request(
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
    ) -> SimulatedResponse:
        """Send any request and return the answer, whatever it is: this method alone does not raise.

        Args:
            token: who asks; `None` for a stranger.
            addr: the client's IP address.
            headers: the mount's `passthrough_request_headers` decide which reach the plugin.
            wrap_ttl: as in `X-Vault-Wrap-TTL`.
        """
        return await self._simulator.call(
            method,
            f"auth/{self.path}/{path}" if path else f"auth/{self.path}",
            data,
            token=token,
            addr=addr,
            query=query,
            headers=headers,
            wrap_ttl=wrap_ttl,
        )

    async def write(
        self, path: str, data: Mapping[str, Any] | None = None, /, **fields: Any
    ) -> SimulatedResponse:
        """Write fields, given as a mapping, by name, or both; return the answer."""
        return (await self.request("POST", path, {**(data or {}), **fields})).verified()

    async def patch(
        self, path: str, data: Mapping[str, Any] | None = None, /, **fields: Any
    ) -> SimulatedResponse:
        """Change some fields of an object; return the answer."""
        return (await self.request("PATCH", path, {**(data or {}), **fields})).verified()

    async def read(self, path: str, /, **query: str) -> Mapping[str, Any]:
        """Return the data of a read, empty when the answer has none. What is not there is refused: 404."""
        return (await self.request("GET", path, query=query)).verified().data or {}

    async def list(self, path: str, /, **query: str) -> list[str]:
        """Return the keys of a list, none when there are none."""
        response = await self.request("LIST", path, query=query)
        if response.status == 404 and not response.errors:
            return []
        keys: list[str] = (response.verified().data or {}).get("keys") or []
        return list(keys)

    async def delete(self, path: str, /, **query: str) -> None:
        """Delete."""
        (await self.request("DELETE", path, query=query)).verified()

    async def login(
        self,
        path: str = "login",
        data: Mapping[str, Any] | None = None,
        /,
        *,
        addr: str = "",
        headers: Mapping[str, str] | None = None,
        **fields: Any,
    ) -> GrantedToken:
        """Log in as a stranger does; return the token.

        Raises:
            RefusedError: the plugin or the host refuses.
            AssertionError: the answer grants nothing.
        """
        body = {**(data or {}), **fields}
        response = await self.request("POST", path, body, token=None, addr=addr, headers=headers)
        return GrantedToken.of(self._simulator, response.verified())

    async def help(self, path: str = "") -> str:
        """Return the help page of a path, or that of the whole backend."""
        response = await self.request("GET", path, query={"help": "1"})
        text: str = response.verified().body["help"]
        return text

    # --- the mount itself ----------------------------------------------------------------------

    async def tune(self, **settings: Any) -> None:
        """Tune the mount: `default_lease_ttl`, `token_type`, `passthrough_request_headers` and so on."""
        (await self._simulator.call("POST", f"sys/auth/{self.path}/tune", settings)).verified()

    async def map_group(self, name: str, *, policies: Sequence[str] = (), group: str = "") -> str:
        """Map a group name of this mount to an external group with these policies; return the group's id."""
        verify_collections(policies=policies)
        call = self._simulator.call
        body = {"name": group or f"{self.path}-{name}", "type": "external", "policies": list(policies)}
        created = (await call("POST", "identity/group", body)).verified().data or {}
        alias = {"name": name, "mount_accessor": await self.accessor(), "canonical_id": created["id"]}
        (await call("POST", "identity/group-alias", alias)).verified()
        group_id: str = created["id"]
        return group_id

    async def accessor(self) -> str:
        """Return what the host calls this mount."""
        data = (await self._simulator.call("GET", f"sys/auth/{self.path}")).verified().data or {}
        accessor: str = data["accessor"]
        return accessor

    async def reload(self) -> None:
        """Reload the plugin, as an operator does after an upgrade: a new backend on the same storage."""
        body = {"mounts": [f"auth/{self.path}/"]}
        (await self._simulator.call("PUT", "sys/plugins/reload/backend", body)).verified()

    async def disable(self) -> None:
        """Remove the mount, its tokens and its storage."""
        (await self._simulator.call("DELETE", f"sys/auth/{self.path}")).verified()


class Simulator(SimulatedMount):
    """A host with one backend, mounted once. Use it as an asynchronous context manager.

    `path` is where it is mounted, by default the backend's name; `options` and `config` are the mount's.
    Time stands still until the test moves `clock`, which is the `self.clock` of the backend as well.
    """

    def __init__(
        self,
        backend: type[Servable] | BackendFactory,
        *,
        path: str = "",
        clock: MovableClock | None = None,
        options: Mapping[str, str] | None = None,
        config: Mapping[str, Any] | None = None,
    ) -> None:
        self.clock = clock or MovableClock()
        """Move it with `tick`, and let everything that is due happen with `Simulator.tick`."""
        factory, name = _factory_of(backend, self.clock)
        super().__init__(self, path or name)
        self.name = name
        """In the catalog."""
        self.core = Core(root_token=ROOT_TOKEN, clock=self.clock, works_by_itself=False)
        """The host itself, for what has no method here."""
        self.audit: list[Audited] = []
        """Every request so far."""
        self._options, self._config = options, config
        self._is_entered = False
        self._plugins: list[InProcessPlugin] = []
        self.core.catalog.add_local(name, lambda entry: self._make(factory), factory.version)

    async def __aenter__(self) -> Self:
        await self.core.start()
        self._is_entered = True
        try:
            await self.enable(self.path, options=self._options, config=self._config)
        except BaseException:
            await self.core.stop()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.core.stop()

    async def enable(
        self,
        path: str,
        *,
        options: Mapping[str, str] | None = None,
        config: Mapping[str, Any] | None = None,
    ) -> SimulatedMount:
        """Mount the backend at another path as well; return the mount."""
        body = {"type": self.name, "options": dict(options or {}), "config": dict(config or {})}
        (await self.call("POST", f"sys/auth/{path}", body)).verified()
        return SimulatedMount(self, path)

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
    ) -> SimulatedResponse:
        """Send a request to any path of the API, such as `identity/entity`; return the answer."""
        if not self._is_entered:
            raise RuntimeError("the simulator is not running: use it with 'async with'")
        request = HostRequest(
            method=method,
            path=path,
            body=data,
            query={name: (value,) for name, value in (query or {}).items()},
            token=token.client_token if isinstance(token, GrantedToken) else token or "",
            headers={name: (value,) for name, value in (headers or {}).items()},
            remote_addr=addr or DEFAULT_ADDRESS,
            wrap_ttl=wrap_ttl,
        )
        response = SimulatedResponse.of(await self.core.handle(request))
        accessor = (response.auth or {}).get("accessor", "")
        granted = self.core.state.tokens.find_accessor(accessor)
        role = granted.login_role if granted else ""
        self.audit.append(
            Audited(method, path, request.remote_addr, response.status, response.errors, accessor, role)
        )
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
        """Let time pass, and then everything happen that is due: expiry, periodic tasks (`@every`).

        A server lets tasks run each minute; here they run once, at the end.
        """
        self.clock.tick(duration)
        await self.core.run_due_work()

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

    def _make(self, factory: BackendFactory) -> InProcessPlugin:
        plugin = InProcessPlugin(factory)
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
