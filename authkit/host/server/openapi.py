"""`sys/internal/specs/openapi`: one document out of those of all mounts, and help on the host's own paths.

What a plugin's document says is its own; here it is merged as Vault 1.21 does (vault/logical_system.go,
pathInternalOpenAPI).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from authkit.errors import AuthKitError
from authkit.host.backends.base import ServedBackend
from authkit.host.backends.router import Call, Routes, flag_of
from authkit.host.messages import Answer, Failure
from authkit.host.mounts.table import RunningMount
from authkit.host.server.envelope import failure_of, plain_numbers
from authkit.host.server.plugin_calls import send
from authkit.host.state import HostState
from authkit.host.store.plugin_errors import readable
from authkit.logical import Operation, Request

__all__ = ["add_openapi_route", "describe_routes", "empty_document"]

_METHODS = {
    Operation.READ: "get",
    Operation.UPDATE: "post",
    Operation.PATCH: "patch",
    Operation.DELETE: "delete",
}
_LISTED = {
    "name": "list",
    "in": "query",
    "required": True,
    "schema": {"type": "string", "enum": ["true"]},
}


def add_openapi_route(routes: Routes, state: HostState, own: Mapping[str, Routes | ServedBackend]) -> None:
    """Serve the merged document. `own` are the host's own backends by their prefix."""

    async def merged(call: Call) -> Answer:
        generic = flag_of(call.data, "generic_mount_paths")
        document = empty_document(state.about.version)
        paths: dict[str, Any] = document["paths"]
        if call.caller is not None:
            for prefix, table in own.items():
                if call.caller.acl.reaches(prefix):
                    tag = {"sys/": "system", "identity/": "identity"}.get(prefix, "auth")
                    own_paths = (
                        describe_routes(table, tag)
                        if isinstance(table, Routes)
                        else await _paths_of(table, prefix.rstrip("/"), tag)
                    )
                    paths |= {f"/{prefix}{path.lstrip('/')}": item for path, item in own_paths.items()}
        for mount in state.mounts:
            is_listed = mount.entry.config.listing_visibility == "unauth"
            if is_listed or (call.caller is not None and call.caller.acl.reaches(mount.entry.route)):
                part = await _document_of(mount, authenticated=call.caller is not None)
                paths |= _below(mount, part.get("paths") or {}, generic=generic)
                document["components"]["schemas"] |= (part.get("components") or {}).get("schemas") or {}
        _complete_ids(paths)
        return Answer(bare=document)

    routes.add("internal/specs/openapi", "context generic_mount_paths", read=merged, update=merged)


async def _paths_of(served: ServedBackend, prefix: str, tag: str) -> dict[str, Any]:
    """Return the paths of a backend on the framework, copied: its documents are kept."""
    request = Request(operation=Operation.HELP, data={"requestResponsePrefix": prefix}, has_data=True)
    response = await served.backend.handle_request(request)
    document = (response.data if response else None) or {}
    return {
        path: {
            name: {**part, "tags": [tag]} if name in _METHODS.values() else part
            for name, part in item.items()
        }
        for path, item in document["openapi"]["paths"].items()
    }


def empty_document(version: str) -> dict[str, Any]:
    """Return a document without paths."""
    return {
        "openapi": "3.0.2",
        "info": {
            "title": "HashiCorp Vault API",
            "description": (
                "HTTP API that gives you full access to Vault. All API routes are prefixed with `/v1/`."
            ),
            "version": version,
            "license": {"name": "Mozilla Public License 2.0", "url": "https://www.mozilla.org/en-US/MPL/2.0"},
        },
        "paths": {},
        "components": {"schemas": {}},
    }


async def _document_of(mount: RunningMount, *, authenticated: bool) -> Mapping[str, Any]:
    """Return the document of one mount; a plugin that fails here fails the whole document."""
    entry = mount.entry
    request = Request(
        operation=Operation.HELP,
        data={"requestResponsePrefix": entry.type},
        has_data=True,
        mount_point=entry.route,
        mount_type=entry.type,
    )
    if mount.backend is None:
        return {}
    try:
        response = await send(mount, request, entry.route)
    except AuthKitError as error:
        raise failure_of(readable(error), authenticated=authenticated) from error
    if response is None or response.data is None:
        raise Failure(500, "internal error")
    document = response.data.get("openapi")
    return _without_references(plain_numbers(document)) if isinstance(document, Mapping) else {}


def _without_references(value: Any) -> Any:
    """Return a document without `$ref`: a server loses those of a plugin in a process of its own."""
    if isinstance(value, Mapping):
        return {key: _without_references(each) for key, each in value.items() if key != "$ref"}
    if isinstance(value, list):
        return [_without_references(each) for each in value]
    return value


def _below(mount: RunningMount, paths: Mapping[str, Any], *, generic: bool) -> dict[str, Any]:
    name = mount.entry.path.rstrip("/")
    if not generic:
        return {f"/auth/{name}/{path.lstrip('/')}": item for path, item in paths.items()}
    parameter = name.replace("-", "_") + "_mount_path"
    shown = {
        "name": parameter,
        "description": "Path that the backend was mounted at",
        "in": "path",
        "schema": {"type": "string", "default": name},
        "required": True,
    }
    return {
        f"/auth/{{{parameter}}}/{path.lstrip('/')}": {
            **item,
            "parameters": [*item.get("parameters", ()), shown],
        }
        for path, item in paths.items()
    }


def _complete_ids(paths: Mapping[str, Any]) -> None:
    """Give every operation an id, and none of them another's."""
    taken: set[str] = set()
    for path, item in paths.items():
        for method, operation in item.items():
            if method not in _METHODS.values():
                continue
            words = "".join(word.capitalize() for word in re.split(r"[^A-Za-z0-9]+", path))
            name = wanted = operation.get("operationId") or f"{method}{words}"
            number = 2
            while name in taken:
                name, number = f"{wanted}{number}", number + 1
            taken.add(name)
            operation["operationId"] = name


# --- the host's own backends -------------------------------------------------------------------


def describe_routes(routes: Routes, tag: str) -> dict[str, Any]:
    """Return the paths of one of the host's own backends, by template."""
    described: dict[str, Any] = {}
    for route in routes:
        template, names = _template(route.pattern.pattern)
        parameters = [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names
        ]
        for operation in route.handlers:
            if operation is Operation.LIST:
                item = described.setdefault(template.rstrip("/") + "/", {})
                item["get"] = {"tags": [tag], "parameters": [_LISTED], "responses": _ok()}
                continue
            item = described.setdefault(template, {})
            shown: dict[str, Any] = {"tags": [tag], "responses": _ok()}
            properties: dict[str, Any] = {
                name: {} for name in sorted((route.fields or frozenset()) - set(names))
            }
            if operation in (Operation.UPDATE, Operation.PATCH) and properties:
                schema = {"type": "object", "properties": properties}
                shown["requestBody"] = {"content": {"application/json": {"schema": schema}}}
            item[_METHODS[operation]] = shown
        for path in (template, template.rstrip("/") + "/"):
            if path in described and parameters:
                described[path]["parameters"] = parameters
    return described


def _template(pattern: str) -> tuple[str, list[str]]:
    """Return the path template of a pattern of ours, and the names in it."""
    path = re.sub(r"\(\?:[^()]*(?:\([^()]*\)[^()]*)*\)\?", "", pattern).removesuffix("/?")
    names = re.findall(r"\(\?P<(\w+)>", path)
    return re.sub(r"\(\?P<(\w+)>[^()]*\)", r"{\1}", path), names


def _ok() -> dict[str, Any]:
    return {"200": {"description": "OK"}}
