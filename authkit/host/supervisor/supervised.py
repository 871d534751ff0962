"""Mounts of a plugin that survive its crashes, and the catalog entry that sets them up.

On a new run a mount is set up and initialized once more with the same configuration, as on a Vault
server (1.21, builtin/plugin/v5/backend.go, reloadBackend). A call in flight at the crash is not
repeated: its effects are unknown.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import string
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TypeVar

from authkit.errors import AuthKitError, PluginGoneError, RPCError, StatusCode
from authkit.host.store.plugin_errors import status_text
from authkit.host.store.plugins import HostedBackend
from authkit.host.supervisor.backend_client import BackendClient
from authkit.host.supervisor.services.mount import host_services, services_of_a_probe
from authkit.host.supervisor.supervisor import Launch, Run, Supervisor, Supervisors
from authkit.logical import BackendConfig, BackendType, Request, Response, SpecialPaths
from authkit.values import Value
from authkit.wire.messages import MountSetup

__all__ = [
    "SupervisedMount",
    "SupervisedPlugin",
    "client_of",
    "gone",
    "is_over",
    "new_multiplex_id",
    "run_for_probe",
    "set_up_for_probe",
]

logger = logging.getLogger("authkit.host")

END_IS_SEEN = timedelta(seconds=3)
"""How long after its connection closes a process may take to be reported as ended."""

FIRST_MULTIPLEXED = 5
"""The first application protocol in which calls name their mount."""

_ALPHABET = string.ascii_letters + string.digits

_T = TypeVar("_T")


class _Attachment(Value, frozen=True, eq=False):
    """A mount set up in one run."""

    run: Run
    client: BackendClient
    broker_id: int


class SupervisedMount:
    """One mount of a plugin. See `authkit.host.store.plugins.HostedBackend`."""

    def __init__(self, supervisor: Supervisor, config: BackendConfig) -> None:
        self._supervisor = supervisor
        self._config = config
        self._attachment: _Attachment | None = None
        self._attaching = asyncio.Lock()
        self._is_initialized = False
        self._is_ended = False

    async def set_up(self) -> BackendClient:
        """Set the backend up in the current run, and return the client to it."""
        return (await self._attached()).client

    async def revive(self) -> None:
        """Move to the current run. The next call retries after a failure."""
        try:
            await self._attached()
        except (AuthKitError, OSError) as error:
            logger.warning("a mount could not be set up again: %s", error)

    async def special_paths(self) -> SpecialPaths:
        """Return the special paths."""
        return await self._do(lambda client: client.special_paths())

    async def initialize(self) -> None:
        """Initialize the backend."""
        try:
            await self._do(lambda client: client.initialize())
        finally:
            self._is_initialized = True

    async def handle_request(self, request: Request) -> Response | None:
        """Return the answer to a request."""
        return await self._do(lambda client: client.handle_request(request))

    async def handle_existence_check(self, request: Request) -> bool | None:
        """Return whether the object exists."""
        return await self._do(lambda client: client.handle_existence_check(request))

    async def invalidate_key(self, key: str) -> None:
        """Report that a storage key was changed elsewhere."""
        await self._do(lambda client: client.invalidate_key(key))

    async def cleanup(self) -> None:
        """End the mount. The plugin ends with its last mount."""
        if self._is_ended:
            return
        self._is_ended = True
        attachment, self._attachment = self._attachment, None
        try:
            if attachment is not None:
                await _detach(attachment)
        finally:
            await self._supervisor.leave(self)

    # --- from run to run ---------------------------------------------------------------------

    async def _do(self, call: Callable[[BackendClient], Awaitable[_T]]) -> _T:
        attachment = await self._attached()
        try:
            return await call(attachment.client)
        except RPCError as error:
            if await is_over(attachment.run, error):
                raise gone(attachment.run) from error
            raise

    async def _attached(self) -> _Attachment:
        """Return the attachment to the current run. Attach first if needed."""
        attachment = self._attachment
        if attachment is not None and not attachment.run.ended.done():
            return attachment
        async with self._attaching:
            self._require_going_on()
            run = await self._supervisor.current()
            attachment = self._attachment
            if attachment is None or attachment.run is not run:
                attachment = await self._attach(run)
                try:
                    self._require_going_on()
                except PluginGoneError:
                    await _detach(attachment)
                    raise
                self._attachment = attachment
            return attachment

    def _require_going_on(self) -> None:
        if self._is_ended:
            raise PluginGoneError("the mount has ended")

    async def _attach(self, run: Run) -> _Attachment:
        client = client_of(run)
        broker_id = await run.offer(host_services(self._config))
        try:
            await client.set_up(
                MountSetup(
                    broker_id=broker_id,
                    options=self._config.options,
                    backend_uuid=self._config.backend_uuid,
                )
            )
            if self._is_initialized:
                await client.initialize()
        except BaseException as error:
            await run.withdraw(broker_id)
            if isinstance(error, RPCError) and await is_over(run, error):
                raise gone(run) from error
            raise
        return _Attachment(run, client, broker_id)


class SupervisedPlugin:
    """A catalog entry whose mounts survive its crashes. See `authkit.host.store.plugins.HostedPlugin`.

    `launch` starts the plugin. A plugin that is not multiplexed is started once per mount.
    """

    def __init__(self, launch: Launch, launch_for_probe: Launch | None = None) -> None:
        self._launch_for_probe = launch_for_probe or launch
        self._supervisors = Supervisors(launch)
        self.backend_type = BackendType.UNKNOWN
        self.version = ""

    async def probe(self) -> None:
        """Start the plugin on its own, ask what it is, and stop it."""
        async with run_for_probe(self._launch_for_probe) as run:
            await self._learn(await set_up_for_probe(run))

    async def set_up(self, config: BackendConfig) -> HostedBackend:
        """Set up a mount."""
        mount = await self._supervisors.join(lambda supervisor: SupervisedMount(supervisor, config))
        try:
            client = await mount.set_up()
            if self.backend_type is BackendType.UNKNOWN:
                await self._learn(client)
        except BaseException:
            # A Vault server leaves the process of a mount that failed running; this one does not.
            await mount.cleanup()
            raise
        return mount

    async def close(self) -> None:
        """End every mount and the process."""
        await self._supervisors.close()

    async def _learn(self, client: BackendClient) -> None:
        self.version = await client.version()
        self.backend_type = await client.backend_type()


def client_of(run: Run) -> BackendClient:
    """Return a client for a new mount."""
    return BackendClient(run.channel, "" if run.protocol < FIRST_MULTIPLEXED else new_multiplex_id())


def new_multiplex_id() -> str:
    """Return a name for an instance. It has Vault's form: ten characters of base62."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(10))


@asynccontextmanager
async def run_for_probe(launch: Launch) -> AsyncIterator[Run]:
    """Start a plugin, and stop it at the end of the context.

    Raises:
        PluginStartError: it did not start.
        PluginGoneError: it ended during a call.
    """
    run = await launch()
    try:
        yield run
    except RPCError as error:
        if await is_over(run, error):
            raise gone(run) from error
        raise
    finally:
        await run.stop()


async def set_up_for_probe(run: Run) -> BackendClient:
    """Set a backend up without options, storage or system view, as registration does; return its client."""
    client = client_of(run)
    await client.set_up(MountSetup(broker_id=await run.offer(services_of_a_probe())))
    return client


async def _detach(attachment: _Attachment) -> None:
    if not attachment.run.ended.done():
        await attachment.client.cleanup()
        await attachment.run.withdraw(attachment.broker_id)


async def is_over(run: Run, error: RPCError) -> bool:
    """Return whether a call failed because the plugin ended."""
    if error.code not in (StatusCode.UNAVAILABLE, StatusCode.CANCELLED):
        return False
    await asyncio.wait({run.ended}, timeout=END_IS_SEEN.total_seconds())
    return run.ended.done()


def gone(run: Run) -> PluginGoneError:
    """Return the error for a call that the plugin's end interrupted, with a Vault server's text."""
    status = RPCError(StatusCode.UNAVAILABLE, "error reading from server: EOF")
    return PluginGoneError(status_text(status), hint=run.ended.result())
