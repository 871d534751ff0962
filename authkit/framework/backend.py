"""The backend that authors derive from: routing, lifecycle, help, special paths.

It implements `authkit.logical.Backend` for what a class body declares. What makes it an auth method
(login, renewal, identity): `authkit.auth`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from types import MappingProxyType
from typing import Any, ClassVar, Final

from authkit.errors import InternalError, UnsupportedOperationError, UnsupportedPathError, UserError
from authkit.framework.documents.help_requests import HelpPages
from authkit.framework.fields.schema import FieldData, FieldOptions
from authkit.framework.fields.secrets import secret_texts
from authkit.framework.handler_threads import HandlerThreads
from authkit.framework.objects.write_rules import Ruled
from authkit.framework.replication import Node, verify_serves_writes
from authkit.framework.routing.calls import Call
from authkit.framework.routing.declarations import Declaration
from authkit.framework.routing.route_table import RouteTable
from authkit.framework.routing.routes import Route
from authkit.framework.routing.warnings import add_warnings
from authkit.framework.stored.cached_values import CachedValues
from authkit.framework.stored.storage_keys import verify_disjoint
from authkit.framework.stored.store import ObjectStore
from authkit.framework.tasks.periodic import Scheduler, find_tasks
from authkit.framework.tasks.rollbacks import find_rollbacks
from authkit.framework.tasks.wal import WriteAheadLog
from authkit.logical import (
    BackendConfig,
    BackendFactory,
    BackendType,
    Gauges,
    Operation,
    Request,
    Response,
    SpecialPaths,
)
from authkit.names import plugin_version, verify_plugin_name
from authkit.values import replace

__all__ = ["Backend"]

_OF_THE_MOUNT: Final = frozenset(
    {Operation.RENEW, Operation.REVOKE, Operation.ROLLBACK, Operation.ROTATE, Operation.HELP}
)
BREAK_OFF_SECONDS: Final = 0.3
"""For a `start` that is broken off. At the end of the process a whole cleanup has 0.7 (`authkit.wire`)."""
_OWN_ATTRIBUTES: Final = frozenset(
    {
        "cached_values",
        "clock",
        "events",
        "log",
        "mount_id",
        "node",
        "objects",
        "options",
        "storage",
        "system",
        "wal",
    }
)


class Backend:
    """One mount. A subclass declares what it serves; its docstring is the text of the root help page.

    ::

        class Acme(Backend, name="acme", version="1.2.0"): ...

    A class without a name is a base for others and cannot be mounted.

    Raises:
        TypeError: at definition, the declarations contradict each other or themselves.
    """

    name: ClassVar[str] = ""
    version: ClassVar[str] = ""
    """As `v1.2.0`."""
    backend_type: ClassVar[BackendType] = BackendType.LOGICAL
    call_type: ClassVar[type[Call]] = Call
    """What handlers get for a request; a subclass may say more of it."""
    grants_to_callers: ClassVar[bool] = False
    """Whether paths that need a token may grant one: hosts take that from their own backends alone."""
    missing_object: ClassVar[str] = "could not load configuration"
    """What a caller reads who needs a singleton while there is none; `{path}` is where it is written. The
    default is the text of the official JWT plugin, for auth methods."""
    warns_without_answer: ClassVar[bool] = True
    """Whether a write that answers nothing is answered to warn of fields without effect. The SDK does not."""
    declarations: ClassVar[Mapping[str, Declaration[Any]]] = MappingProxyType({})
    """What the class and all its bases declare, by attribute, in order."""
    route_table: ClassVar[RouteTable] = RouteTable(())
    help_pages: ClassVar[HelpPages] = HelpPages("", route_table, backend_type)
    """Answers requests for help."""

    def __init_subclass__(cls, *, name: str = "", version: str = "", **options: Any) -> None:
        super().__init_subclass__(**options)
        for attribute in ("name", "version"):
            if attribute in vars(cls):
                raise TypeError(f"{cls.__name__}.{attribute} hides a part of Backend; name it differently")
        if name:
            verify_plugin_name(cls.__name__, name)
        cls.name, cls.version = name, plugin_version(cls.__name__, version) if version else ""
        declared = _declared(cls)
        cls.declarations = MappingProxyType(declared)
        routes = cls.make_routes()
        try:
            verify_disjoint({name: each.stored_keys() for name, each in declared.items()})
            cls.route_table = RouteTable(routes)
        except TypeError as error:
            raise TypeError(f"{cls.__name__}: {error}") from error
        cls.help_pages = HelpPages.of(cls, cls.route_table, cls.backend_type)

    @classmethod
    def make_routes(cls) -> Sequence[Route]:
        """Return the routes of the class, in the order in which they are tried."""
        return [route for declared in cls.declarations.values() for route in declared.routes(cls)]

    @classmethod
    def factory(cls) -> BackendFactory:
        """Return what serves this class: one instance for each mount.

        Raises:
            TypeError: the class has no name, or a rule of its objects stands outside a class body.
        """
        if not cls.name:
            raise TypeError(f'{cls.__name__} cannot be mounted: class {cls.__name__}(..., name="...")')
        for declared in cls.declarations.values():
            if isinstance(declared, Ruled):
                declared.rules_in(cls)
        return BackendFactory(build=cls, backend_type=cls.backend_type, version=cls.version)

    def __init__(self, config: BackendConfig) -> None:
        self.storage: Final = config.storage
        self.system: Final = config.system
        self.events: Final = config.events
        self.clock: Final = config.clock
        """What everything of the mount reads the time from: tasks, cached values, and the author's code."""
        self.options: Final = MappingProxyType(dict(config.options))
        """The mount's options."""
        self.mount_id: Final = config.backend_uuid
        """Stays the same as long as the mount exists, and no other mount has it."""
        self.log: Final = logging.getLogger(f"authkit.backend.{type(self).name}")
        self.objects: Final = ObjectStore(config.storage)
        self.node: Final = Node(config.system, config.storage)
        self.wal: Final = WriteAheadLog(
            config.storage, find_rollbacks(type(self)), config.clock.time, mount=config.backend_uuid
        )
        self.cached_values: Final = CachedValues(config.clock.monotonic)
        self._scheduler = Scheduler(find_tasks(type(self)), config.clock.monotonic, mount=config.backend_uuid)
        self._threads = HandlerThreads()
        self._starting: asyncio.Timeout | None = None
        """Of `start`, from when it is called."""
        self._start_ended = asyncio.Event()
        self._stopped = False

    # --- for authors ---------------------------------------------------------------------------

    async def start(self) -> None:
        """Begin to work: after mounting, unsealing and reloading. Override as needed."""

    async def stop(self) -> None:
        """Release what `start` took: unmount, seal, reload. Override as needed.

        Called once, and not where `start` was not called; also where `start` failed, or is broken off.
        """

    async def invalidated(self, key: str) -> None:
        """Forget what you keep of a storage key; models and `@cached` values are done already."""

    # --- authkit.logical.Backend ---------------------------------------------------------------

    def special_paths(self) -> SpecialPaths:
        """Return what follows from the declarations."""
        declared = self.declarations.values()
        sealed = dict.fromkeys(key for each in declared for key in each.seal_wrapped())
        local = dict.fromkeys(prefix for each in declared for prefix in each.local_stored())
        special = self.route_table.special
        return replace(special, seal_wrap_storage=tuple(sealed), local_storage=tuple(local))

    async def initialize(self) -> None:
        """Ask the host whether to cache, then call `start`.

        Raises:
            InternalError: the mount has ended before.
            TimeoutError: it has ended meanwhile.
        """
        self._threads.use()
        await self.objects.respect_host(self.system)
        if self._stopped:
            raise InternalError("the mount has ended before its start")
        self._starting = asyncio.timeout(None)
        self._start_ended.clear()
        try:
            async with self._starting:
                await self.start()
        finally:
            self._start_ended.set()

    async def cleanup(self) -> None:
        """Call `stop`, then close cached values. A second call does nothing.

        `stop` is left out if `start` was not called: hosts also set a mount up only to ask what it is.
        A `start` that still runs is broken off before: what it took afterwards would never be released.
        """
        if self._stopped:
            return
        self._stopped = True
        self._threads.use()
        async with AsyncExitStack() as ending:
            ending.callback(self._threads.close)
            ending.push_async_callback(self.cached_values.close)
            ending.push_async_callback(self.wal.commit_settled)
            if self._starting is not None:
                await self._break_off(self._starting)
                await self.stop()

    async def invalidate_key(self, key: str) -> None:
        """Drop a key from the cache, then call `invalidated`."""
        self._threads.use()
        self.objects.forget(key)
        await self.invalidated(key)

    def has_existence_check(self, path: str) -> bool:
        """Return whether the path has an existence check. True for unknown paths: the host reports them."""
        found = self.route_table.find(path)
        return found is None or found[0].exists is not None

    def secret_texts(self, request: Request) -> tuple[str, ...]:
        """Return what the request has in fields that are never shown."""
        found = self.route_table.find(request.path)
        if found is None:
            return ()
        route, captures = found
        return secret_texts(route.fields, {**request.data, **captures})

    def mount_gauges(self) -> Gauges:
        """Return how much the mount keeps, and how many calls wait in it."""
        return Gauges(
            cached_objects=self.objects.cached,
            wal_entries=self.wal.listed,
            waiting_calls=self._threads.waiting,
        )

    async def handle_existence_check(self, request: Request) -> bool | None:
        """Return whether the object of the path exists, `None` where no object belongs to it.

        Raises:
            UnsupportedPathError: the path does not exist.
            FieldError: a field cannot be converted.
        """
        route, captures = self._route(request.path)
        if route.exists is None:
            return None
        self._threads.use()
        data = FieldData.read(route.fields, request.data, captures)
        return await route.exists(self, self.call_type(request=request, data=data))

    async def handle_request(self, request: Request) -> Response | None:
        """Answer a request, as Vault SDK 0.21 does (framework/backend.go, HandleRequest).

        Raises:
            UnsupportedPathError, UnsupportedOperationError: nothing is served there.
            FieldError: a field cannot be converted.
            ReadOnlyError: another node has to serve it.
            TooManyRequestsError: a plain `def` handler is at work as often as it may be.
        """
        self._threads.use()
        if request.operation in _OF_THE_MOUNT:
            return await self._answer_for_mount(request)
        route, captures = self._route(request.path)
        handler = route.operations.get(request.operation)
        if handler is None:
            raise UnsupportedOperationError
        if route.info(request.operation).forward:
            await verify_serves_writes(self.system)
        data = FieldData.read(route.fields, request.data, captures)
        call = self.call_type(request=request, data=data)
        response = await handler(self, call)
        if response is None and not (self.warns_without_answer or call.warnings):
            return None
        return add_warnings(response, call, route)

    async def handle_renewal(self, request: Request) -> Response | None:
        """Renew a token or a lease. A plain backend has neither."""
        if request.auth is not None:
            raise UserError("this auth type doesn't support renew")
        raise UserError(_lease_refusal(request))

    async def handle_revocation(self, request: Request) -> None:
        """End a lease. A plain backend has none."""
        raise UserError(_lease_refusal(request))

    # -------------------------------------------------------------------------------------------

    async def _break_off(self, starting: asyncio.Timeout) -> None:
        if self._start_ended.is_set():
            return
        starting.reschedule(asyncio.get_running_loop().time())
        with suppress(TimeoutError):
            async with asyncio.timeout(BREAK_OFF_SECONDS):
                await self._start_ended.wait()

    async def _answer_for_mount(self, request: Request) -> Response | None:
        """Answer an operation that is served on every path, or on none."""
        match request.operation:
            case Operation.RENEW:
                return await self.handle_renewal(request)
            case Operation.REVOKE:
                await self.handle_revocation(request)
                return None
            case Operation.ROLLBACK:
                await self._tick(request)
                return None
            case Operation.HELP:
                return await self._explain(request)
        raise UnsupportedOperationError

    def _route(self, path: str) -> tuple[Route, Mapping[str, str]]:
        found = self.route_table.find(path)
        if found is None:
            raise UnsupportedPathError
        return found

    async def _explain(self, request: Request) -> Response:
        if not request.path:
            return await self.help_pages.explain_all(self.system, request)
        route, _ = self._route(request.path)
        return await self.help_pages.explain(route, self.system, request)

    async def _tick(self, request: Request) -> None:
        try:
            await self._scheduler.tick(self, request)
        finally:
            try:
                await self.wal.roll_back(self, request)
            finally:
                await self.cached_values.close_replaced()


def _declared(cls: type[Backend]) -> dict[str, Declaration[Any]]:
    """Return what a class and all its bases declare, in order; the lookup is Python's own.

    Raises:
        TypeError: a name is one of `Backend`, a declaration has two names, something that is none
            replaces one, or a field stands where none is read.
    """
    found: dict[str, Declaration[Any]] = {}
    for base in reversed(cls.__mro__):
        for attribute, value in vars(base).items():
            replaced = found.pop(attribute, None)
            where = f"{base.__name__}.{attribute}"
            if isinstance(value, Declaration):
                if attribute in _OWN_ATTRIBUTES or hasattr(Backend, attribute):
                    raise TypeError(f"{where} hides a part of Backend; name it differently")
                if value.attribute != attribute:
                    raise TypeError(f"{where} is one declaration under two names, also {value.attribute!r}")
                found[attribute] = value
            elif isinstance(value, FieldOptions):
                raise TypeError(
                    f"{where} would have no effect: field() is for a model, such as a Role, and for the "
                    "parameters of handlers"
                )
            elif replaced is not None and value is not None:
                # A renewal, a rule or a task would be gone, and nobody would see it.
                raise TypeError(
                    f"{where} replaces a declaration of its base; decorate it as well, or set it to None"
                )
    return found


def _lease_refusal(request: Request) -> str:
    return "request has no secret" if request.secret is None else "secret is unsupported by this backend"
