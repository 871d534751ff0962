"""Handlers of an author's own: `@read`, `@write`, `@patch`, `@delete`, `@list_` and `@route`.

::

    @read("info/{id}")
    async def info(self, settings: Settings, id: Str, verbose: Bool = False) -> Listing: ...

The parameters are, by their annotations: the `Call`, the model of a singleton, and fields of the
request: captured from the path, else from body or query. Stored objects
have handlers already: see `authkit.framework.objects.served`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Concatenate, Final, ParamSpec, Protocol, TypeVar, Unpack

from authkit.errors import InternalError, UserError
from authkit.framework.documents.help import documentation
from authkit.framework.fields.schema import FieldSchema
from authkit.framework.handlers.answers import Answerable, make_response
from authkit.framework.handlers.arguments import MAX_OPEN_FIELD_LENGTH, Arguments, read_arguments
from authkit.framework.handlers.options import HandlerOptions, operation_info, verify_options
from authkit.framework.routing.calls import Call, read_parameters
from authkit.framework.routing.declarations import MethodDeclaration, MountContext
from authkit.framework.routing.paths import PathTemplate
from authkit.framework.routing.routes import Handler, Route, join_fields
from authkit.logical import Operation, Response
from authkit.values import Value, replace

__all__ = ["Handled", "delete", "list_", "patch", "read", "route", "write"]

P = ParamSpec("P")
R = TypeVar("R", bound=Answerable | Awaitable[Answerable])

Check = Callable[..., bool | Awaitable[bool]]
"""A method that says whether the object of a path exists."""

_LISTS: Final = frozenset({Operation.LIST, Operation.SCAN})
_GLOBAL: Final = frozenset(
    {Operation.HELP, Operation.RENEW, Operation.REVOKE, Operation.ROLLBACK, Operation.ROTATE}
)
"""Operations that belong to no path, or that every path has."""


class Handled(MethodDeclaration[P, R]):
    """A method that serves operations on a path. Made by the decorators of this module."""

    def __init__(
        self,
        handler: Callable[Concatenate[Any, P], R],
        paths: Sequence[PathTemplate],
        operations: Sequence[Operation],
        exists: Check | None,
        options: HandlerOptions,
    ) -> None:
        super().__init__(handler)
        self.paths = tuple(paths)
        self.operations = tuple(operations)
        self.exists = exists
        self.options = options

    def routes(self, backend: type[MountContext]) -> Iterable[Route]:
        """Return a route for each path.

        Raises:
            TypeError: a parameter has an unknown annotation, or no parameter takes what a path captures.
        """
        return [self._route(path, backend) for path in self.paths]

    def _route(self, path: PathTemplate, backend: type[MountContext]) -> Route:
        options = self.options
        opened = options.get("unauthenticated", False)
        may_grant = opened or backend.grants_to_callers
        flow = _BoundHandler(self._read(self.handler, backend), may_grant)
        check = None if self.exists is None else _BoundExistenceCheck(self._read(self.exists, backend))
        model = self._model_fields()
        flow = replace(flow, model=model)
        fields = own = join_fields(path.text, flow.plan.fields, model)
        if check is not None:
            fields = join_fields(path.text, fields, check.plan.fields)
        missing = [name for name in path.names if name not in own]
        if missing:
            raise TypeError(
                f"{backend.__name__}: {self.handler.__qualname__} has no parameter '{missing[0]}', "
                f"which the path {path.text!r} captures"
            )
        synopsis, description = self._texts()
        info = operation_info(own, synopsis, description, options)
        handle: Handler = flow.handle
        return Route(
            path=path,
            operations=dict.fromkeys(self.operations, handle),
            fields=fields,
            exists=None if check is None else check.handle,
            unauthenticated=opened,
            sudo=options.get("sudo", False),
            limited=options.get("limited", False),
            snapshot_read=options.get("snapshot_read", False),
            arbitrary_input=options.get("arbitrary_input", False),
            synopsis=synopsis,
            description=description,
            infos=dict.fromkeys(self.operations, info),
        )

    def _read(self, handler: Callable[..., Any], backend: type[MountContext]) -> Arguments:
        bound = MAX_OPEN_FIELD_LENGTH if self.options.get("unauthenticated") else None
        try:
            parameters = read_parameters(handler)
            return read_arguments(handler, parameters, backend, call=backend.call_type, max_length=bound)
        except TypeError as error:
            raise TypeError(f"{backend.__name__}: {error}") from error

    def _model_fields(self) -> dict[str, FieldSchema]:
        """Return the fields of the option `fields`, bounded like parameters."""
        model = self.options.get("fields")
        bound = MAX_OPEN_FIELD_LENGTH if self.options.get("unauthenticated") else None
        schema = model.schema if model else {}
        return {name: replace(each, max_length=each.max_length or bound) for name, each in schema.items()}

    def _texts(self) -> tuple[str, str]:
        synopsis, description = documentation(self.handler)
        return self.options.get("summary", synopsis), self.options.get("description", description)


class HandlerDecorator(Protocol):
    """Declares a method as a handler, and keeps its parameters for type checkers."""

    def __call__(self, handler: Callable[Concatenate[Any, P], R], /) -> Handled[P, R]:
        """Return the declaration."""
        ...


class _BoundHandler(Value, frozen=True):
    """A handler on one class."""

    plan: Arguments
    may_grant: bool
    model: Mapping[str, FieldSchema] = MappingProxyType({})
    """The fields of the option `fields`."""

    async def handle(self, backend: MountContext, call: Call) -> Response | None:
        """Answer one request."""
        for name, schema in self.model.items():
            if schema.is_missing(call.data.get(name, schema.default_or_zero())):
                raise UserError(schema.missing)
        loaded = await self.plan.load_objects(backend)
        answer = await self.plan.run(backend, call, loaded)
        try:
            return make_response(answer, may_grant=self.may_grant)
        except InternalError:
            kind = type(answer).__name__
            name = self.plan.handler.__qualname__
            backend.log.error("%s returned %s, which is not a valid answer", name, kind)
            raise


class _BoundExistenceCheck(Value, frozen=True):
    """An existence check on one class."""

    plan: Arguments

    async def handle(self, backend: MountContext, call: Call) -> bool:
        """Answer whether the object exists."""
        found = await self.plan.run(backend, call, await self.plan.load_objects(backend))
        if not isinstance(found, bool):
            raise InternalError("the existence check returned no boolean")
        return found


def read(*paths: str | PathTemplate, **options: Unpack[HandlerOptions]) -> HandlerDecorator:
    """Serve reads of a path, or of several alike: HTTP GET. An answer of `None` is "not found"."""
    return _declare(paths, [Operation.READ], None, options)


def write(
    *paths: str | PathTemplate, exists: Check | None = None, **options: Unpack[HandlerOptions]
) -> HandlerDecorator:
    """Serve writes of a path, or of several alike: HTTP POST and PUT.

    With `exists`, a method that says whether the object is there, hosts tell `create` from `update`,
    in policies too; `call.request.operation` is the one it is. Without, each write is an update.
    """
    operations = [Operation.UPDATE] if exists is None else [Operation.CREATE, Operation.UPDATE]
    return _declare(paths, operations, exists, options)


def patch(*paths: str | PathTemplate, **options: Unpack[HandlerOptions]) -> HandlerDecorator:
    """Serve partial writes of paths: HTTP PATCH. `call.data.nulls` are the fields set to null."""
    return _declare(paths, [Operation.PATCH], None, options)


def delete(*paths: str | PathTemplate, **options: Unpack[HandlerOptions]) -> HandlerDecorator:
    """Serve deletes of paths: HTTP DELETE."""
    return _declare(paths, [Operation.DELETE], None, options)


def list_(*paths: str | PathTemplate, **options: Unpack[HandlerOptions]) -> HandlerDecorator:
    """Serve lists of paths: HTTP LIST, and GET with `list=true`. Return a `Listing`."""
    return _declare(paths, [Operation.LIST], None, options)


def route(
    path: str | PathTemplate,
    *operations: Operation,
    exists: Check | None = None,
    **options: Unpack[HandlerOptions],
) -> HandlerDecorator:
    """Serve operations of a path with one method; `call.request.operation` is the one that is asked for.

    Args:
        path: a template such as `info/{id}`, or `PathTemplate.from_regex(...)`.
        operations: one or more. Handlers of the same path may each serve some of its operations.
        exists: a method that says whether the object is there; needed for a create of its own.
        options: see `HandlerOptions`. `unauthenticated`, `sudo`, `limited` and `snapshot_read` belong to
            the path: all its handlers say the same.

    Raises:
        TypeError: there is no operation, or one that belongs to no path; options contradict each other.
        ValueError: the path is no template.
    """
    if not operations or _GLOBAL & set(operations):
        raise TypeError(f"a handler on {path!r} needs operations of a path, such as Operation.READ")
    return _declare([path], operations, exists, options)


def _declare(
    paths: Sequence[str | PathTemplate],
    operations: Sequence[Operation],
    exists: Check | None,
    options: HandlerOptions,
) -> HandlerDecorator:
    verify_options(options)
    if not paths:
        raise TypeError("a handler needs a path, such as 'info/{id}'")
    templates = [PathTemplate.parse(path) if isinstance(path, str) else path for path in paths]
    if _LISTS & set(operations):
        templates = [template.with_optional_slash() for template in templates]

    def declare(handler: Callable[Concatenate[Any, P], R], /) -> Handled[P, R]:
        return Handled(handler, templates, operations, exists, options)

    return declare
