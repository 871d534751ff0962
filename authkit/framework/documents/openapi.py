"""OpenAPI 3.0.2 documents of a backend's routes, as hosts merge them into their own.

Laid out as Vault SDK 0.21 does it (framework/openapi.go), with one difference: schemas stand where they
are used. A host drops each `$ref` of a plugin in a process of its own (observed on Vault 1.21.1).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from authkit.framework.documents.schemas import (
    LIST_SCHEMA,
    body_schema,
    collapsed,
    parameter,
    response_schema,
)
from authkit.framework.fields.schema import FieldSchema
from authkit.framework.routing.routes import OperationInfo, ResponseInfo, Route
from authkit.logical import BackendType, Operation
from authkit.values import Value

__all__ = ["UNKNOWN_VERSION", "describe_paths", "make_document", "read_prefix"]

UNKNOWN_VERSION: Final = "unknown"
"""The document's version where the host does not tell its own."""

_METHODS: Final[Mapping[Operation, str]] = {
    Operation.READ: "get",
    Operation.LIST: "get",
    Operation.CREATE: "post",
    Operation.UPDATE: "post",
    Operation.PATCH: "patch",
    Operation.DELETE: "delete",
}
"""Other operations, such as the ones that only hosts send, are left out."""

_BODIES: Final = frozenset({Operation.CREATE, Operation.UPDATE, Operation.PATCH})
_TAGS: Final = {BackendType.CREDENTIAL: ["auth"], BackendType.LOGICAL: ["secrets"]}
_PREFIX: Final = re.compile(r"[\w.-]{1,128}", re.ASCII)
_NO_WORD: Final = re.compile(r"\W+", re.ASCII)
_FIELD: Final = re.compile(r"\{(\w+)\}")
_LIST_PARAMETER: Final = {
    "name": "list",
    "in": "query",
    "description": "Must be set to `true`",
    "required": True,
    "schema": {"type": "string", "enum": ["true"]},
}


def make_document(paths: Mapping[str, Any], version: str) -> dict[str, Any]:
    """Return a whole document. `paths` come from `describe_paths`; `version` is the host's."""
    return {
        "openapi": "3.0.2",
        "info": {
            "title": "HashiCorp Vault API",
            "description": "HTTP API that gives you full access to Vault. "
            "All API routes are prefixed with `/v1/`.",
            "version": version,
            "license": {"name": "Mozilla Public License 2.0", "url": "https://www.mozilla.org/en-US/MPL/2.0"},
        },
        "paths": dict(paths),
        "components": {"schemas": {}},
    }


def read_prefix(value: object) -> str:
    """Return the prefix of operation ids that a help request asks for, empty if it is not usable."""
    return value if isinstance(value, str) and _PREFIX.fullmatch(value) else ""


def describe_paths(routes: Iterable[Route], backend_type: BackendType, prefix: str = "") -> dict[str, Any]:
    """Return the path items of routes, by path.

    Args:
        prefix: begins each operation id; hosts give the type of the mount.
    """
    writer = _Writer(backend_type, prefix)
    for route in routes:
        writer.add(route)
    return writer.paths


class _Variant(Value, frozen=True):
    """One of the paths of a route."""

    route: Route
    path: str

    @property
    def captures(self) -> list[FieldSchema]:
        """The fields in this path, sorted."""
        return [self.route.fields[name] for name in sorted(_FIELD.findall(self.path))]

    def fields(self, operation: Operation) -> list[FieldSchema]:
        """Return what an operation takes from body or query, as declared."""
        route, info = self.route, self.route.info(operation)
        fields = route.fields if info.fields is None else info.fields
        free = [field for name, field in fields.items() if name not in route.path.names]
        if info.fields is None and operation not in _BODIES:
            return [field for field in free if field.query]
        return free


class _Writer:
    """Path items on their way into a document."""

    def __init__(self, backend_type: BackendType, prefix: str) -> None:
        self.paths: dict[str, Any] = {}
        # As in the SDK, the host's own backends have groups of their own.
        self._tags = [prefix] if prefix in ("system", "identity") else _TAGS.get(backend_type, [])
        self._prefix = prefix
        self._ids: set[str] = set()

    def add(self, route: Route) -> None:
        """Describe the paths of a route."""
        item = _item(route)
        if route.path.variants is None:
            # Without operations: a reader sees that there is something, and a client is told nothing wrong.
            self.paths.setdefault(f"/{route.path.go_pattern}", item)
            return
        for path in route.path.variants:
            self._add_variant(_Variant(route, path), item)

    def _add_variant(self, variant: _Variant, item: Mapping[str, Any]) -> None:
        parameters = [parameter(field, "path") for field in variant.captures]
        shared = {**item, **({"parameters": parameters} if parameters else {})}
        served = dict(self._operations(variant))
        listing = served.pop(Operation.LIST, None)
        if variant.path.endswith("/"):
            # Hosts send nothing but lists to such a path.
            served = {}
        methods = {_METHODS[operation]: described for operation, described in served.items()}
        if methods or listing is None:
            # The first route on a path is the one that serves it.
            self.paths.setdefault(f"/{variant.path}", {**shared, **methods})
        if listing is not None:
            shared.pop("x-vault-createSupported", None)
            self.paths.setdefault(f"/{variant.path.rstrip('/')}/", {**shared, "get": listing})

    def _operations(self, variant: _Variant) -> Iterator[tuple[Operation, dict[str, Any]]]:
        served = variant.route.operations
        for operation in _METHODS:
            # One POST is both, documented as an update.
            if operation in served and not (operation is Operation.CREATE and Operation.UPDATE in served):
                yield operation, self._operation(variant, operation)

    def _operation(self, variant: _Variant, operation: Operation) -> dict[str, Any]:
        info = variant.route.info(operation)
        described: dict[str, Any] = {}
        if info.summary:
            described["summary"] = collapsed(info.summary)
        if info.description:
            described["description"] = info.description
        described["operationId"] = self._id(operation, variant.path)
        if self._tags:
            described["tags"] = list(self._tags)
        if info.deprecated:
            described["deprecated"] = True
        return described | _input(variant, operation, info) | {"responses": _responses(operation, info)}

    def _id(self, operation: Operation, path: str) -> str:
        verb = "write" if operation is Operation.UPDATE else operation.value
        words = [self._prefix, verb, *_NO_WORD.split(path)]
        name = "-".join(word for word in words if word).lower()
        number = 1
        while (found := name if number == 1 else f"{name}-{number}") in self._ids:
            number += 1
        self._ids.add(found)
        return found


def _item(route: Route) -> dict[str, Any]:
    item: dict[str, Any] = {}
    if route.synopsis:
        item["description"] = collapsed(route.synopsis)
    if route.sudo:
        item["x-vault-sudo"] = True
    if route.unauthenticated:
        item["x-vault-unauthenticated"] = True
    if route.exists is not None and Operation.CREATE in route.operations:
        item["x-vault-createSupported"] = True
    return item


def _input(variant: _Variant, operation: Operation, info: OperationInfo) -> dict[str, Any]:
    fields = variant.fields(operation)
    if operation not in _BODIES:
        listed: Sequence[Mapping[str, Any]] = [_LIST_PARAMETER] if operation is Operation.LIST else []
        parameters = [*listed, *(parameter(field, "query") for field in fields)]
        return {"parameters": parameters} if parameters else {}
    example = info.examples[0] if info.examples else None
    partial = operation is Operation.PATCH
    schema = body_schema(
        fields, arbitrary_input=variant.route.arbitrary_input, partial=partial, example=example
    )
    if schema is None:
        return {}
    # Hosts refuse a patch of any other type (Vault 1.21, http/logical.go), which the SDK's documents hide.
    media_type = "application/merge-patch+json" if partial else "application/json"
    return {"requestBody": {"required": True, "content": {media_type: {"schema": schema}}}}


def _responses(operation: Operation, info: OperationInfo) -> dict[str, Any]:
    if info.responses:
        return {str(status): _response(each) for status, each in sorted(info.responses.items())}
    if operation is Operation.DELETE:
        return {"204": {"description": "empty body"}}
    if operation is Operation.LIST:
        return {"200": {"description": "OK", "content": {"application/json": {"schema": dict(LIST_SCHEMA)}}}}
    return {"200": {"description": "OK"}}


def _response(info: ResponseInfo) -> dict[str, Any]:
    schema = response_schema(info.fields.values(), shows_secrets=info.shows_secrets) if info.fields else {}
    if info.example is not None:
        schema["example"] = dict(info.example)
    is_told = schema or info.media_type != "application/json"
    content = {"content": {info.media_type: {"schema": schema}}} if is_told else {}
    return {"description": info.description or "OK"} | content
