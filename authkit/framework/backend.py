"""The backend that authors derive from: routing, lifecycle, help, special paths.

It implements `authkit.logical.Backend` for what a class body declares. What makes it an auth method
(login, renewal, identity) is left to `authkit.auth`.
"""

from __future__ import annotations

import inspect
import logging
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, ClassVar, Final

from authkit.errors import UnsupportedOperationError, UnsupportedPathError, UserError
from authkit.framework.calls import Call
from authkit.framework.derived import DerivedValues
from authkit.framework.help import path_page, root_page
from authkit.framework.periodic import Periodic, Scheduler
from authkit.framework.routes import Declaration, Route, RouteTable
from authkit.framework.schema import FieldData
from authkit.framework.store import ObjectStore
from authkit.logical import (
    BackendConfig,
    BackendFactory,
    BackendType,
    Operation,
    Request,
    Response,
    SpecialPaths,
)

__all__ = ["Backend"]

_VERSION: Final = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?")
_OWN_ATTRIBUTES: Final = frozenset({"derived", "events", "log", "objects", "options", "storage", "system"})
_WRITES: Final = frozenset({Operation.CREATE, Operation.UPDATE, Operation.PATCH, Operation.DELETE})


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
    declarations: ClassVar[Mapping[str, Declaration]] = MappingProxyType({})
    """What the class and its bases declare, by attribute, in order."""
    route_table: ClassVar[RouteTable] = RouteTable(())

    def __init_subclass__(cls, *, name: str = "", version: str = "", **options: Any) -> None:
        super().__init_subclass__(**options)
        cls.name, cls.version = name, ""
        if version:
            number = version.removeprefix("v")
            if _VERSION.fullmatch(number) is None:
                raise TypeError(f"{cls.__name__}: version {version!r} is not like '1.2.0'")
            cls.version = f"v{number}"
        declared = dict(cls.declarations)
        for attribute, value in vars(cls).items():
            declared.pop(attribute, None)
            if isinstance(value, Declaration):
                if attribute in _OWN_ATTRIBUTES or hasattr(Backend, attribute):
                    raise TypeError(
                        f"{cls.__name__}.{attribute} hides a part of Backend; name it differently"
                    )
                declared[attribute] = value
        cls.declarations = MappingProxyType(declared)
        cls.route_table = RouteTable(cls.make_routes())

    @classmethod
    def make_routes(cls) -> Sequence[Route]:
        """Return the routes of the class, in the order in which they are tried."""
        return [route for declared in cls.declarations.values() for route in declared.routes(cls)]

    @classmethod
    def factory(cls) -> BackendFactory:
        """Return what serves this class: one instance for each mount.

        Raises:
            TypeError: the class has no name.
        """
        if not cls.name:
            raise TypeError(f'{cls.__name__} cannot be mounted: class {cls.__name__}(..., name="...")')
        return BackendFactory(build=cls, backend_type=cls.backend_type, version=cls.version)

    def __init__(self, config: BackendConfig, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.storage: Final = config.storage
        self.system: Final = config.system
        self.events: Final = config.events
        self.options: Final = config.options
        """The mount's options."""
        self.log: Final = logging.getLogger(f"authkit.backend.{type(self).name}")
        self.objects: Final = ObjectStore(config.storage)
        self.derived: Final = DerivedValues(clock)
        tasks = [task for task in self.declarations.values() if isinstance(task, Periodic)]
        self._scheduler = Scheduler(tasks, clock)
        self._stopped = False

    # --- for authors ---------------------------------------------------------------------------

    async def start(self) -> None:
        """Begin to work: after mounting, unsealing and reloading. Override as needed."""

    async def stop(self) -> None:
        """Release what `start` took: unmount, seal, reload. Called once. Override as needed."""

    async def invalidated(self, key: str) -> None:
        """Forget what you keep of a storage key; models and `@cached` values are done already."""

    # --- authkit.logical.Backend ---------------------------------------------------------------

    def special_paths(self) -> SpecialPaths:
        """Return what follows from the declarations."""
        open_paths = {r.path.special_pattern(): None for r in self.route_table.routes if r.unauthenticated}
        sealed = [key for declared in self.declarations.values() for key in declared.seal_wrapped()]
        return SpecialPaths(unauthenticated=tuple(open_paths), seal_wrap_storage=tuple(sealed))

    async def initialize(self) -> None:
        """Call `start`."""
        await self.start()

    async def cleanup(self) -> None:
        """Call `stop`, and close derived values. A second call does nothing."""
        if self._stopped:
            return
        self._stopped = True
        try:
            await self.stop()
        finally:
            await self.derived.close()

    async def invalidate_key(self, key: str) -> None:
        """Drop a key from the cache, then call `invalidated`."""
        self.objects.forget(key)
        await self.invalidated(key)

    async def handle_existence_check(self, request: Request) -> bool | None:
        """Return whether the object of the path exists, `None` where no object belongs to it.

        Raises:
            UnsupportedPathError: there is no such path.
            FieldError: a field cannot be converted.
        """
        route, captures = self._route(request.path)
        if route.exists is None:
            return None
        data = FieldData.read(route.fields, request.data, captures)
        return await route.exists(self, Call(request=request, data=data))

    async def handle_request(self, request: Request) -> Response | None:
        """Answer a request, as Vault SDK 0.21 does (framework/backend.go, HandleRequest).

        Raises:
            UnsupportedPathError, UnsupportedOperationError: nothing is served there.
            FieldError: a field cannot be converted.
        """
        if request.operation is Operation.RENEW:
            return await self.handle_renewal(request)
        if request.operation is Operation.REVOKE:
            raise UserError(_lease_refusal(request))
        if request.operation is Operation.ROLLBACK:
            await self._tick(request)
            return None
        if request.operation is Operation.HELP and not request.path:
            page = root_page(inspect.getdoc(type(self)) or "", self.route_table.routes)
            return Response(data={"help": page, "see_also": None})
        route, captures = self._route(request.path)
        handler = route.operations.get(request.operation)
        if handler is None:
            return self._help_or_refuse(request, route)
        data = FieldData.read(route.fields, request.data, captures)
        call = Call(request=request, data=data)
        return _with_warnings(await handler(self, call), call, route)

    async def handle_renewal(self, request: Request) -> Response | None:
        """Renew a token or a lease. A plain backend has neither."""
        if request.auth is not None:
            raise UserError("this auth type doesn't support renew")
        raise UserError(_lease_refusal(request))

    # -------------------------------------------------------------------------------------------

    def _route(self, path: str) -> tuple[Route, dict[str, str]]:
        found = self.route_table.find(path)
        if found is None:
            raise UnsupportedPathError
        return found

    @staticmethod
    def _help_or_refuse(request: Request, route: Route) -> Response:
        if request.operation is not Operation.HELP:
            raise UnsupportedOperationError
        return Response(data={"help": path_page(request.path, route), "see_also": None})

    async def _tick(self, request: Request) -> None:
        try:
            await self._scheduler.tick(self, request)
        finally:
            await self.derived.close_replaced()


def _lease_refusal(request: Request) -> str:
    return "request has no secret" if request.secret is None else "secret is unsupported by this backend"


def _with_warnings(response: Response | None, call: Call, route: Route) -> Response | None:
    """Add what the handler and the framework have to say.

    An empty answer to a read or list stays empty: that is how a host knows that nothing is there.
    """
    warnings = list(call.warnings)
    if call.data.ignored and not route.arbitrary_input:
        names = " ".join(call.data.ignored)
        warnings.append(f"Endpoint ignored these unrecognized parameters: [{names}]")
    if call.data.replaced:
        names = " ".join(call.data.replaced)
        warnings.append(
            "Endpoint replaced the value of these parameters with the values captured from the "
            f"endpoint's path: [{names}]"
        )
    if not warnings or (response is None and call.request.operation not in _WRITES):
        return response
    response = response or Response()
    if response.is_error or response.raw is not None:
        return response
    return replace(response, warnings=(*response.warnings, *warnings))
