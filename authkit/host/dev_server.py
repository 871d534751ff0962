"""The development server: a core with its API and page on a socket.

See `authkit.cli.dev` for which plugins it enables, when it reloads them, and what it prints.
"""

from __future__ import annotations

import contextlib
import hashlib
import socket
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

from authkit.errors import HostingError
from authkit.host.api_client import APIClient, APIError
from authkit.host.http.access_log import AccessLog
from authkit.host.http.application import Application
from authkit.host.http.server import serving
from authkit.host.mount_overview import MountDescription
from authkit.host.page.application import Page
from authkit.host.server.core import Core
from authkit.host.store.catalog import AUTH, CatalogEntry, CatalogError
from authkit.host.store.plugins import HostedPlugin
from authkit.host.store.storage import PhysicalStorage
from authkit.host.supervisor.executable import find_command
from authkit.host.supervisor.plugin_process import PluginProcess
from authkit.values import Value

__all__ = ["DevelopmentServer", "development_server"]


class DevelopmentServer(Value, frozen=True):
    """A running server with a root client. Set by `development_server`."""

    core: Core
    address: str
    """`http://127.0.0.1:8200`, for VAULT_ADDR."""
    client: APIClient
    """Acts with the root token."""
    plugin_directory: Path

    async def enable(self, name: str) -> str:
        """Register a file of the plugin directory as what it is, and enable it at the path of its name.

        An existing registration is updated, and an enabled plugin reloaded. Returns where it is mounted, such
        as `auth/jwt`.

        Raises:
            APIError: the host refused it. The text is a Vault server's.
        """
        sha256 = hashlib.sha256((self.plugin_directory / name).read_bytes()).hexdigest()
        try:
            entry = await self.core.catalog.register(
                CatalogEntry(type="", name=name, command=name, sha256=sha256)
            )
        except (CatalogError, HostingError) as error:
            raise APIError(400, [str(error)]) from error
        table, route = ("sys/auth", f"auth/{name}") if entry.type == AUTH else ("sys/mounts", name)
        if self.core.state.mounts.find(f"{route}/") is not None:
            await self.reload(name)
        else:
            await self.client.write(f"{table}/{name}", {"type": name})
        return route

    async def reload(self, name: str) -> None:
        """Restart the plugin's process.

        Raises:
            APIError: the reload failed.
        """
        await self.client.write("sys/plugins/reload/backend", {"plugin": name})

    async def describe(self, route: str) -> MountDescription:
        """Return what a mount offers."""
        return await self.client.describe(f"{route}/")


@contextlib.asynccontextmanager
async def development_server(
    listener: socket.socket,
    storage: PhysicalStorage,
    *,
    plugin_directory: Path,
    root_token: str,
    names: Iterable[str] = (),
    with_page: bool = True,
) -> AsyncIterator[DevelopmentServer]:
    """Serve on a listening socket inside the context. Its end stops all processes and closes the socket.

    `names` are accepted in the Host header, besides addresses and `localhost`.
    """

    def make(entry: CatalogEntry) -> HostedPlugin:
        return PluginProcess(
            find_command(plugin_directory, entry.command),
            sha256=entry.sha256,
            arguments=entry.args,
            environment=dict(pair.split("=", 1) for pair in entry.env),
            name=entry.name,
        )

    core = Core(storage=storage, root_token=root_token, plugin_maker=make)
    await core.start()
    try:
        application = Application(core, page=Page(core) if with_page else None, names=names)
        async with serving(AccessLog(application), listener):
            host, port = listener.getsockname()[:2]
            address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
            yield DevelopmentServer(core, address, APIClient(core, root_token), plugin_directory)
    finally:
        await core.stop()
