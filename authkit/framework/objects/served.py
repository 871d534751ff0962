"""Stored objects served on paths: `Singleton` on one path, `Collection` on one for each name.

Both read, write and delete a model as operators expect it. A write overlays the provided fields on what is
stored, a patch merges into it (RFC 7396); then the whole is checked, the author's own rules
(`authkit.framework.objects.write_rules`) run, and only then it is stored. What a list shows:
`authkit.framework.objects.listing`. What handlers do with the objects:
`authkit.framework.objects.accessors`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import copy
from typing import Any, Generic, Self, TypeVar

from authkit.errors import CodedError, InternalError, UserError
from authkit.framework.documents.help import documentation
from authkit.framework.fields.schema import FieldSchema
from authkit.framework.fields.types import LowerTextType, TextType
from authkit.framework.handler_threads import invoke
from authkit.framework.models import Model
from authkit.framework.objects.accessors import (
    BoundCollection,
    BoundSingleton,
    CollectionPlace,
    SingletonPlace,
)
from authkit.framework.objects.examples import describe_example
from authkit.framework.objects.listing import LIST_FIELDS, ListInfo, list_objects, read_list_info
from authkit.framework.objects.resets import find_resets, reset_warning
from authkit.framework.objects.secret_destinations import verify_destinations
from authkit.framework.objects.write_rules import Ruled, Write
from authkit.framework.routing.calls import Call
from authkit.framework.routing.declarations import MountContext
from authkit.framework.routing.paths import PathTemplate
from authkit.framework.routing.routes import Route
from authkit.framework.stored.cached_values import discard
from authkit.framework.stored.storage_keys import KeyRange, Span
from authkit.logical import Operation, Response
from authkit.values import replace as with_changes

__all__ = ["BoundCollection", "BoundSingleton", "Collection", "Singleton"]

B = TypeVar("B", covariant=True)
M = TypeVar("M", bound=Model)


class _Served(Ruled[B], Generic[B, M]):
    """What singletons and collections share: the model and its way into storage."""

    def __init__(
        self,
        model: type[M],
        *,
        seal_wrap: bool,
        local: bool,
        replace: bool,
        example: Mapping[str, Any] | None,
        help: str,
    ) -> None:
        super().__init__()
        self.infos = describe_example(model, example)
        self.model = model
        self.seal_wrap = seal_wrap
        self.local = local
        self.replace = replace
        self.help = help

    def with_model(self, model: type[M]) -> Self:
        """Return the same object with a model that extends its own, for a class that extends the backend.

        ::

            class Extended(Acme, name="extended"):
                config = Acme.config.with_model(ExtendedConfig)

        Rules for writes stay, and handlers that take the object get the extended one.

        Raises:
            TypeError: the model does not extend that of the object.
        """
        if not issubclass(model, self.model):
            raise TypeError(f"{model.__name__} does not extend {self.model.__name__}")
        extended = copy(self)
        # A declaration does not change; this one is not in a class yet.
        place = with_changes(vars(self)["place"], model=model)
        vars(extended).update(model=model, place=place, attribute="", _loose=[])
        return extended

    async def write_object(self, backend: MountContext, call: Call, key: str, name: str = "") -> None:
        """Write or patch the object of `key`, as the request says.

        Raises:
            UserError, FieldError: the model or a rule refuses it, or a secret would go elsewhere; nothing is
                stored.
            CodedError: there is nothing to patch.
            InternalError: there is a rule that no class has.
        """
        store = backend.objects
        try:
            rules = self.rules_in(type(backend))
        except TypeError as error:
            raise InternalError(str(error)) from error
        async with store.lock(key):
            stored = await store.find(key, self.model)
            new = self._changed(stored, call)
            if stored is not None:
                verify_destinations(stored, new, call.data)
            new.verify()
            provided = frozenset(call.data.values) | call.data.nulls
            write = Write(new=new, stored=stored, provided=provided, call=call, name=name)
            try:
                for rule in rules:
                    await invoke(rule, backend, write)
                await store.put(key, new, seal_wrap=self.seal_wrap)
                if stored is not None and (resets := find_resets(stored, new, call.data)):
                    call.warn(reset_warning(resets))
                source = await store.find(key, self.model) if write.to_cache else None
            except BaseException:
                for _, value in write.to_cache:
                    await discard(value)
                raise
            for cached, value in write.to_cache:
                # What another node has deleted meanwhile is offered to nobody, and closed like any other.
                backend.cached_values.offer(cached.name, key, source or new, value)

    def _changed(self, stored: M | None, call: Call) -> M:
        if call.request.operation is not Operation.PATCH:
            return self.model.overlaid(stored, call.data.values, replace=self.replace)
        if stored is None:
            # An empty answer would be HTTP 204: the client would take it for done.
            raise CodedError(404, "resource does not exist")
        return stored.patched(call.data)

    def _documentation(self) -> tuple[str, str]:
        synopsis, description = documentation(self.model)
        return self.help or synopsis, description


class Singleton(_Served[BoundSingleton[M], M]):
    """One object on one path, stored under that path: read, write, patch, delete.

    Args:
        seal_wrap: the host encrypts it with the seal as well, where it can.
        local: it is not replicated to other clusters (Vault Enterprise).
        replace: a write replaces the whole object instead of overlaying the provided fields. Its answer warns
            of the settings that it has reset because the request does not name them; a patch resets none.
        deletable: whether the path has a delete operation.
        missing: what a caller reads who needs the object while there is none; by default what
            `Backend.missing_object` of the class says.
        example: the fields of a write, as JSON: documents show it, and `authkit dev` as a command.
        help: one line for help pages; by default that of the model's docstring.
    """

    def __init__(
        self,
        model: type[M],
        path: str,
        *,
        seal_wrap: bool = False,
        local: bool = False,
        replace: bool = False,
        deletable: bool = True,
        missing: str = "",
        example: Mapping[str, Any] | None = None,
        help: str = "",
    ) -> None:
        super().__init__(model, seal_wrap=seal_wrap, local=local, replace=replace, example=example, help=help)
        self.template = PathTemplate.parse(path)
        if self.template.names:
            raise ValueError(f"a singleton has one path, {path!r} has many")
        self.key = path
        self.deletable = deletable
        self.place = SingletonPlace(model=model, key=path, seal_wrap=seal_wrap, missing=missing)

    def bind(self, mount: MountContext) -> BoundSingleton[M]:
        """Return the object of this mount."""
        missing = self.place.missing or mount.missing_object.format(path=self.key)
        return BoundSingleton(with_changes(self.place, missing=missing), mount.objects)

    def routes(self, backend: type[MountContext]) -> Iterable[Route]:
        """Return the one route. It has no existence check: a write is always an update.

        Raises:
            TypeError: there is a rule that no class has.
        """
        self.rules_in(backend)
        synopsis, description = self._documentation()
        operations = {
            Operation.READ: self._read,
            Operation.UPDATE: self._write,
            Operation.PATCH: self._write,
        }
        if self.deletable:
            operations[Operation.DELETE] = self._delete
        return [
            Route(
                path=self.template,
                operations=operations,
                fields=self.model.schema,
                infos=self.infos,
                synopsis=synopsis,
                description=description,
            )
        ]

    def stored_keys(self) -> Iterable[KeyRange]:
        """Return the key."""
        return [KeyRange(self.key)]

    def seal_wrapped(self) -> Iterable[str]:
        """Return the key, if it is to be sealed."""
        return [self.key] if self.seal_wrap else []

    def local_stored(self) -> Iterable[str]:
        """Return the key, if it stays in this cluster."""
        return [self.key] if self.local else []

    async def _read(self, backend: MountContext, call: Call) -> Response | None:
        found = await backend.objects.find(self.key, self.model)
        return None if found is None else Response(data=found.read_shape())

    async def _write(self, backend: MountContext, call: Call) -> Response | None:
        await self.write_object(backend, call, self.key)
        return None

    async def _delete(self, backend: MountContext, call: Call) -> Response | None:
        await self.bind(backend).delete()
        return None


class Collection(_Served[BoundCollection[M], M]):
    """Objects by name on a path such as `role/{name}`, stored under that path.

    Serves create, read, update, patch and delete on it, list on `role/`, and the existence check.
    `seal_wrap`, `local`, `replace`, `example` and `help` mean what they mean for a `Singleton`.

    Args:
        lower_names: names are lower-cased, in requests and in storage.
        noun: what one object is called in messages; by default the path's first segment, `role` for `roles/`.
        list_info: what a list tells of each object, as `key_info`: names of fields, shown as in a read, or
            a function that returns an object to show. No secrets: lists are often open to more people.
    """

    def __init__(
        self,
        model: type[M],
        path: str,
        *,
        lower_names: bool = True,
        noun: str = "",
        list_info: ListInfo[M] = (),
        seal_wrap: bool = False,
        local: bool = False,
        replace: bool = False,
        example: Mapping[str, Any] | None = None,
        help: str = "",
    ) -> None:
        super().__init__(model, seal_wrap=seal_wrap, local=local, replace=replace, example=example, help=help)
        self.template = PathTemplate.parse(path)
        prefix, names = self.template.prefix, self.template.names
        if not prefix.endswith("/") or len(names) != 1 or path != f"{prefix}{{{names[0]}}}":
            raise ValueError(f"the path of a collection is like 'role/{{name}}', not {path!r}")
        self.name_field = self.template.names[0]
        if self.name_field in model.schema:
            raise TypeError(f"{path!r} captures a field of {model.__name__}; name one of them differently")
        self.lower_names = lower_names
        self.noun = noun or _noun_of(path.partition("/")[0])
        self.place = CollectionPlace(
            model=model, prefix=prefix, seal_wrap=seal_wrap, noun=self.noun, lower_names=lower_names
        )
        self.list_info = read_list_info(model, list_info)

    def bind(self, mount: MountContext) -> BoundCollection[M]:
        """Return the objects of this mount."""
        return BoundCollection(self.place, mount.objects)

    def routes(self, backend: type[MountContext]) -> Iterable[Route]:
        """Return the route of the list and that of one object.

        Raises:
            TypeError: there is a rule that no class has.
        """
        self.rules_in(backend)
        synopsis, description = self._documentation()
        listing = PathTemplate.parse(self.template.prefix.rstrip("/"), optional_slash=True)
        return [
            Route(
                path=listing,
                operations={Operation.LIST: self._list},
                fields=LIST_FIELDS,
                synopsis=f"List the names of every {self.noun}.",
            ),
            Route(
                path=self.template,
                operations={
                    Operation.CREATE: self._write,
                    Operation.READ: self._read,
                    Operation.UPDATE: self._write,
                    Operation.PATCH: self._write,
                    Operation.DELETE: self._delete,
                },
                fields=self._fields(),
                infos=self.infos,
                exists=self._exists,
                synopsis=synopsis,
                description=description,
            ),
        ]

    def stored_keys(self) -> Iterable[KeyRange]:
        """Return all keys of a name below the prefix."""
        return [KeyRange(self.template.prefix, Span.NAME)]

    def seal_wrapped(self) -> Iterable[str]:
        """Return the prefix of all keys, if they are to be sealed."""
        return [self.template.prefix] if self.seal_wrap else []

    def local_stored(self) -> Iterable[str]:
        """Return the prefix of all keys, if they stay in this cluster."""
        return [self.template.prefix] if self.local else []

    def _fields(self) -> Mapping[str, FieldSchema]:
        kind = LowerTextType() if self.lower_names else TextType()
        name = FieldSchema(name=self.name_field, type=kind, help=f"Name of the {self.noun}.")
        return {self.name_field: name, **self.model.schema}

    def _key(self, call: Call) -> str:
        key = self.place.find_key(call.data.get(self.name_field, ""))
        if key is None:
            raise UserError(f"invalid {self.noun} name")
        return key

    async def _read(self, backend: MountContext, call: Call) -> Response | None:
        found = await backend.objects.find(self._key(call), self.model)
        return None if found is None else Response(data=found.read_shape())

    async def _write(self, backend: MountContext, call: Call) -> Response | None:
        name = call.data.get(self.name_field, "")
        await self.write_object(backend, call, self._key(call), name)
        return None

    async def _delete(self, backend: MountContext, call: Call) -> Response | None:
        key = self._key(call)
        async with backend.objects.lock(key):
            await backend.objects.delete(key)
        return None

    async def _list(self, backend: MountContext, call: Call) -> Response | None:
        return await list_objects(self.place, backend, call, self.list_info)

    async def _exists(self, backend: MountContext, call: Call) -> bool:
        return await backend.objects.find(self._key(call), self.model) is not None


def _noun_of(segment: str) -> str:
    """Return what one object below a segment is called: `static role` below `static-roles` of an engine."""
    return segment.removesuffix("s").replace("-", " ") if segment.endswith("roles") else segment
