"""Models: annotated classes whose fields are read from requests, kept in storage and shown.

::

    class TeamRole(Model):
        teams: CommaList = ()
        mode: Literal["strict", "loose"] = "strict"

        def check(self) -> None:
            if self.mode == "strict" and not self.teams:
                raise UserError("a strict role needs teams")

Where a model is kept, and on which path it is served, is left to `authkit.framework.objects`.
"""

from __future__ import annotations

from collections.abc import Mapping
from inspect import get_annotations
from operator import attrgetter
from types import MappingProxyType
from typing import Any, ClassVar, Final, NoReturn, Self, dataclass_transform, get_origin, get_type_hints

from authkit.errors import InternalError, UserError
from authkit.framework.fields import UNSET
from authkit.framework.schema import FieldSchema, build_schema, field

__all__ = ["VERSION_KEY", "Model"]

VERSION_KEY: Final = "_version"
"""Under this key each stored object says in which shape it is."""


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(field,))
class Model:
    """A value made of fields. Never changed: a write makes a new one.

    An annotation says how a field is read (see `authkit.framework.schema`), a default or `field()`
    the rest. A field without default is required.

    Raises:
        TypeError: at definition, a field has no type or hides a method; at creation, no such field.
        UserError: at creation, a required field is absent or empty.
        FieldError: at creation, a value does not fit.
    """

    schema: ClassVar[Mapping[str, FieldSchema]] = MappingProxyType({})
    """Every field, older names included, in order of declaration."""
    stored_version: ClassVar[int] = 1
    """The shape that `to_stored` writes. Raise it when `from_stored` must tell old from new."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls.schema = MappingProxyType(dict(cls.schema) | _declared_fields(cls))
        for name, declared in cls.schema.items():
            if declared.alias_of and declared.alias_of not in cls.schema:
                raise TypeError(f"{cls.__name__}.{name} stands for an unknown field {declared.alias_of!r}")

    def __init__(self, **values: Any) -> None:
        unknown = values.keys() - _own_fields(self).keys()
        if unknown:
            raise TypeError(f"{type(self).__name__} has no field {sorted(unknown)[0]!r}")
        for name, declared in _own_fields(self).items():
            value = declared.convert(values[name]) if name in values else UNSET
            if value is UNSET:
                value = declared.default
            if declared.is_missing(value):
                raise UserError(declared.missing)
            self.__dict__[name] = declared.type.zero if value is UNSET else value

    @classmethod
    def overlaid(cls, stored: Self | None, provided: Mapping[str, Any]) -> Self:
        """Return what a write makes of `stored`: only provided fields change.

        Without `stored`, the others have their defaults. Nothing is checked beyond the fields.
        """
        values: dict[str, Any] = {}
        for name, declared in cls.schema.items():
            if declared.alias_of:
                if name in provided and declared.alias_of not in provided:
                    values[declared.alias_of] = provided[name]
            elif name in provided:
                values[name] = provided[name]
            elif stored is not None and not declared.reset:
                values.setdefault(name, stored.__dict__[name])
        return cls(**values)

    def replaced(self, **changes: Any) -> Self:
        """Return a copy with these fields changed."""
        return type(self)(**(self.__dict__ | changes))

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
        """Return what a read shows: every field but the secrets. Durations are integer seconds."""
        fields = _own_fields(self).items()
        return {name: d.type.dump(self.__dict__[name]) for name, d in fields if not d.type.secret}

    def to_stored(self) -> dict[str, Any]:
        """Return what is kept, secrets included."""
        fields = _own_fields(self).items()
        dumped = {name: declared.type.dump(self.__dict__[name]) for name, declared in fields}
        return {VERSION_KEY: self.stored_version, **dumped}

    @classmethod
    def from_stored(cls, data: Mapping[str, Any]) -> Self:
        """Return the object that `data` keeps. Unknown keys are passed over, absent ones have defaults.

        Raises:
            InternalError: a newer version of the plugin stored it.
            FieldError, UserError: it is not what `to_stored` wrote.
        """
        if data.get(VERSION_KEY, cls.stored_version) > cls.stored_version:
            raise InternalError("the stored object is of a newer version")
        known = {name for name, declared in cls.schema.items() if not declared.alias_of}
        return cls(**{name: value for name, value in data.items() if name in known})

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} does not change; use replaced({name}=...)")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} does not change")

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other.__dict__ == self.__dict__

    def __hash__(self) -> int:
        # Maps may hold what cannot be hashed; equal models still hash alike.
        return hash((type(self), *self.__dict__))

    def __repr__(self) -> str:
        # Maps and texts may hold secrets that nobody declared.
        return f"<{type(self).__name__}>"


def _own_fields(model: Model) -> dict[str, FieldSchema]:
    return {name: declared for name, declared in model.schema.items() if not declared.alias_of}


def _declared_fields(cls: type[Model]) -> dict[str, FieldSchema]:
    """Return the fields of the class itself, and turn older names into properties."""
    own = get_annotations(cls)
    for name in vars(cls).keys() & cls.schema.keys() - own.keys():
        raise TypeError(f"{cls.__name__}.{name} replaces a field; repeat its annotation")
    hints = get_type_hints(cls, include_extras=True) if own else {}
    found: dict[str, FieldSchema] = {}
    for name in own:
        if get_origin(hints[name]) is ClassVar:
            continue
        if hasattr(Model, name):
            raise TypeError(f"{cls.__name__}.{name} hides a part of Model; name the field differently")
        found[name] = build_schema(name, hints[name], vars(cls).get(name, UNSET))
        if name in vars(cls):
            # The declaration has been read; left in place it would look like a value.
            delattr(cls, name)
        if found[name].alias_of:
            setattr(cls, name, property(attrgetter(found[name].alias_of)))
    return found
