"""What every backend repeats: routes, models and fields, stored objects, lifecycle, help.

These are the public names; the modules behind them are arranged as the framework needs it.
"""

from authkit.framework.backend import Backend
from authkit.framework.fields.addresses import AddressBlock, format_block, parse_block
from authkit.framework.fields.annotations import (
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
from authkit.framework.fields.durations import format_duration, parse_duration
from authkit.framework.fields.merge_patch import merge_patch
from authkit.framework.fields.schema import FieldData, FieldSchema, field
from authkit.framework.fields.types import UNSET, FieldType, TextType
from authkit.framework.handlers.answers import Answer, Listing, Raw, Redirect
from authkit.framework.handlers.decorators import delete, list_, patch, read, route, write
from authkit.framework.models import Model
from authkit.framework.objects.cached import cached
from authkit.framework.objects.served import BoundCollection, BoundSingleton, Collection, Singleton
from authkit.framework.objects.write_rules import Write
from authkit.framework.replication import Node
from authkit.framework.routing.calls import Call
from authkit.framework.routing.declarations import Declaration, MountContext
from authkit.framework.routing.paths import PathTemplate
from authkit.framework.routing.routes import OperationInfo, ResponseInfo, Route
from authkit.framework.stored.keyring import KeyRing
from authkit.framework.stored.sealing import Sealer
from authkit.framework.stored.views import StorageView
from authkit.framework.tasks.periodic import Task, every
from authkit.framework.tasks.rollbacks import rollback
from authkit.framework.tasks.wal import WALEntry, WriteAheadLog
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
    "MountContext",
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
