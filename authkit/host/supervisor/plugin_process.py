"""A plugin executable, hosted as a child process over go-plugin's handshake and mutual TLS.

`PluginProcess` tries protocol 5 first, then 4, as a Vault server does for a catalog entry. One start: `run`.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta

from authkit.errors import PluginStartError
from authkit.host.supervisor.environment import BACKEND_COOKIE, Cookie, plugin_environment
from authkit.host.supervisor.logs import PluginLog
from authkit.host.supervisor.run import (
    START_TIMEOUT,
    OnLog,
    OnOutput,
    ProcessOptions,
    ProcessRun,
    start_process,
)
from authkit.host.supervisor.security import AutoMTLS, Metadata, Security, SharedIdentity, host_identity
from authkit.host.supervisor.supervised import SupervisedPlugin
from authkit.plugin.security.certificates import TLSIdentity

__all__ = ["PluginFile", "PluginProcess", "WrapIdentity"]

logger = logging.getLogger("authkit.host.plugin")

WrapIdentity = Callable[[TLSIdentity], Awaitable[str]]
"""Puts an identity behind a wrapping token of the host's API, and returns the token in JWT form."""


class PluginFile:
    """An executable, and how it is started.

    Args:
        path: the executable.
        sha256: of its content, in hexadecimal; compared right before every start.
        arguments: `argv[1:]`.
        environment: what was registered; above the host's own, below the protocol's variables.
        name: for log lines; by default the file's name.
        start_timeout: until the handshake line.
        on_log: called with each log record of the plugin; `logging` gets it too.
        on_output: called with what the author's code prints (1 or 2 for the stream, and the bytes).
        engine: name of the gRPC engine, empty for the default one.
        cookie: says which kind of plugin it is.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        sha256: str,
        arguments: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        name: str = "",
        start_timeout: timedelta = START_TIMEOUT,
        on_log: OnLog | None = None,
        on_output: OnOutput | None = None,
        engine: str = "",
        cookie: Cookie = BACKEND_COOKIE,
    ) -> None:
        self.path = os.fspath(path)
        self.name = name or os.path.basename(self.path)
        self._sha256 = sha256
        self._arguments = tuple(arguments)
        self._environment = dict(environment or {})
        self._timeout = start_timeout
        self._on_log = on_log
        self._on_output = on_output
        self._engine = engine
        self._cookie = cookie

    async def start(self, security: Security) -> ProcessRun:
        """Start it.

        Raises:
            PluginStartError: a step failed.
        """
        environment = plugin_environment(
            security, inherited=os.environ, registered=self._environment, cookie=self._cookie
        )
        return await start_process(
            ProcessOptions(
                path=self.path,
                arguments=self._arguments,
                environment=environment,
                sha256=self._sha256,
                security=security,
                timeout=self._timeout,
                engine=self._engine,
                on_log=self._log,
                on_output=self._on_output or (lambda stream, data: None),
            )
        )

    def _log(self, record: PluginLog) -> None:
        pairs = {"plugin": self.name, **record.pairs}
        if record.module:
            pairs["module"] = record.module
        if record.fault:
            pairs["fault"] = record.fault
        logger.log(record.level, "%s", record.message, extra={"kv": pairs})
        if self._on_log is not None:
            self._on_log(record)


class PluginProcess(SupervisedPlugin):
    """A plugin (`authkit.host.store.plugins.HostedPlugin`) whose backends live in a child process.

    One process serves all mounts if the plugin can, else each has its own. It is started for the
    first mount, anew after a crash, and ends with the last mount.

    Args:
        file: what is started.
        wrap: makes the wrapping token by which a plugin of protocol 4 gets its identity. Without it
            such a plugin can be probed, not mounted.
    """

    def __init__(self, file: PluginFile, *, wrap: WrapIdentity | None = None) -> None:
        super().__init__(self._start_to_serve, self._start_for_probe)
        self.file = file
        self._wrap = wrap
        self._has_served = False

    async def _start_to_serve(self) -> ProcessRun:
        try:
            run = await self.file.start(AutoMTLS())
        except PluginStartError as error:
            if self._has_served:
                raise  # a plugin that once spoke protocol 5 is not tried with another one
            return await self._fall_back(error)
        self._has_served = True
        return run

    async def _start_for_probe(self) -> ProcessRun:
        try:
            return await self.file.start(AutoMTLS())
        except PluginStartError as first:
            try:
                return await self.file.start(Metadata())
            except PluginStartError as second:
                raise _both(first, second) from second

    async def _fall_back(self, first: PluginStartError) -> ProcessRun:
        """Try protocol 4 as a server does: asked in plaintext what it is, then served over its own TLS."""
        try:
            asked = await self.file.start(Metadata())
            await asked.stop()
            if self._wrap is None:
                raise PluginStartError(
                    "protocol 4 needs a wrapping token, which this host does not make",
                    hint="Use a plugin that speaks protocol 5 (Vault 1.12 and later).",
                )
            identity = host_identity(server_name=os.urandom(16).hex())
            return await self.file.start(SharedIdentity(identity, await self._wrap(identity)))
        except PluginStartError as second:
            raise _both(first, second, "invalid backend version: ") from second


def _both(first: PluginStartError, second: PluginStartError, what: str = "") -> PluginStartError:
    """Return one error for a start that failed on both protocols, as a server words it."""
    text = f"{what}2 errors occurred:\n\t* {first}\n\t* {second}\n\n"
    return PluginStartError(text, hint=first.hint or second.hint)
