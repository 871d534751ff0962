"""The plugin catalog: which plugins there are, in which versions, and the running ones of them.

How one is started: see the maker that an entry comes with, in `authkit.host.supervisor`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from authkit.errors import AuthKitError
from authkit.host.store.plugins import HostedDatabase, HostedPlugin, RegisteredPlugin
from authkit.host.store.records import dump, load_all
from authkit.host.store.storage import PhysicalStorage
from authkit.logical import BackendType
from authkit.values import Value, replace

__all__ = [
    "AUTH",
    "DATABASE",
    "SECRET",
    "Catalog",
    "CatalogEntry",
    "CatalogError",
    "DatabaseMaker",
    "PluginMaker",
    "semantic_version",
    "type_of",
]

AUTH: Final = "auth"
SECRET: Final = "secret"  # noqa: S105 - a word
DATABASE: Final = "database"
"""The types of plugins that this host runs, as operators write them."""

_VERSION = re.compile(r"v?(\d+)(?:\.(\d+))?(?:\.(\d+))?(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?")


class CatalogError(Exception):
    """A registration is refused, or the plugin is unknown. The text is Vault's."""


class CatalogEntry(Value, frozen=True, kw_only=True):
    """One registered plugin in one version. Set at registration."""

    type: str = AUTH
    """`AUTH`, `SECRET` or `DATABASE`; empty before its registration: what the plugin is."""
    name: str
    version: str = ""
    """As `v1.2.3`; empty for an unversioned one."""
    command: str = ""
    """A file of the plugin directory; empty for a plugin of this process."""
    args: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    sha256: str = ""


PluginMaker = Callable[[CatalogEntry], HostedPlugin]
"""Makes what runs an entry. Called once for each version that is in use."""

DatabaseMaker = Callable[[CatalogEntry], HostedDatabase]
"""The same for a database plugin."""


class Catalog:
    """The registered plugins of a host, by type and name.

    `make` runs executables, `make_database` those that are database plugins; without them only plugins of
    this process can be used.
    """

    PREFIX = "core/plugin-catalog/"

    def __init__(
        self,
        physical: PhysicalStorage,
        make: PluginMaker | None = None,
        make_database: DatabaseMaker | None = None,
    ) -> None:
        self._physical = physical
        self._make = make
        self._make_database = make_database
        self._makers: dict[tuple[str, str, str], PluginMaker] = {}
        self._database_makers: dict[tuple[str, str, str], DatabaseMaker] = {}
        self._entries: dict[tuple[str, str, str], CatalogEntry] = {}
        self._built_in: dict[tuple[str, str], CatalogEntry] = {}
        self._running: dict[CatalogEntry, HostedPlugin] = {}
        self._databases: dict[CatalogEntry, HostedDatabase] = {}

    async def load(self) -> None:
        """Read what is stored."""
        for entry in await load_all(CatalogEntry, self._physical, self.PREFIX):
            self._entries.setdefault(_key_of(entry), entry)

    async def close(self) -> None:
        """End every plugin."""
        running: list[RegisteredPlugin] = [*self._running.values(), *self._databases.values()]
        self._running, self._databases = {}, {}
        for plugin in running:
            await plugin.close()

    # --- entries -------------------------------------------------------------------------------

    def add_local(self, name: str, maker: PluginMaker, version: str = "", *, type: str = AUTH) -> None:
        """Add a plugin of this process. It is not stored: add it at each start of the host."""
        entry = CatalogEntry(type=type, name=name, version=version)
        self._makers[_key_of(entry)] = maker
        self._entries[_key_of(entry)] = entry

    def add_local_database(self, name: str, maker: DatabaseMaker, version: str = "") -> None:
        """Add a database plugin of this process. It is not stored either."""
        entry = CatalogEntry(type=DATABASE, name=name, version=version)
        self._database_makers[_key_of(entry)] = maker
        self._entries[_key_of(entry)] = entry

    def add_built_in(self, name: str, maker: PluginMaker) -> None:
        """Add a secrets engine of the host's own. A registered one of its name takes its place."""
        entry = CatalogEntry(type=SECRET, name=name)
        self._makers[_key_of(entry)] = maker
        self._built_in[SECRET, name] = entry

    async def register(self, entry: CatalogEntry) -> CatalogEntry:
        """Register an executable; return the entry with the type and version that it reports, if it had none.

        Like a Vault server it takes a plugin that cannot be started at all: that shows when it is used.

        Raises:
            CatalogError: the plugin reports another version than the entry's.
        """
        plugin_type, reported = await self._ask(entry)
        if reported and entry.version and reported != entry.version:
            raise CatalogError(
                f"plugin version mismatch: {entry.name} reported version ({reported}) did not match "
                f"requested version ({entry.version})"
            )
        entry = replace(entry, type=plugin_type, version=entry.version or reported)
        await self._physical.apply({self._key(entry): dump(entry)})
        self._entries[_key_of(entry)] = entry
        return entry

    async def deregister(self, type: str, name: str, version: str) -> None:
        """Remove an entry, if there. What runs goes on until it is reloaded."""
        entry = self._entries.pop((type, name, version), None)
        if entry is not None:
            await self._physical.apply({self._key(entry): None})

    def find(self, type: str, name: str, version: str = "") -> CatalogEntry | None:
        """Return an entry of exactly that version."""
        return self._entries.get((type, name, version))

    def choose(self, type: str, name: str, version: str = "") -> CatalogEntry | None:
        """Return what a mount gets: the version asked for, else the unversioned entry, else the newest."""
        if version:
            return self.find(type, name, version)
        if (type, name, "") in self._entries:
            return self._entries[type, name, ""]
        versions = [entry for entry in self.entries(type) if entry.name == name]
        built_in = self._built_in.get((type, name))
        return max(versions, key=lambda entry: _precedence(entry.version), default=built_in)

    def entries(self, *types: str) -> list[CatalogEntry]:
        """Return the entries of these types, by default of all, sorted by type, name and version."""
        found = [entry for entry in self._entries.values() if not types or entry.type in types]
        return sorted(found, key=lambda entry: (entry.type, entry.name, _precedence(entry.version)))

    # --- plugins that run ----------------------------------------------------------------------

    def plugin(self, entry: CatalogEntry) -> HostedPlugin:
        """Return what runs an entry, shared by all its mounts.

        Raises:
            CatalogError: this host does not run executables.
        """
        if entry not in self._running:
            self._running[entry] = self._maker(entry)(entry)
        return self._running[entry]

    def database(self, entry: CatalogEntry) -> HostedDatabase:
        """Return what runs a database plugin's entry, shared by all its connections.

        Raises:
            CatalogError: this host does not run executables.
        """
        if entry not in self._databases:
            self._databases[entry] = self._database_maker(entry)(entry)
        return self._databases[entry]

    async def discard(self, entry: CatalogEntry) -> None:
        """Stop the plugin of an entry. The next mount, or connection, starts it again."""
        for running in (self._running, self._databases):
            plugin = running.pop(entry, None)
            if plugin is not None:
                await plugin.close()

    async def _ask(self, entry: CatalogEntry) -> tuple[str, str]:
        """Return the type and the version that a plugin reports; the version is empty without an answer."""
        if entry.type == DATABASE:
            return DATABASE, await _reported(self._database_maker(entry)(entry)) or ""
        plugin = self._maker(entry)(entry)
        version = await _reported(plugin)
        if version is None and not entry.type and self._make_database is not None:
            # Each kind of plugin starts under its own cookie alone.
            as_database = await _reported(self._make_database(entry))
            if as_database is not None:
                return DATABASE, as_database
        return entry.type or type_of(plugin.backend_type), version or ""

    def _maker(self, entry: CatalogEntry) -> PluginMaker:
        maker = self._makers.get(_key_of(entry), self._make)
        if maker is None:
            raise CatalogError(f"this host runs no executables: {entry.name}")
        return maker

    def _database_maker(self, entry: CatalogEntry) -> DatabaseMaker:
        maker = self._database_makers.get(_key_of(entry), self._make_database)
        if maker is None:
            raise CatalogError(f"this host runs no executables: {entry.name}")
        return maker

    def _key(self, entry: CatalogEntry) -> str:
        return f"{self.PREFIX}{entry.type}/{entry.name}/{entry.version}"


async def _reported(plugin: RegisteredPlugin) -> str | None:
    """Return the version that a plugin reports, `None` if it cannot be asked, and end it."""
    try:
        await plugin.probe()
    except AuthKitError:
        return None
    finally:
        await plugin.close()
    return plugin.version


def type_of(backend_type: BackendType) -> str:
    """Return the type of a plugin whose backends are of this type, an auth method's where they do not say."""
    return SECRET if backend_type is BackendType.LOGICAL else AUTH


def _key_of(entry: CatalogEntry) -> tuple[str, str, str]:
    return entry.type, entry.name, entry.version


def semantic_version(text: str) -> str:
    """Return a version as `v1.2.3`.

    Raises:
        ValueError: it is not a semantic version.
    """
    match = _VERSION.fullmatch(text)
    if match is None:
        raise ValueError("not a semantic version")
    major, minor, patch, before, build = match.groups()
    return f"v{int(major)}.{int(minor or 0)}.{int(patch or 0)}{before or ''}{build or ''}"


def _precedence(version: str) -> tuple[Any, ...]:
    match = _VERSION.fullmatch(version)
    if match is None:
        return (0, 0, 0, 0, "")
    major, minor, patch, before, _ = match.groups()
    return int(major), int(minor or 0), int(patch or 0), before is None, before or ""
