"""What every backend repeats: routes, models and fields, stored objects, lifecycle, help.

These are the public names; the modules behind them are arranged as the framework needs it.
"""

from authkit.framework.addresses import AddressBlock, format_block, parse_block
from authkit.framework.annotations import (
    KV,
    Bool,
    Cidrs,
    CommaInts,
    CommaList,
    Float,
    Headers,
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
)
from authkit.framework.answers import Answer, Listing, Raw, Redirect
from authkit.framework.backend import Backend
from authkit.framework.calls import Call
from authkit.framework.derived import cached
from authkit.framework.durations import format_duration, parse_duration
from authkit.framework.fields import UNSET, FieldType, TextType
from authkit.framework.handlers import delete, list_, patch, read, route, write
from authkit.framework.keyring import KeyRing
from authkit.framework.merge import merge_patch
from authkit.framework.models import Model
from authkit.framework.node import Node
from authkit.framework.objects import BoundCollection, BoundSingleton, Collection, Singleton
from authkit.framework.paths import PathTemplate
from authkit.framework.periodic import Task, every
from authkit.framework.routes import Declaration, OperationInfo, ResponseInfo, Route
from authkit.framework.rules import Write
from authkit.framework.schema import FieldData, FieldSchema, field
from authkit.framework.sealing import Sealer
from authkit.framework.views import StorageView
from authkit.framework.wal import WALEntry, WriteAheadLog, rollback
from authkit.masking import Secret

__all__ = [
    "KV",
    "UNSET",
    "AddressBlock",
    "Answer",
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
    "FieldSchema",
    "FieldType",
    "Float",
    "Headers",
    "Int",
    "KeyRing",
    "List",
    "Listing",
    "LowerStr",
    "Map",
    "Model",
    "Name",
    "Node",
    "OperationInfo",
    "PathTemplate",
    "Raw",
    "Redirect",
    "ResponseInfo",
    "Route",
    "Sealer",
    "Seconds",
    "Secret",
    "SignedSeconds",
    "Singleton",
    "StorageView",
    "Str",
    "StrList",
    "Task",
    "TextType",
    "Timestamp",
    "WALEntry",
    "Write",
    "WriteAheadLog",
    "cached",
    "delete",
    "every",
    "field",
    "format_block",
    "format_duration",
    "list_",
    "merge_patch",
    "parse_block",
    "parse_duration",
    "patch",
    "read",
    "rollback",
    "route",
    "write",
]
