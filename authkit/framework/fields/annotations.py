"""The names of field types, as annotations: `Str`, `Seconds`, `CommaList | None`, `Literal["a", "b"]`.

What a field is beyond its type is said by `authkit.framework.fields.schema.field`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime, timedelta
from enum import Enum, StrEnum
from types import MappingProxyType, NoneType, UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from authkit.framework.fields.addresses import AddressBlock, CidrsType
from authkit.framework.fields.choices import ChoiceType, EnumType, OptionalType
from authkit.framework.fields.containers import (
    CommaIntsType,
    CommaListType,
    KVType,
    ListType,
    MapType,
    TextListType,
)
from authkit.framework.fields.headers import HeadersType
from authkit.framework.fields.types import (
    BoolType,
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
    "Float",
    "Headers",
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
    "find_type",
    "is_field_annotation",
    "suggest_annotations",
    "suggest_names",
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
Headers = Annotated[Mapping[str, tuple[str, ...]], HeadersType()]
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


def is_field_annotation(annotation: object) -> bool:
    """Whether an annotation names a field type."""
    return find_type(annotation) is not None


def find_type(annotation: object) -> FieldType[Any] | None:
    """Return the field type that an annotation names, `None` when it names none."""
    if get_origin(annotation) is Annotated:
        found = [part for part in get_args(annotation)[1:] if isinstance(part, FieldType)]
        return found[0] if found else find_type(get_args(annotation)[0])
    if get_origin(annotation) is Literal:
        choices = get_args(annotation)
        return ChoiceType(*choices) if all(isinstance(choice, str) for choice in choices) else None
    if get_origin(annotation) in (Union, UnionType):
        inner = [find_type(part) for part in get_args(annotation) if part is not NoneType]
        return OptionalType(inner[0]) if len(inner) == 1 and inner[0] is not None else None
    if isinstance(annotation, type) and issubclass(annotation, StrEnum):
        return EnumType(annotation) if list(annotation) else None
    try:
        return _PLAIN.get(annotation)
    except TypeError:  # an annotation that cannot be hashed is none of ours
        return None


_NAMES: Final = ("Secret", *(name for name in __all__ if name[0].isupper()))
_INSTEAD_OF: Final[Sequence[tuple[type, str]]] = (
    (Mapping, "Map, or KV for texts"),
    (bytes, "Str or Secret"),
    (Collection, "CommaList, or StrList where a comma is part of a text"),
    (date, "Timestamp"),
    (Enum, "a StrEnum"),
)


def suggest_annotations(annotation: object) -> str:
    """Return what the author of an annotation that names no field type may have meant, and what there is."""
    cls = get_origin(annotation) or annotation
    if cls is Literal:
        hint = "; a Literal has texts alone."
    elif cls in (Union, UnionType):
        hint = "; a field has one type, or one and None."
    elif isinstance(cls, type):
        instead = next((hint for kind, hint in _INSTEAD_OF if issubclass(cls, kind)), "")
        hint = f"; did you mean {instead}?" if instead else suggest_names(cls.__name__)
    else:
        hint = ""
    return f"{hint or '.'} Field types: {', '.join(_NAMES)}, a Literal of texts, a StrEnum"


def suggest_names(name: str, known: Collection[str] = ()) -> str:
    """Return the field type, or the one of `known`, that is spelled most like a name; empty if none is."""
    from difflib import get_close_matches

    found = get_close_matches(name, [*_NAMES, *known], n=1)
    return f"; did you mean {found[0]!r}?" if found else ""
