"""The names of field types, as annotations: `Str`, `Seconds`, `CommaList | None`, `Literal["a", "b"]`.

What a field is beyond its type is said by `authkit.framework.fields.schema.field`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
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
