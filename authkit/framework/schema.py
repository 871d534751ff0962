"""Fields by declaration: `field()`, the names of field types, and the values of one request.

The declared annotation says how a field is read; `field()` adds what an annotation cannot say.
Whole objects of fields are `authkit.framework.models`; handlers declare fields as parameters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal, get_args, get_origin

from authkit.errors import FieldError
from authkit.framework.addresses import AddressBlock, CidrsType
from authkit.framework.containers import (
    CommaIntsType,
    CommaListType,
    KVType,
    ListType,
    MapType,
    TextListType,
    verify_size,
)
from authkit.framework.fields import (
    UNSET,
    BoolType,
    ChoiceType,
    DurationType,
    FieldType,
    FloatType,
    IntType,
    LowerTextType,
    NameType,
    SecretType,
    TextType,
    TimeType,
)
from authkit.masking import Secret

__all__ = [
    "KV",
    "Bool",
    "Cidrs",
    "CommaInts",
    "CommaList",
    "FieldData",
    "FieldOptions",
    "FieldSchema",
    "Float",
    "Int",
    "List",
    "LowerStr",
    "Map",
    "Name",
    "Seconds",
    "SignedSeconds",
    "Str",
    "StrList",
    "Timestamp",
    "build_schema",
    "field",
    "is_field_annotation",
]

Str = Annotated[str, TextType()]
LowerStr = Annotated[str, LowerTextType()]
Name = Annotated[str, NameType()]
Int = Annotated[int, IntType()]
Bool = Annotated[bool, BoolType()]
Float = Annotated[float, FloatType()]
Seconds = Annotated[timedelta, DurationType()]
SignedSeconds = Annotated[timedelta, DurationType(signed=True)]
Timestamp = Annotated[datetime, TimeType()]
Map = Annotated[Mapping[str, Any], MapType()]
KV = Annotated[Mapping[str, str], KVType()]
List = Annotated[tuple[Any, ...], ListType()]
StrList = Annotated[tuple[str, ...], TextListType()]
CommaList = Annotated[tuple[str, ...], CommaListType()]
CommaInts = Annotated[tuple[int, ...], CommaIntsType()]
Cidrs = Annotated[tuple[AddressBlock, ...], CidrsType()]

_PLAIN: Final[Mapping[Any, FieldType[Any]]] = MappingProxyType(
    {
        str: TextType(),
        int: IntType(),
        bool: BoolType(),
        float: FloatType(),
        timedelta: DurationType(),
        datetime: TimeType(),
        Secret: SecretType(),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldOptions:
    """What `field()` was given."""

    default: Any = UNSET
    help: str = ""
    required: bool | None = None
    missing: str = ""
    deprecated: bool = False
    alias_of: str = ""
    reset: bool = False
    max_length: int | None = None


def field(
    *,
    default: Any = UNSET,
    help: str = "",
    required: bool | None = None,
    missing: str = "",
    deprecated: bool = False,
    alias_of: str = "",
    reset: bool = False,
    max_length: int | None = None,
) -> Any:
    """Describe a field: in a model in place of its default value, in a handler within `Annotated`.

    ::

        teams: CommaList = field(default=(), help="Teams that may log in.")

        async def log_in(self, token: Annotated[Secret, field(help="The token.")]) -> Identity: ...

    Args:
        default: used while nobody has set the field; read like a request, so `"1h"` is a duration.
        help: for help pages.
        required: whether an absent or empty value is refused. By default, when there is no default.
        missing: what the refusal says; by default `missing <name>`.
        deprecated: marked so on help pages.
        alias_of: an older name of another field. It is accepted and never stored nor shown; the
            field itself wins when a request has both.
        reset: a write without this field sets it back to its default, instead of keeping it.
        max_length: refuse more characters than this; an item of a list counts as one more.
    """
    return FieldOptions(
        default=default,
        help=help,
        required=required,
        missing=missing,
        deprecated=deprecated,
        alias_of=alias_of,
        reset=reset,
        max_length=max_length,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldSchema:
    """One field, fully described. Derived from an annotation and a default or `field()`."""

    name: str
    type: FieldType[Any]
    default: Any = UNSET
    """Converted; `UNSET` when there is none."""
    help: str = ""
    required: bool = False
    missing: str = ""
    """What is said when a required field is absent or empty."""
    deprecated: bool = False
    alias_of: str = ""
    reset: bool = False
    max_length: int | None = None

    def convert(self, raw: object) -> Any:
        """Return the value of a JSON value, `UNSET` for one that counts as absent.

        Raises:
            FieldError: it cannot be converted, or is too long.
        """
        if self.max_length is not None:
            verify_size(self.name, raw, self.max_length)
        return self.type.convert(self.name, raw)

    def default_or_zero(self) -> Any:
        """Return what the field is while nobody has set it."""
        return self.type.zero if self.default is UNSET else self.default

    def is_missing(self, value: object) -> bool:
        """Whether the field is required and `value` is none, or an empty one. Zero is a value."""
        empty = value is UNSET or (isinstance(value, str | tuple | Secret | Mapping) and len(value) == 0)
        return self.required and empty


def is_field_annotation(annotation: object) -> bool:
    """Whether an annotation names a field type."""
    return _find_type(annotation) is not None


def build_schema(name: str, annotation: object, default: object = UNSET) -> FieldSchema:
    """Return the schema of a field from its annotation and its default or `field()`.

    Raises:
        TypeError: the annotation names no field type, or the default does not fit it.
    """
    kind = _find_type(annotation)
    if kind is None:
        raise TypeError(f"field {name!r}: {annotation!r} is not a field type")
    options = _options(annotation, default)
    try:
        value = UNSET if options.default is UNSET else kind.convert(name, options.default)
    except FieldError as error:
        raise TypeError(f"field {name!r}: the default does not fit: {error.reason}") from error
    required = options.required
    if required is None:
        required = options.default is UNSET and not options.alias_of
    return FieldSchema(
        name=name,
        type=kind,
        default=value,
        help=options.help,
        required=required,
        missing=options.missing or f"missing {name}",
        deprecated=options.deprecated,
        alias_of=options.alias_of,
        reset=options.reset,
        max_length=options.max_length,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldData:
    """The fields of one request, converted."""

    values: Mapping[str, Any]
    """What the request set, by field. Absent fields are absent here."""
    nulls: frozenset[str] = frozenset()
    """The fields that were given as null."""
    ignored: tuple[str, ...] = ()
    """Keys of the request that are no fields, sorted."""
    replaced: tuple[str, ...] = ()
    """Fields that both the path and the body had, sorted; the path won."""

    @classmethod
    def read(
        cls,
        schema: Mapping[str, FieldSchema],
        data: Mapping[str, Any],
        captures: Mapping[str, str],
    ) -> FieldData:
        """Convert everything that a request set.

        Raises:
            FieldError: a field cannot be converted.
        """
        raw = {**data, **captures}
        values = {name: schema[name].convert(raw[name]) for name in raw if name in schema}
        return cls(
            values=MappingProxyType({name: value for name, value in values.items() if value is not UNSET}),
            nulls=frozenset(name for name in values if raw[name] is None),
            ignored=tuple(sorted(name for name in data if name not in schema)),
            replaced=tuple(sorted(name for name in captures if data.get(name) is not None)),
        )

    def get(self, name: str, default: Any = None) -> Any:
        """Return the value that the request set, else `default`."""
        return self.values.get(name, default)


def _options(annotation: object, default: object) -> FieldOptions:
    if isinstance(default, FieldOptions):
        return default
    parts = get_args(annotation)[1:] if get_origin(annotation) is Annotated else ()
    found = next((part for part in parts if isinstance(part, FieldOptions)), FieldOptions())
    return found if default is UNSET else replace(found, default=default)


def _find_type(annotation: object) -> FieldType[Any] | None:
    if get_origin(annotation) is Annotated:
        found = [part for part in get_args(annotation)[1:] if isinstance(part, FieldType)]
        return found[0] if found else _find_type(get_args(annotation)[0])
    if get_origin(annotation) is Literal:
        choices = get_args(annotation)
        return ChoiceType(*choices) if all(isinstance(choice, str) for choice in choices) else None
    try:
        return _PLAIN.get(annotation)
    except TypeError:  # an annotation that cannot be hashed is none of ours
        return None
