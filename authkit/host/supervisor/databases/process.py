"""A database plugin's executable, hosted as a child process. One start: `authkit.host.supervisor.run`."""

from __future__ import annotations

from authkit.database.serving import PROTOCOL_VERSIONS
from authkit.host.supervisor.databases.supervised import SupervisedDatabase
from authkit.host.supervisor.plugin_process import PluginFile
from authkit.host.supervisor.run import ProcessRun
from authkit.host.supervisor.security import AutoMTLS

__all__ = ["DatabaseProcess"]


class DatabaseProcess(SupervisedDatabase):
    """A database plugin in a child process.

    `file` has the cookie of database plugins. The protocols of Vault before 1.6 (3 and 4) are not tried.
    """

    def __init__(self, file: PluginFile) -> None:
        super().__init__(self._start, self._start_for_probe)
        self._file = file

    async def _start(self) -> ProcessRun:
        return await self._file.start(AutoMTLS(versions=PROTOCOL_VERSIONS))

    async def _start_for_probe(self) -> ProcessRun:
        return await self._file.start(AutoMTLS(versions=PROTOCOL_VERSIONS, metadata_mode=True))
