"""`config/`, `reset/` and `reload/`: the connections to databases."""

from __future__ import annotations

from typing import Any

from authkit.errors import UserError
from authkit.framework import Answer, Call, Listing, Name, delete, list_, read, write
from authkit.host.backends.database.errors import EngineError
from authkit.host.backends.database.open_connections import OpenConnection, OpenConnections
from authkit.host.backends.database.settings import (
    OWN_NAMES,
    URL_WARNING,
    ConnectionConfig,
    ConnectionFields,
    asks_for_rotation,
)
from authkit.host.store.catalog import Catalog, semantic_version
from authkit.logical import BackendConfig
from authkit.secrets import SecretsEngine

__all__ = ["Connections"]

PREFIX = "config/"


class Connections(SecretsEngine):
    """The connections of a mount."""

    def __init__(self, config: BackendConfig, catalog: Catalog) -> None:
        super().__init__(config)
        self.open_connections = OpenConnections(catalog)

    async def stop(self) -> None:
        """Close every connection."""
        await self.open_connections.close()

    # --- config --------------------------------------------------------------------------------

    async def has_connection(self, name: Name) -> bool:
        """Return whether there is a connection."""
        return await self.objects.find(PREFIX + name, ConnectionConfig) is not None

    @write("config/{name}", exists=has_connection, fields=ConnectionFields, arbitrary_input=True)
    async def write_connection(self, call: Call, name: Name) -> Answer | None:
        """Configure a connection: the plugin gets its settings, and connects unless told not to."""
        async with self.objects.lock(PREFIX + name):
            stored = await self.objects.find(PREFIX + name, ConnectionConfig)
            config = self._overlaid(stored, call)
            try:
                opened, settings = await self.open_connections.open(config)
            except EngineError as error:
                raise UserError(f"error creating database object: {error}") from error
            config = config.replaced(connection_details=settings)
            try:
                if asks_for_rotation(call.data.raw):
                    raise UserError(_NO_ROTATION)
                await self.objects.put(PREFIX + name, config, seal_wrap=True)
            except BaseException:
                await opened.connection.close()
                raise
            await self.open_connections.put(name, opened)
        if config.has_password_in_url:
            call.warn(URL_WARNING)
        return None

    def _overlaid(self, stored: ConnectionConfig | None, call: Call) -> ConnectionConfig:
        """Return what a write makes of a connection: what it does not name stays."""
        own = {name: each for name, each in call.data.values.items() if name in ConnectionFields.schema}
        settings = {name: each for name, each in call.data.raw.items() if name not in OWN_NAMES}
        before = stored.connection_details if stored else {}
        config = ConnectionConfig.overlaid(stored, own | {"connection_details": {**before, **settings}})
        if not config.plugin_name:
            raise UserError("empty plugin name")
        if config.plugin_version:
            return config.replaced(plugin_version=_canonical(config.plugin_version))
        if stored:
            return config
        newest = self.open_connections.newest_version(config.plugin_name)
        return config.replaced(plugin_version=newest)

    @read("config/{name}")
    async def read_connection(self, call: Call, name: Name) -> dict[str, Any] | None:
        """Return a connection, without secrets."""
        config = await self.objects.find(PREFIX + name, ConnectionConfig)
        if config is None:
            return None
        try:
            running = (await self.open_connections.get(name, config, verify=False)).version
        except EngineError:
            running = ""  # a server still shows the configuration
        else:
            if config.plugin_version and config.plugin_version != running:
                call.warn(_other_version(config.plugin_version, running))
        return config.show(running)

    @list_("config")
    async def list_connections(self) -> Listing:
        """Return the names of the connections."""
        return Listing(await self.objects.names(PREFIX))

    @delete("config/{name}")
    async def delete_connection(self, name: Name) -> None:
        """Remove a connection. Leases of its users stay, and can then only be revoked by force."""
        async with self.objects.lock(PREFIX + name):
            await self.objects.delete(PREFIX + name)
            await self.open_connections.drop(name)

    # --- reset and reload ----------------------------------------------------------------------

    @write("reset/{name}")
    async def reset_connection(self, name: Name) -> None:
        """Close a connection, and open it again."""
        await self.open_connections.drop(name)
        await self.connect(name)

    @write("reload/{plugin_name}")
    async def reload_plugin(self, plugin_name: Name) -> dict[str, Any]:
        """Reset every connection of a plugin."""
        reloaded = []
        for name in await self.objects.names(PREFIX):
            config = await self.objects.find(PREFIX + name, ConnectionConfig)
            if config is None or config.plugin_name != plugin_name:
                continue
            try:
                await self.reset_connection(name)
            except EngineError as error:
                self.log.error(
                    "failed to reload connection", extra={"kv": {"name": name, "error": str(error)}}
                )
            else:
                reloaded.append(name)
        return {"connections": reloaded, "count": len(reloaded)}

    # --- for the subclasses --------------------------------------------------------------------

    async def get_config(self, name: str) -> ConnectionConfig:
        """Return a connection's configuration.

        Raises:
            EngineError: there is none.
        """
        config = await self.objects.find(PREFIX + name, ConnectionConfig)
        if config is None:
            raise EngineError(f'failed to find entry for connection with name: "{name}"')
        return config

    async def connect(self, name: str) -> OpenConnection:
        """Return a connection, opened if need be.

        Raises:
            EngineError: there is none, or it cannot be opened.
        """
        return await self.open_connections.get(name, await self.get_config(name))


_NO_ROTATION = (
    "error registering rotation job: rotation manager capabilities not supported in Vault community edition"
)


def _canonical(version: str) -> str:
    try:
        return semantic_version(version)
    except ValueError:
        text = f'version "{version}" is not a valid semantic version: Malformed version: {version}'
        raise UserError(text) from None


def _other_version(configured: str, running: str) -> str:
    return (
        f'Plugin version is configured as "{configured}", but running "{running}" either due to a pinned '
        "version or because the plugin was upgraded and not yet reloaded"
    )
