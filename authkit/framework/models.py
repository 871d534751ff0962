"""Models: annotated classes whose fields are read from requests, kept in storage and shown.

::

    class TeamRole(Model):
        teams: CommaList = ()
        mode: Literal["strict", "loose"] = "strict"

        def check(self) -> None:
            if self.mode == "strict" and not self.teams:
                raise UserError("a strict role needs teams")

A field `limit: Int | None = None` tells "not set" from zero; any other field that nobody has set is its
default, or empty. Where a model is kept, and on which path it is served:
`authkit.framework.objects.served`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from inspect import get_annotations
from operator import attrgetter
from types import MappingProxyType
from typing import (
    Any,
    ClassVar,
    Final,
    NoReturn,
    Self,
    TypeVar,
    dataclass_transform,
    get_origin,
    get_type_hints,
)

from authkit.errors import FieldError, InternalError, UserError
from authkit.framework.fields.frozen import is_same
from authkit.framework.fields.schema import FieldData, FieldOptions, FieldSchema, build_schema, field
from authkit.framework.fields.types import UNSET
from authkit.values import replace

__all__ = ["VERSION_KEY", "Model"]

_OLDER_NAMES: Final = "_older_names"
"""Among the attributes of a model: which older names of its fields are in use."""

VERSION_KEY: Final = "_version"
"""Under this key each stored object says in which shape it is."""


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(field,))
class Model:
    """A value made of fields. Neither it nor what is in it changes: a write makes a new one.

    Lists are tuples, and objects dictionaries that refuse changes, at every level. What follows from it for
    each request, such as a compiled rule, can be a `functools.cached_property`: worked out once, and kept as
    long as the object.

    An annotation says how a field is read (see `authkit.framework.fields.schema`), a default or `field()`
    the rest. A field without default is required.

    Raises:
        TypeError: at definition, a field has no type or hides a method; at creation, no such field.
        InternalError: at creation, a value does not fit, or a required field is absent or empty. That is a
            fault of the code, not of a client: `overlaid` reads the values of a request.
    """

    schema: ClassVar[Mapping[str, FieldSchema]] = MappingProxyType({})
    """Every field, older names included, in order of declaration."""
    stored_version: ClassVar[int] = 1
    """The shape that `to_stored` writes. Raise it when that changes, and let `upgrade` read the old one."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        inherited: dict[str, FieldSchema] = {}
        for base in reversed(cls.__mro__[1:]):
            inherited |= vars(base).get("schema", {})
        schema = inherited | _declared_fields(cls, inherited)
        for name, declared in schema.items():
            if declared.alias_of and declared.alias_of not in schema:
                raise TypeError(f"{cls.__name__}.{name} is an alias of no field: {declared.alias_of!r}")
            if declared.alias_of and schema[declared.alias_of].alias_of:
                raise TypeError(f"{cls.__name__}.{name} is an alias of an alias")
            if declared.alias_of and declared.max_length is None:
                schema[name] = replace(declared, max_length=schema[declared.alias_of].max_length)
            for place in declared.goes_to:
                if place.partition(".")[0] not in schema:
                    raise TypeError(f"{cls.__name__}.{name}: goes_to names {place!r}, which is not a field")
        cls.schema = MappingProxyType(schema)

    def __init__(self, **values: Any) -> None:
        unknown = values.keys() - self.schema.keys()
        if unknown:
            raise TypeError(f"{type(self).__name__} has no field {sorted(unknown)[0]!r}")
        try:
            _fill(self, values)
        except FieldError as error:
            raise InternalError(f"{type(self).__name__}.{error.field}: {error.reason}") from error
        except UserError as error:
            raise InternalError(f"{type(self).__name__}: {error}") from error

    @classmethod
    def overlaid(cls, stored: Self | None, provided: Mapping[str, Any], *, replace: bool = False) -> Self:
        """Return what a write makes of `stored`: only provided fields change.

        Without `stored`, the others have their defaults; with `replace` too, except fields that say
        `reset=False`. Nothing is checked beyond the fields.

        Raises:
            UserError: a required field is absent or empty.
            FieldError: a value does not fit.
        """
        values = {} if stored is None else _values(stored)
        reset = [
            name
            for name, declared in cls.schema.items()
            if (replace if declared.reset is None else declared.reset)
        ]
        changes = {name: value for name, value in provided.items() if name in cls.schema}
        return _make(cls, _without(cls, values, (*reset, *changes)) | changes)

    def patched(self, data: FieldData) -> Self:
        """Return what a patch (RFC 7396) makes of the object. Nothing is checked beyond the fields.

        A field that is null goes back to its default, or is not set any more. Members of a map are
        merged, and a member that is null is removed. Fields that the patch does not name stay.

        Raises:
            UserError: a required field is taken away.
            FieldError: a merged value does not fit.
        """
        named = [name for name in data.raw if name in self.schema]
        kept = _without(type(self), _values(self), named)
        changes = {
            name: self.schema[name].merge(getattr(self, name), data.raw[name])
            for name in named
            if name not in data.nulls
        }
        return _make(type(self), kept | changes)

    def replaced(self, **changes: Any) -> Self:
        """Return a copy with these fields changed."""
        return type(self)(**_values(self) | changes)

    def check(self) -> None:
        """Check the whole object before it is stored; raise `UserError` to refuse it.

        Each class adds its own: the checks of the classes above run first, without `super()`.
        """

    def verify(self) -> None:
        """Run the checks of every class.

        Raises:
            UserError: one of them refused the object.
        """
        for cls in reversed(type(self).__mro__):
            if "check" in vars(cls):
                vars(cls)["check"](self)

    def read_shape(self) -> dict[str, Any]:
        """Return what a read shows: every field but the sensitive ones. Durations are integer seconds.

        An older name is shown while it is in use and not empty.
        """
        shown = {name: value for name, value in _dumped(self).items() if not self.schema[name].sensitive}
        return {name: self.schema[name].show(value) for name, value in shown.items()}

    def to_stored(self) -> dict[str, Any]:
        """Return what is kept, secrets included."""
        return {VERSION_KEY: self.stored_version, **_dumped(self)}

    @classmethod
    def upgrade(cls, stored: Mapping[str, Any], version: int) -> Mapping[str, Any]:
        """Return a stored object of an earlier shape in today's. By default it is the same.

        Override it together with `stored_version`. `version` is 0 for an object without a version,
        such as one that another plugin stored. Nothing is written: the new shape is stored by the next
        write. Whatever this raises counts as an object that cannot be read.
        """
        return stored

    @classmethod
    def from_stored(cls, data: Mapping[str, Any]) -> Self:
        """Return the object that `data` keeps. Absent keys have defaults.

        Unknown keys are passed over, and gone after the next write: what no operator can see or
        change must not come back one day. Where only the older name of a field has a value, that is taken.

        Raises:
            InternalError: a newer version of the plugin stored it.
            FieldError, UserError: it is not what `to_stored` wrote.
        """
        version = data.get(VERSION_KEY, 0)
        if isinstance(version, bool) or not isinstance(version, int) or version > cls.stored_version:
            raise InternalError("the stored object is of a newer version")
        if version < cls.stored_version:
            data = cls.upgrade(data, version)
        values = {name: value for name, value in data.items() if name in cls.schema}
        for name, declared in cls.schema.items():
            if declared.alias_of and name in values:
                unused = _is_empty(declared, values[name])
                own = cls.schema[declared.alias_of]
                if unused or _is_empty(own, values.get(own.name)):
                    values.pop(name if unused else own.name, None)
        return _make(cls, values)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} does not change; use replaced({name}=...)")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} does not change")

    def __eq__(self, other: object) -> bool:
        return other is self or (type(other) is type(self) and is_same(_state(other), _state(self)))

    def __hash__(self) -> int:
        # Maps may hold what cannot be hashed; equal models still hash alike.
        return hash((type(self), *self.schema))

    def __repr__(self) -> str:
        # Maps and texts may hold secrets that nobody declared.
        return f"<{type(self).__name__}>"


M = TypeVar("M", bound=Model)


def _make(cls: type[M], values: Mapping[str, Any]) -> M:
    """Return a model with values of a request or of storage.

    Raises:
        UserError: a required field is absent or empty.
        FieldError: a value does not fit.
    """
    made = cls.__new__(cls)
    _fill(made, values)
    return made


def _fill(model: Model, values: Mapping[str, Any]) -> None:
    schema = model.schema
    given = {name: schema[name].accept(values[name]) for name in schema if name in values}
    given = {name: value for name, value in given.items() if value is not UNSET}
    older = [name for name in given if schema[name].alias_of]
    for name in older:
        stands_for = schema[name].alias_of
        given.setdefault(stands_for, schema[stands_for].accept(given[name]))
    for name, declared in _own_fields(model).items():
        value = given.get(name, declared.default)
        if declared.is_missing(value):
            raise UserError(declared.missing)
        model.__dict__[name] = declared.default_or_zero() if value is UNSET else value
    model.__dict__[_OLDER_NAMES] = frozenset(older)


def _state(model: Model) -> dict[str, Any]:
    """Return what makes two models equal: not what a `cached_property` has worked out of it."""
    own = model.__dict__
    return {name: own[name] for name in (*model.schema, _OLDER_NAMES) if name in own}


def _own_fields(model: Model) -> dict[str, FieldSchema]:
    return {name: declared for name, declared in model.schema.items() if not declared.alias_of}


def _values(model: Model) -> dict[str, Any]:
    """Return the values by field, and by the older names in use."""
    older = model.__dict__[_OLDER_NAMES]
    return {name: getattr(model, name) for name in model.schema if name in model.__dict__ or name in older}


def _without(model: type[Model], values: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    """Return the values without the fields that a change names, whatever name it uses for them."""
    own = {name: declared.alias_of or name for name, declared in model.schema.items()}
    gone = {own[name] for name in names}
    return {name: value for name, value in values.items() if own[name] not in gone}


def _dumped(model: Model) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    for name, value in _values(model).items():
        declared = model.schema[name]
        own = model.schema[declared.alias_of] if declared.alias_of else declared
        if own is declared or value != own.type.zero:
            shown[name] = own.dump(value)
    return shown


def _is_empty(declared: FieldSchema, raw: object) -> bool:
    value = declared.accept(raw)
    return value is UNSET or value == declared.type.zero


def _declared_fields(cls: type[Model], inherited: Mapping[str, FieldSchema]) -> dict[str, FieldSchema]:
    """Return the fields of the class itself, and turn older names into properties."""
    own = get_annotations(cls)
    for name in vars(cls).keys() & inherited.keys() - own.keys():
        raise TypeError(f"{cls.__name__}.{name} replaces a field; repeat its annotation")
    for name, value in vars(cls).items():
        if isinstance(value, FieldOptions) and name not in own:
            raise TypeError(f"{cls.__name__}.{name} has no annotation: write {name}: Str = field(...)")
    hints = get_type_hints(cls, include_extras=True) if own else {}
    found: dict[str, FieldSchema] = {}
    for name in own:
        if get_origin(hints[name]) is ClassVar:
            continue
        if hasattr(Model, name) or name.startswith("_"):
            # Names with an underscore are the library's own, in storage too.
            raise TypeError(f"{cls.__name__}.{name} hides a part of Model; name the field differently")
        found[name] = build_schema(name, hints[name], vars(cls).get(name, UNSET))
        if name in vars(cls):
            # The declaration has been read; left in place it would look like a value.
            delattr(cls, name)
        if found[name].alias_of:
            setattr(cls, name, property(attrgetter(found[name].alias_of)))
    return found
