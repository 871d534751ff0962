"""The connections of a mount that are open: one for each configured name, opened when it is needed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from typing import Any, TypeVar
from weakref import WeakValueDictionary

from authkit.errors import AuthKitError, PluginStartError
from authkit.host.backends.database.errors import EngineError
from authkit.host.backends.database.settings import ConnectionConfig
from authkit.host.store.catalog import DATABASE, Catalog, CatalogEntry, CatalogError
from authkit.host.store.plugin_errors import in_go_words
from authkit.host.store.plugins import DatabaseConnection
from authkit.values import Value

__all__ = ["OpenConnection", "OpenConnections", "call_plugin"]

_T = TypeVar("_T")


class OpenConnection(Value, frozen=True, eq=False):
    """An open connection."""

    connection: DatabaseConnection
    version: str
    """Version of the plugin that serves it."""


class OpenConnections:
    """Opens connections with the plugins of a catalog, and keeps them."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._open: dict[str, OpenConnection] = {}
        self._opening: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def get(self, name: str, config: ConnectionConfig, *, verify: bool | None = None) -> OpenConnection:
        """Return the connection, opened if need be; by default `config` says whether it is verified.

        Raises:
            EngineError: it cannot be opened.
        """
        found = self._find_open(name)
        if found is not None:
            return found
        async with self._lock(name):
            found = self._find_open(name)
            if found is not None:
                return found
            await self.drop(name)
            opened, _ = await self.open(config, verify=verify, prefix="unable to create database instance: ")
            self._open[name] = opened
            return opened

    async def open(
        self, config: ConnectionConfig, *, verify: bool | None = None, prefix: str = ""
    ) -> tuple[OpenConnection, Mapping[str, Any]]:
        """Open a connection that is not kept; return it, and the settings to store.

        Raises:
            EngineError: it cannot be opened. `prefix` is put before the text if the plugin does not start.
        """
        entry = self._find(config)
        if entry is None:
            raise EngineError(f"{prefix}{_not_found(config)}")
        verify = config.verify_connection if verify is None else verify
        try:
            plugin = self._catalog.database(entry)
            connection, settings = await plugin.connect(config.connection_details, verify=verify)
        except (CatalogError, PluginStartError) as error:
            text = str(in_go_words(error)) if isinstance(error, PluginStartError) else str(error)
            raise EngineError(f"{prefix}invalid database version: {text}") from error
        except AuthKitError as error:
            raise EngineError(f"unable to initialize: {in_go_words(error)}") from error
        return OpenConnection(connection, entry.version), settings

    async def put(self, name: str, opened: OpenConnection) -> None:
        """Keep a connection in place of another, which is closed."""
        async with self._lock(name):
            old, self._open[name] = self._open.get(name), opened
        if old is not None:
            await old.connection.close()

    async def drop(self, name: str) -> None:
        """Close a connection, if it is open."""
        found = self._open.pop(name, None)
        if found is not None:
            await found.connection.close()

    async def close(self) -> None:
        """Close all connections at the same time: one may take long."""
        await asyncio.gather(*(self.drop(name) for name in list(self._open)))

    def newest_version(self, plugin: str) -> str:
        """Return the version that a new connection is for: empty if the plugin has one without a version."""
        chosen = self._catalog.choose(DATABASE, plugin)
        return chosen.version if chosen else ""

    def _find_open(self, name: str) -> OpenConnection | None:
        found = self._open.get(name)
        return found if found is not None and found.connection.is_open else None

    def _lock(self, name: str) -> asyncio.Lock:
        """Return the lock under which this connection is opened. Other connections are not held up."""
        return self._opening.setdefault(name, asyncio.Lock())

    def _find(self, config: ConnectionConfig) -> CatalogEntry | None:
        return self._catalog.choose(DATABASE, config.plugin_name, config.plugin_version)


async def call_plugin(what: str, call: Awaitable[_T]) -> _T:
    """Return a plugin's answer.

    Raises:
        EngineError: the call failed; `what` is put before the text, as the client of Vault's SDK puts it.
    """
    try:
        return await call
    except AuthKitError as error:
        raise EngineError(f"{what}: {in_go_words(error)}") from error


def _not_found(config: ConnectionConfig) -> str:
    version = f", version={config.plugin_version}" if config.plugin_version else ""
    return f"plugin not found in the catalog: {config.plugin_name}{version}"
