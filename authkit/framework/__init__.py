"""What every backend repeats: routes, models and fields, stored objects, lifecycle, help.

These are the public names; the modules behind them are arranged as the framework needs it.
"""

from authkit.framework.addresses import AddressBlock, format_block, parse_block
from authkit.framework.backend import Backend
from authkit.framework.calls import Call
from authkit.framework.derived import cached
from authkit.framework.durations import format_duration, parse_duration
from authkit.framework.fields import UNSET, FieldType
from authkit.framework.models import Model
from authkit.framework.objects import BoundCollection, BoundSingleton, Collection, Singleton, Write
from authkit.framework.paths import PathTemplate
from authkit.framework.periodic import Task, every
from authkit.framework.routes import Declaration, Route
from authkit.framework.schema import (
    KV,
    Bool,
    Cidrs,
    CommaInts,
    CommaList,
    FieldData,
    Float,
    Int,
    List,
    LowerStr,
    Map,
    Name,
    Seconds,
    SignedSeconds,
    Str,
    StrList,
    Timestamp,
    field,
)
from authkit.masking import Secret

__all__ = [
    "KV",
    "UNSET",
    "AddressBlock",
    "Backend",
    "Bool",
    "BoundCollection",
    "BoundSingleton",
    "Call",
    "Cidrs",
    "Collection",
    "CommaInts",
    "CommaList",
    "Declaration",
    "FieldData",
    "FieldType",
    "Float",
    "Int",
    "List",
    "LowerStr",
    "Map",
    "Model",
    "Name",
    "PathTemplate",
    "Route",
    "Seconds",
    "Secret",
    "SignedSeconds",
    "Singleton",
    "Str",
    "StrList",
    "Task",
    "Timestamp",
    "Write",
    "cached",
    "every",
    "field",
    "format_block",
    "format_duration",
    "parse_block",
    "parse_duration",
]
