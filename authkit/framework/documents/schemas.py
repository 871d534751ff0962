"""Fields in OpenAPI's words: the schema of a value, of a body, of a parameter.

The types are those of Vault SDK 0.21, framework/openapi.go, convertType. The document around them:
`authkit.framework.documents.openapi`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final

from authkit.framework.fields.choices import OptionalType
from authkit.framework.fields.containers import CommaIntsType, ListType
from authkit.framework.fields.schema import FieldSchema
from authkit.framework.fields.types import UNSET, FieldType
from authkit.values import replace

__all__ = ["LIST_SCHEMA", "body_schema", "collapsed", "field_schema", "parameter", "response_schema"]

_SCHEMAS: Final[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
    {
        # By the label that help pages show. Durations are read as text, such as "1h".
        "string": {"type": "string"},
        "lowercase string": {"type": "string", "format": "lowercase"},
        "name string": {"type": "string", "pattern": r"\w([\w.-]*\w)?"},
        "header": {"type": "string"},
        "int": {"type": "integer"},
        "int64": {"type": "integer", "format": "int64"},
        "float": {"type": "number", "format": "float"},
        "bool": {"type": "boolean"},
        "map": {"type": "object", "format": "map"},
        "keypair": {"type": "object", "format": "kvpairs"},
        "duration (sec)": {"type": "string", "format": "duration"},
        "slice": {"type": "array"},
        "time": {"type": "string", "format": "date-time"},
    }
)
_DURATION: Final = "duration (sec)"
_TOKEN_PREFIX: Final = "token_"  # noqa: S105 - no password: how the shared parameters of tokens begin

LIST_SCHEMA: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "type": "object",
        "properties": {"keys": {"type": "array", "items": {"type": "string"}}},
    }
)
"""What the SDK calls `StandardListResponse`."""


def body_schema(
    fields: Iterable[FieldSchema],
    *,
    arbitrary_input: bool = False,
    partial: bool = False,
    example: Mapping[str, Any] | None = None,
) -> dict[str, Any] | None:
    """Return the schema of a request body, `None` when a body has no use. Fields keep their order.

    One that is `partial` changes what it names: it needs no field, and a default would be a change.
    """
    known = list(fields)
    if not known and not arbitrary_input:
        return None
    schema: dict[str, Any] = {"type": "object"}
    if known:
        schema["properties"] = {
            field.name: field_schema(replace(field, default=UNSET) if partial else field) for field in known
        }
    required = [] if partial else sorted(field.name for field in known if field.required)
    if required:
        schema["required"] = required
    if arbitrary_input:
        schema["additionalProperties"] = True
    if example is not None:
        schema["example"] = dict(example)
    return schema


def response_schema(fields: Iterable[FieldSchema], *, shows_secrets: bool = False) -> dict[str, Any]:
    """Return the schema of an answer's data; durations are seconds.

    Secrets are left out, as they are in the answer, unless it `shows_secrets`: then they are marked.
    """
    properties = {}
    for field in sorted(fields, key=lambda field: field.name):
        if field.alias_of or (_is_secret(field) and not shows_secrets):
            continue
        properties[field.name] = _described(field, _response_type(field.type))
        if _is_secret(field):
            properties[field.name]["x-vault-displayAttrs"] = {"sensitive": True}
    return {"type": "object", "properties": properties}


def field_schema(field: FieldSchema) -> dict[str, Any]:
    """Return the schema of one field as a request holds it."""
    schema = _described(field, type_schema(field.type))
    default = _default(field)
    if default is not None:
        schema["default"] = default
    display = _display(field)
    if display:
        schema["x-vault-displayAttrs"] = display
    return schema


def parameter(field: FieldSchema, place: str) -> dict[str, Any]:
    """Return a parameter in the `path` or the `query`."""
    schema = field_schema(field)
    found: dict[str, Any] = {"name": field.name, "in": place}
    description, deprecated = schema.pop("description", ""), schema.pop("deprecated", False)
    if description:
        found["description"] = description
    if place == "path" or field.required:
        found["required"] = True
    if deprecated:
        found["deprecated"] = True
    return found | {"schema": schema}


def type_schema(kind: FieldType[Any]) -> dict[str, Any]:
    """Return the schema of a field type; a label of an author's own counts as text."""
    inner = kind.inner if isinstance(kind, OptionalType) else kind
    schema = dict(_SCHEMAS.get(inner.label, _SCHEMAS["string"]))
    if schema["type"] == "array":
        items = "integer" if isinstance(inner, CommaIntsType) else "string"
        schema["items"] = {"type": "object" if isinstance(inner, ListType) else items}
    return schema


def collapsed(text: str) -> str:
    """Return the text on one line."""
    return " ".join(text.split())


def _response_type(kind: FieldType[Any]) -> dict[str, Any]:
    return {"type": "integer"} if kind.label == _DURATION else type_schema(kind)


def _described(field: FieldSchema, schema: dict[str, Any]) -> dict[str, Any]:
    if field.help:
        schema["description"] = collapsed(field.help)
    if field.allowed:
        holder = schema["items"] if schema["type"] == "array" else schema
        holder["enum"] = list(field.allowed)
    if field.deprecated or field.alias_of:
        schema["deprecated"] = True
    return schema


def _default(field: FieldSchema) -> Any:
    """Return the default as a request would spell it, `None` for none or one that says nothing."""
    if _is_secret(field) or field.default is UNSET or field.default is None or field.alias_of:
        return None
    dumped = field.dump(field.default)
    if field.type.label == _DURATION:
        return f"{dumped}s"
    return dumped


def _display(field: FieldSchema) -> dict[str, Any]:
    display: dict[str, Any] = {}
    if _is_secret(field):
        display["sensitive"] = True
    if field.name.startswith(_TOKEN_PREFIX):
        display["group"] = "Tokens"
    return display


def _is_secret(field: FieldSchema) -> bool:
    return field.type.secret or field.sensitive
