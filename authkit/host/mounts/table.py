"""Mounts that run: enabled, tuned, reloaded, disabled, and started again with the host.

How a mount looks: `authkit.host.mounts.entries`. Requests to one: `authkit.host.server.mount_requests`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final

from authkit.errors import AuthKitError
from authkit.host.mounts.entries import AUTH_PREFIX, Mount, MountConfig, make_accessor
from authkit.host.mounts.special_paths import CompiledPaths, PathPatternError
from authkit.host.mounts.storage import MountStorage, StorageGate, remove_all
from authkit.host.mounts.system_view import MountEvents, SystemViews
from authkit.host.store.catalog import AUTH, SECRET, Catalog, CatalogEntry, CatalogError
from authkit.host.store.plugins import VAULT_VERSION, MountedBackend
from authkit.host.store.records import dump, load, load_all
from authkit.host.store.storage import PhysicalStorage
from authkit.logical import BackendConfig, BackendType, SpecialPaths
from authkit.values import replace

__all__ = ["MountError", "MountTable", "RunningMount", "no_mount_to_tune"]

logger = logging.getLogger("authkit.host")


class MountError(Exception):
    """A mount cannot be made, changed or removed. The text is Vault's."""


class RunningMount:
    """One mount and its backend."""

    def __init__(self, entry: Mount, *, is_own: bool = False) -> None:
        self.entry = entry
        self.is_own = is_own
        """Whether the host serves it itself."""
        self.backend: MountedBackend | None = None
        """`None` when the plugin could not be started; a reload tries again."""
        self.catalog_entry: CatalogEntry | None = None
        self.paths = CompiledPaths(SpecialPaths())
        self.is_tainted = False
        self._open = asyncio.Event()
        self._open.set()
        self._calls = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @asynccontextmanager
    async def in_use(self) -> AsyncIterator[MountedBackend | None]:
        """Hold the backend for one call: a reload waits for it, and it waits for a reload."""
        await self._open.wait()
        self._calls += 1
        self._idle.clear()
        try:
            yield self.backend
        finally:
            self._calls -= 1
            if not self._calls:
                self._idle.set()

    async def wait_until_idle(self) -> None:
        """Return once the calls under way have ended."""
        await self._idle.wait()

    @asynccontextmanager
    async def exclusively(self) -> AsyncIterator[None]:
        """Keep new calls out, after those under way have ended."""
        self._open.clear()
        try:
            await self._idle.wait()
            yield
        finally:
            self._open.set()


class MountTable:
    """The mounts of a host: auth methods, secrets engines, and its own. By route, such as `auth/jwt/`."""

    PREFIXES: Final = {AUTH: "core/auth/", SECRET: "core/mounts/"}
    OF_TOKENS = "core/token-mount"

    def __init__(
        self, physical: PhysicalStorage, gate: StorageGate, catalog: Catalog, views: SystemViews
    ) -> None:
        self._physical = physical
        self._gate = gate
        self._catalog = catalog
        self._views = views
        self._mounts: dict[str, RunningMount] = {}
        self._changing = asyncio.Lock()
        self.own = {entry.type: RunningMount(entry, is_own=True) for entry in _own_mounts()}
        """The mounts that the host serves itself, by type. The server sets their backends."""

    def __iter__(self) -> Iterator[RunningMount]:
        return iter([self._mounts[route] for route in sorted(self._mounts)])

    def find(self, route: str) -> RunningMount | None:
        """Return the mount of a plugin at exactly that route, such as `auth/jwt/`."""
        return self._mounts.get(route)

    def find_conflict(self, entry: Mount) -> str:
        """Return the path of a plugin's mount that one there would hide or be hidden by, empty for none."""
        for other in self.of_type(entry.plugin_type):
            path = other.entry.path
            if path.startswith(entry.path) or entry.path.startswith(path):
                return path
        return ""

    def of_type(self, plugin_type: str) -> list[RunningMount]:
        """Return the mounts of all plugins of a type, in order."""
        return [mount for mount in self if mount.entry.plugin_type == plugin_type]

    @property
    def token_mount(self) -> Mount:
        """The mount of tokens."""
        return self.own["token"].entry

    @property
    def system_mounts(self) -> list[Mount]:
        """The host's own mounts that are no auth methods."""
        return [mount.entry for mount in self.own.values() if not mount.entry.prefix]

    def match(self, path: str) -> RunningMount | None:
        """Return the mount of a request path, with or without the slash behind the mount's own."""
        served = [mount for mount in self.own.values() if mount.backend is not None]
        found = [
            mount for mount in (*served, *self._mounts.values()) if f"{path}/".startswith(mount.entry.route)
        ]
        return max(found, key=lambda mount: len(mount.entry.route), default=None)

    def by_accessor(self, accessor: str) -> RunningMount | None:
        """Return the mount of an accessor."""
        return next((mount for mount in self._mounts.values() if mount.entry.accessor == accessor), None)

    # --- start and stop ------------------------------------------------------------------------

    async def change_token_mount(self, entry: Mount) -> None:
        """Store the tuning of `auth/token/`."""
        await self._physical.apply({self.OF_TOKENS: dump(entry)})
        self.own["token"].entry = entry

    async def start(self) -> None:
        """Start every stored mount. One that fails is there without a backend, as on a Vault server."""
        stored = await self._physical.get(self.OF_TOKENS)
        if stored is None:
            await self.change_token_mount(self.token_mount)
        else:
            self.own["token"].entry = load(Mount, stored)
        for prefix in self.PREFIXES.values():
            for entry in await load_all(Mount, self._physical, prefix):
                await self._start(entry)

    async def _start(self, entry: Mount) -> None:
        mount = self._mounts[entry.route] = RunningMount(entry)
        try:
            await self._set_up(mount)
            await self._initialize(mount)
        except (MountError, AuthKitError) as error:
            logger.warning(f"skipping the plugin of {entry.route}: {error}", exc_info=error)

    async def stop(self) -> None:
        """Clean up every backend."""
        for mount in self:
            await _clean_up(mount)

    async def enable(self, entry: Mount) -> None:
        """Make a mount.

        Raises:
            MountError: the path is taken, or the plugin is not there or of another type.
            AuthKitError: the plugin could not be set up or initialised.
        """
        async with self._changing:
            taken = self.find_conflict(entry)
            if taken:
                raise MountError(f"path is already in use at {taken}")
            mount = RunningMount(entry)
            try:
                await self._set_up(mount)
                await self._initialize(mount)
            except BaseException:
                await _clean_up(mount)
                await remove_all(self._physical, self.storage_prefix(entry))
                raise
            await self._store(mount.entry)
            self._mounts[entry.route] = mount

    async def change(self, mount: RunningMount, tune: Callable[[Mount], Mount]) -> None:
        """Tune a mount, and store it.

        Raises:
            MountError: it has been disabled meanwhile; stored again, it would be back after a restart.
        """
        async with self._changing:
            if self._mounts.get(mount.entry.route) is not mount:
                raise MountError(no_mount_to_tune(mount.entry.route))
            before = mount.entry
            mount.entry = tune(before)
            try:
                await self._store(mount.entry)
            except Exception:
                mount.entry = before
                raise

    async def move(self, mount: RunningMount, route: str, path: str) -> None:
        """Serve a mount, now at `route`, at another path, with its storage and the process of its plugin.

        Its tokens and leases are the caller's to revoke, before.

        Raises:
            MountError: it was removed or moved meanwhile, or the path is taken.
        """
        async with self._changing:
            if self._mounts.get(route) is not mount:
                raise MountError(f'no matching mount at "{route}"')
            entry = replace(mount.entry, path=path)
            taken = self.find_conflict(entry)
            if taken:
                raise MountError(f'path in use at "{entry.prefix}{taken}"')
            async with mount.exclusively():
                await self._store(entry)
                del self._mounts[route]
                mount.entry, mount.is_tainted = entry, False
                self._mounts[entry.route] = mount

    async def disable(self, mount: RunningMount, route: str) -> None:
        """Remove a mount and all that it stored, unless it is no longer at `route`.

        Its tokens and leases are the caller's to revoke, before.
        """
        async with self._changing:
            if self._mounts.get(route) is not mount:
                return
            mount.is_tainted = True
            async with mount.exclusively():
                await _clean_up(mount)
            await self._physical.apply({self._key(mount.entry): None})
            await remove_all(self._physical, self.storage_prefix(mount.entry))
            self._mounts.pop(mount.entry.route, None)

    async def reload(self, mounts: list[RunningMount]) -> None:
        """Restart the plugins of these mounts, and of mounts that share a process with them.

        Raises:
            MountError, AuthKitError: one cannot be started. The others are still restarted.
        """
        entries = {mount.catalog_entry for mount in mounts} - {None}
        sharing = [mount for mount in self if mount in mounts or mount.catalog_entry in entries]
        async with self._changing, AsyncExitStack() as stack:
            for mount in sharing:
                await stack.enter_async_context(mount.exclusively())
                await _clean_up(mount)
            for entry in entries:
                if entry is not None:
                    await self._catalog.discard(entry)
            failures = [failure for mount in sharing if (failure := await self._restart(mount))]
        if failures:
            raise failures[0]

    async def _restart(self, mount: RunningMount) -> MountError | AuthKitError | None:
        """Set a mount up again; return why it could not be."""
        try:
            await self._set_up(mount)
            await self._store(mount.entry)
            await self._initialize(mount)
        except (MountError, AuthKitError) as error:
            in_short = str(error).partition("\n")[0].rstrip(":")  # whoever asked for it is told the rest
            logger.warning(f"{mount.entry.route} could not be reloaded: {in_short}")
            return error
        return None

    async def _set_up(self, mount: RunningMount) -> None:
        entry = mount.entry
        chosen = self._catalog.choose(entry.plugin_type, entry.type, entry.plugin_version)
        if chosen is None:
            raise MountError(f"plugin not found in the catalog: {entry.type}")
        storage = MountStorage(self._physical, self.storage_prefix(entry), self._gate)
        config = BackendConfig(
            storage=storage,
            system=self._views.of(lambda: mount.entry, lambda: mount.is_tainted),
            events=MountEvents(),
            options={
                "plugin_name": entry.type,
                "plugin_type": entry.plugin_type,
                "plugin_version": entry.plugin_version,
                "plugin_tier": "unknown",
                **(entry.options or {}),
            },
            backend_uuid=entry.backend_uuid,
        )
        try:
            plugin = self._catalog.plugin(chosen)
        except CatalogError as error:
            raise MountError(str(error)) from error
        backend = await plugin.set_up(config)
        try:
            _verify_type(entry, plugin.backend_type)
            mount.paths = CompiledPaths(await backend.special_paths())
        except PathPatternError as error:
            await backend.cleanup()
            raise MountError(str(error)) from error
        except BaseException:
            await backend.cleanup()
            raise
        storage.is_in_setup = False
        mount.backend, mount.catalog_entry = backend, chosen
        mount.entry = replace(
            entry, running_version=plugin.version or chosen.version, running_sha256=chosen.sha256
        )

    async def _initialize(self, mount: RunningMount) -> None:
        assert mount.backend is not None
        await mount.backend.initialize()

    # --- storage -------------------------------------------------------------------------------

    async def _store(self, entry: Mount) -> None:
        await self._physical.apply({self._key(entry): dump(entry)})

    def _key(self, entry: Mount) -> str:
        return self.PREFIXES[entry.plugin_type] + entry.uuid

    @staticmethod
    def storage_prefix(entry: Mount) -> str:
        """Return where the host's storage has what the mount stores."""
        return f"{'auth' if entry.prefix else 'logical'}/{entry.backend_uuid}/"


def no_mount_to_tune(route: str) -> str:
    """Return what is said where there is nothing to tune."""
    return f'tune of path "{route}" failed: no mount entry found'


def _verify_type(entry: Mount, found: BackendType) -> None:
    """Check that a backend is what the operator mounts it as.

    Raises:
        MountError: it is not. The texts are those of Vault 1.21 (vault/auth.go and vault/mount.go).
    """
    if entry.prefix and found is not BackendType.CREDENTIAL:
        kind = "secret" if found is BackendType.LOGICAL else "unknown"
        raise MountError(f'cannot mount "{entry.type}" of type "{kind}" as an auth backend')
    if not entry.prefix and found is not BackendType.LOGICAL:
        raise MountError(f'unknown backend type: "{entry.type}"')


async def _clean_up(mount: RunningMount) -> None:
    backend, mount.backend = mount.backend, None
    if backend is not None:
        await backend.cleanup()


def _own_mounts() -> list[Mount]:
    """Return the mounts that every host has (Vault 1.21, vault/mount.go, requiredMountTable)."""

    def make(kind: str, path: str, description: str, *, prefix: str = "", **flags: Any) -> Mount:
        return Mount(
            path=path,
            prefix=prefix,
            type=kind,
            accessor=make_accessor(kind, prefix=prefix),
            description=description,
            running_version=f"v{VAULT_VERSION}+builtin.vault",
            **flags,
        )

    of_system = MountConfig(passthrough_request_headers=("Accept",))
    system = "system endpoints used for control, policy and debugging"
    return [
        make("token", "token/", "token based credentials", prefix=AUTH_PREFIX),
        make("cubbyhole", "cubbyhole/", "per-token private secret storage", local=True),
        make("identity", "identity/", "identity store"),
        make("system", "sys/", system, seal_wrap=True, config=of_system),
    ]
