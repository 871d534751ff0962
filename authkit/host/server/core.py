"""The embedded host: every request comes in here, and goes out as a Vault server would answer it.

Each part decides for itself; this module joins them. HTTP: `authkit.host.http`.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

from authkit.host.authorization import Caller
from authkit.host.backends.base import HostBackend
from authkit.host.backends.identity.backend import IdentityBackend
from authkit.host.backends.sys.backend import SystemBackend
from authkit.host.backends.sys.wrapping import find_wrapping_token
from authkit.host.backends.token.backend import TokenBackend
from authkit.host.messages import Failure, HostRequest, HostResponse, Outcome, join_errors
from authkit.host.mounts.special_paths import CompiledPaths
from authkit.host.mounts.storage import MountStorage, StorageGate
from authkit.host.mounts.system_view import MountEvents, SystemViews
from authkit.host.mounts.table import MountTable
from authkit.host.server.envelope import render
from authkit.host.server.gatekeeper import Gatekeeper
from authkit.host.server.health import public_answers
from authkit.host.server.leases import Leases
from authkit.host.server.logins import answer_login
from authkit.host.server.mount_requests import MountRequest, answer_of, ask, check_existence
from authkit.host.server.moves import Moves
from authkit.host.server.openapi import describe_mounts
from authkit.host.server.operations import Asked, parse_request, wrap_ttl_of
from authkit.host.server.renewals import renew_token
from authkit.host.server.wrapping import wrap
from authkit.host.state import HostState, Identification
from authkit.host.store.catalog import Catalog, DatabaseMaker, PluginMaker
from authkit.host.store.clock import Clock, SystemClock
from authkit.host.store.identity import IdentityStore
from authkit.host.store.leases import LeaseStore
from authkit.host.store.policies import ROOT, PolicyStore
from authkit.host.store.storage import InMemoryPhysicalStorage, PhysicalStorage
from authkit.host.store.tokens import Token, TokenStore, random_text
from authkit.logical import BackendConfig, ClusterInfo, Operation, Response
from authkit.values import replace

__all__ = ["Core", "HostRequest", "HostResponse"]

logger = logging.getLogger("authkit.host")

TICK = timedelta(seconds=60)
"""How often every mount may do its periodic work (Vault 1.21, vault/core.go, rollbackPeriod)."""

_WRAPPING_PATHS = ("sys/wrapping/lookup", "sys/wrapping/unwrap", "sys/wrapping/rewrap")
_WRITES = (Operation.UPDATE, Operation.PATCH)
_REVOKED_AT_ONCE = (
    "Secret cannot be returned; token had one use left, so leased credentials were immediately revoked."
)


class Core:
    """One host. `start` it, `handle` requests, `stop` it.

    `root_token` is valid from the start; without one a random token is made, see `root_token`. Plugins
    come from `catalog`: `add_local` for those of this process, `plugin_maker` for registered executables,
    `database_maker` for those that are database plugins.
    Unless it `works_by_itself`, expired tokens are removed, leases revoked and periodic work done by
    `run_due_work` alone.
    """

    def __init__(
        self,
        *,
        storage: PhysicalStorage | None = None,
        clock: Clock | None = None,
        root_token: str | None = None,
        plugin_maker: PluginMaker | None = None,
        database_maker: DatabaseMaker | None = None,
        works_by_itself: bool = True,
    ) -> None:
        clock = clock or SystemClock()
        physical = storage or InMemoryPhysicalStorage()
        self.root_token = root_token or f"hvs.{random_text()}"
        about = Identification(started=clock.now())
        gate, catalog = StorageGate(), Catalog(physical, plugin_maker, database_maker)
        identity = IdentityStore(physical, clock)
        self.system_views = SystemViews(identity, ClusterInfo(cluster_id=about.cluster_id))
        self.state = HostState(
            clock=clock,
            physical=physical,
            gate=gate,
            tokens=TokenStore(physical, clock),
            leases=LeaseStore(physical),
            identity=identity,
            policies=PolicyStore(physical),
            catalog=catalog,
            mounts=MountTable(physical, gate, catalog, self.system_views),
            about=about,
        )
        self.leases = Leases(self.state)
        """The leases of secrets, and their revocation."""
        self.moves = Moves(self.state, self.leases)
        """Mounts on their way to another path."""
        self.state.tokens.on_end = self.leases.expiration.end_with
        for kind in (SystemBackend, TokenBackend, IdentityBackend):
            self._serve(kind)
        self._gate = Gatekeeper(self.state)
        self._public = public_answers(self.state)
        self._works_by_itself = works_by_itself
        self._work: list[asyncio.Task[None]] = []

    def _serve(self, kind: type[HostBackend]) -> None:
        """Set one of the host's own backends behind its mount."""
        mount = self.state.mounts.own[kind.name]
        config = BackendConfig(
            storage=MountStorage(self.state.physical, f"core/own/{kind.name}/", self.state.gate),
            system=self.system_views.of(lambda: mount.entry, lambda: False),
            events=MountEvents(),
            backend_uuid=mount.entry.backend_uuid,
        )
        backend = kind(config, self.state, self)
        mount.backend, mount.paths = backend, CompiledPaths(backend.special_paths())

    @property
    def catalog(self) -> Catalog:
        """The plugins that there are."""
        return self.state.catalog

    # --- start and stop ------------------------------------------------------------------------

    async def start(self) -> None:
        """Read what is stored and start every mount.

        Raises:
            OSError: the storage cannot be read.
        """
        state = self.state
        try:
            for part in (state.policies, state.tokens, state.leases, state.identity, state.catalog):
                await part.load()
            if state.tokens.find(self.root_token) is None:
                await self._add_root_token()
            await state.mounts.start()
            self.leases.expiration.load()
        except ValueError as error:
            await self.stop()
            raise OSError(f"the storage holds what this version cannot read: {error}") from error
        except BaseException:
            await self.stop()
            raise
        if self._works_by_itself:
            work = (self._expire(), self.leases.expiration.work(), self._tick())
            self._work = [asyncio.create_task(each) for each in work]

    async def stop(self) -> None:
        """End every plugin and close the storage."""
        for task in self._work:
            task.cancel()
        await asyncio.gather(*self._work, return_exceptions=True)
        await self.moves.stop()
        await self.leases.expiration.stop()
        await self.state.mounts.stop()
        await self.state.catalog.close()
        await self.state.physical.close()

    async def _add_root_token(self) -> None:
        token = Token(
            key="",
            path="auth/token/create",
            policies=(ROOT,),
            display_name="token",
            created=self.state.clock.now(),
        )
        await self.state.tokens.add(token, self.root_token)

    async def _expire(self) -> None:
        """Remove expired tokens. This only frees memory: every lookup checks the time itself."""
        while True:
            now = self.state.clock.now()
            due = self.state.tokens.next_expiry()
            await self.state.clock.wait_until(min(due, now + TICK) if due and due > now else now + TICK)
            await _survive(self.state.tokens.expire)

    async def _tick(self) -> None:
        while True:
            await self.state.clock.wait_until(self.state.clock.now() + TICK)
            await _survive(self.run_periodic_work)

    async def run_due_work(self) -> None:
        """Do now what is due: remove expired tokens, revoke leases, let every mount do its periodic work."""
        await self.state.tokens.expire()
        await self.leases.expiration.run()
        await self.run_periodic_work()

    async def run_periodic_work(self) -> None:
        """Let every mount do its periodic work now."""
        await asyncio.gather(*(self.leases.roll_back(mount) for mount in self.state.mounts))

    # --- requests ------------------------------------------------------------------------------

    async def handle(self, request: HostRequest) -> HostResponse:
        """Answer a request. Never raises for anything that a client sends."""
        try:
            public = self._public.get(request.path)
            if public is not None:
                return public(request)
            request_id = str(uuid.uuid4())
            asked = parse_request(request)
            return render(asked, await self._answer(request, asked, request_id), request_id)
        except Failure as failure:
            return failure.response()
        except Exception:
            logger.exception("a request failed", extra={"kv": {"path": request.path}})
            return Failure(500, "internal error").response()

    async def _answer(self, request: HostRequest, asked: Asked, request_id: str) -> Outcome | None:
        wrap_ttl = wrap_ttl_of(request.wrap_ttl)
        mount = self.state.mounts.match(asked.path)
        if asked.operation in _WRITES and asked.path.endswith("/"):
            if mount is None or not mount.entry.config.trim_request_trailing_slashes:
                raise Failure(400, "cannot write to a path ending in '/'")
            asked = replace(asked, path=asked.path.rstrip("/"))
        if asked.path in _WRAPPING_PATHS:
            find_wrapping_token(self.state, asked.data, request.token)
        if mount is None:
            caller = await self._gate.authorize(request, asked, asked.operation, sudo=False)
            async with self._gate.used(caller):
                raise Failure(404, f'no handler for route "{asked.path}". route entry not found.')
        call = MountRequest(
            mount=mount,
            route=mount.entry.route,
            request=request,
            request_id=request_id,
            asked=asked,
            wrap_ttl=wrap_ttl,
        )
        is_open = mount.paths.needs_no_token(call.path)
        answer = await (self._answer_without_token(call) if is_open else self._answer_with_token(call))
        if answer is None or not answer.wrap_ttl or answer.wrap_info is not None or asked.operation is None:
            return answer
        return await wrap(
            self.state, answer, asked.operation, asked.path, request_id, is_plugins=not mount.is_own
        )

    async def _answer_with_token(self, call: MountRequest) -> Outcome | None:
        """Answer on a path that needs a token."""
        asked, operation = call.asked, call.asked.operation
        sudo = call.mount.paths.needs_sudo(call.path)
        caller = await self._gate.get_caller(call.request)
        if operation is Operation.UPDATE:
            try:
                operation = await check_existence(replace(call, caller=caller))
            except BaseException:  # the backend was asked, though it or the client may have given up
                await self._gate.count_use(caller.token)
                raise
        caller = await self._gate.authorize(call.request, asked, operation, sudo=sudo, caller=caller)
        async with self._gate.used(caller) as used:
            if operation is None:
                raise Failure(405, join_errors("unsupported operation"))
            call = replace(call, caller=used)
            routed_before = operation in (Operation.CREATE, Operation.UPDATE)
            response = await ask(call, call.to_backend(operation, routed_before=routed_before))
            answer = answer_of(call, response)
            if response is None or answer is None:
                return None
            if response.auth is not None and not call.mount.is_own:
                logger.error("unexpected Auth response for non-token backend: %s", asked.path)
                raise Failure(500, join_errors("internal error"))
            answer = replace(answer, auth=response.auth)
            answer = await self._with_lease(call, response, answer)
        if used.token.is_used_up and answer.secret is not None and answer.secret.lease_id:
            raise Failure(400, _REVOKED_AT_ONCE)
        return answer

    async def _with_lease(self, call: MountRequest, response: Response, answer: Outcome) -> Outcome:
        """Return the answer with the lease of its secret. Nothing waits before the lease is known."""
        if response.secret is None or call.mount.is_own:
            return replace(answer, secret=response.secret)
        secret, warnings = await self.leases.register(call, response)
        return replace(answer, secret=secret, warnings=answer.warnings + warnings)

    async def _answer_without_token(self, call: MountRequest) -> Outcome | None:
        """Answer on a path that needs no token, such as a login."""
        token = self.state.tokens.find(call.request.token)
        call = replace(
            call,
            unauthenticated=True,
            caller=self._gate.find_caller(call.request),
            accessor=token.accessor if token else "",
        )
        if call.mount.paths.needs_sudo(call.path):
            raise Failure(400, "cannot access root path in unauthenticated request")
        operation = call.asked.operation
        if operation is Operation.UPDATE:
            operation = await check_existence(call)
        if operation is None:
            raise Failure(405, "unsupported operation")
        return await answer_login(self.state, call, operation)

    # --- what the host's own backends ask for --------------------------------------------------

    async def renew(
        self, token: Token, increment: timedelta, *, text: str, remote_addr: str
    ) -> Response | None:
        """Renew a token at the backend that granted it."""
        return await renew_token(self.state, token, increment, text=text, remote_addr=remote_addr)

    async def describe_mounts(self, caller: Caller | None, *, generic: bool) -> dict[str, Any]:
        """Return the OpenAPI document of all mounts that the caller may see."""
        return await describe_mounts(self.state, caller, generic=generic)


async def _survive(work: Callable[[], Awaitable[None]]) -> None:
    """Do background work; a failure is logged, and the next turn tries again."""
    try:
        await work()
    except Exception:
        logger.exception("background work failed")
