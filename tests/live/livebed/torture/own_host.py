"""authkit's own host with one plugin in its own process: real socket, TLS and gRPC, storage that can fail.

It does what a real server cannot be told to do: let storage calls fail or be late. And it leaves most of the
machine to the plugin, where a server would need most of it for itself.
"""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from authkit.host.mounts.storage import StorageGate
from authkit.host.mounts.table import MountTable, RunningMount
from authkit.host.server.core import Core
from authkit.host.store.catalog import CatalogEntry
from authkit.host.store.plugins import MountedBackend
from authkit.host.supervisor.executable import find_command
from authkit.host.supervisor.plugin_process import PluginFile, PluginProcess
from authkit.testing.mounts import ROOT_TOKEN, MountClient
from authkit.testing.requests import make_request
from authkit.testing.responses import ClientResponse
from authkit.testing.tokens import GrantedToken
from livebed.plugins import python_plugin
from livebed.processes import children, command_line

__all__ = ["OwnHost", "quiet"]


class OwnHost:
    """A host and a plugin's file. Use it as an asynchronous context manager.

    `body` is the launcher of the plugin (`livebed.plugins`), `name` what it is called in the catalog.
    A host that `works_by_itself` tells its mounts every minute to do their periodic work, as a real server
    does; without, each call of its storage comes from a request.
    """

    def __init__(self, name: str, body: str, *, works_by_itself: bool = False) -> None:
        self.name = name
        self._folder = Path(os.path.realpath(tempfile.mkdtemp(prefix="authkit-")))
        self._plugin = python_plugin(self._folder, name, body)
        self.core = Core(root_token=ROOT_TOKEN, plugin_maker=self._make, works_by_itself=works_by_itself)

    async def __aenter__(self) -> Self:
        await self.core.start()
        try:
            entry = CatalogEntry(
                type="", name=self.name, command=self._plugin.command, sha256=self._plugin.sha256
            )
            await self.core.catalog.register(entry)
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._stop()

    @property
    def gate(self) -> StorageGate:
        """Through which each storage call of a plugin goes."""
        return self.core.state.gate

    @property
    def pid(self) -> int:
        """The one process of the plugin."""
        (pid,) = (pid for pid in children(os.getpid()) if str(self._plugin.file) in command_line(pid))
        return pid

    async def enable(self, path: str) -> MountClient:
        """Mount the plugin at a path."""
        (await self.call("POST", f"sys/auth/{path}", {"type": self.name})).verified()
        return MountClient(self, path)

    def backend(self, path: str) -> MountedBackend:
        """Return what serves a mount: requests to it go to the process, without this host around them.

        Raises:
            LookupError: there is no such mount, or it has no process.
        """
        backend = self._mount(path).backend
        if backend is None:
            raise LookupError(f"the mount {path} has no process")
        return backend

    def storage_prefix(self, path: str) -> str:
        """Return where the keys of a mount begin in the storage of the host.

        Raises:
            LookupError: there is no such mount.
        """
        return MountTable.storage_prefix(self._mount(path).entry)

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
        """Send a request to any path of the API."""
        request = make_request(
            method, path, data, token=token, addr=addr, query=query, headers=headers, wrap_ttl=wrap_ttl
        )
        return ClientResponse.of(await self.core.handle(request))

    def find_entity(self, entity_id: str) -> None:
        """Return nothing: no part asks who somebody is."""

    def _mount(self, path: str) -> RunningMount:
        mount = self.core.state.mounts.find(f"auth/{path}/")
        if mount is None:
            raise LookupError(f"nothing is mounted at {path}")
        return mount

    def _make(self, entry: CatalogEntry) -> PluginProcess:
        command = find_command(self._folder, entry.command)
        return PluginProcess(PluginFile(command, sha256=entry.sha256, name=entry.name))

    async def _stop(self) -> None:
        await self.core.stop()
        shutil.rmtree(self._folder, ignore_errors=True)


@contextmanager
def quiet() -> Iterator[None]:
    """Let neither host nor plugin write what is expected to go wrong."""
    loggers = [logging.getLogger(name) for name in ("authkit", "jwt_auth")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
