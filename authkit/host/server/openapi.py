"""One OpenAPI document out of those of all mounts.

What a mount's document says is its own; here it is merged as Vault 1.21 does (vault/logical_system.go,
pathInternalOpenAPI).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from authkit.errors import AuthKitError
from authkit.framework.documents.openapi import make_document
from authkit.host.authorization import Caller
from authkit.host.messages import Failure
from authkit.host.mounts.table import RunningMount
from authkit.host.server.envelope import failure_of, plain_numbers
from authkit.host.server.mount_requests import send
from authkit.host.state import HostState
from authkit.host.store.plugin_errors import in_go_words
from authkit.host.store.plugins import VAULT_VERSION
from authkit.logical import Operation, Request

__all__ = ["describe_mounts"]

_METHODS = frozenset({"get", "post", "patch", "delete"})


async def describe_mounts(state: HostState, caller: Caller | None, *, generic: bool) -> dict[str, Any]:
    """Return the document of all mounts that the caller may see or that are listed publicly.

    Args:
        generic: whether the mounts' own paths are parameters.

    Raises:
        Failure: a plugin fails: that fails the whole document.
    """
    paths: dict[str, Any] = {}
    schemas: dict[str, Any] = {}
    for mount in (*state.mounts.own.values(), *state.mounts):
        is_listed = mount.entry.config.listing_visibility == "unauth"
        if is_listed or (caller is not None and caller.acl.reaches(mount.entry.route)):
            part = await _document_of(mount, authenticated=caller is not None)
            paths |= _below(mount, part.get("paths") or {}, generic=generic and not mount.is_own)
            schemas |= (part.get("components") or {}).get("schemas") or {}
    _complete_ids(paths)
    return make_document(paths, VAULT_VERSION) | {"components": {"schemas": schemas}}


async def _document_of(mount: RunningMount, *, authenticated: bool) -> Mapping[str, Any]:
    """Return the document of one mount, copied."""
    entry = mount.entry
    if mount.backend is None:
        return {}
    request = Request(
        operation=Operation.HELP,
        data={"requestResponsePrefix": entry.type},
        has_data=True,
        mount_point=entry.route,
        mount_type=entry.type,
    )
    try:
        response = await send(mount, request, entry.route)
    except AuthKitError as error:
        raise failure_of(in_go_words(error), authenticated=authenticated) from error
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
    if not generic:
        return {f"/{mount.entry.route}{path.lstrip('/')}": item for path, item in paths.items()}
    name = mount.entry.path.rstrip("/")
    parameter = name.replace("-", "_") + "_mount_path"
    shown = {
        "name": parameter,
        "description": "Path that the backend was mounted at",
        "in": "path",
        "schema": {"type": "string", "default": name},
        "required": True,
    }
    return {
        f"/{mount.entry.prefix}{{{parameter}}}/{path.lstrip('/')}": {
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
            if method not in _METHODS:
                continue
            words = "".join(word.capitalize() for word in re.split(r"[^A-Za-z0-9]+", path))
            name = wanted = operation.get("operationId") or f"{method}{words}"
            number = 2
            while name in taken:
                name, number = f"{wanted}{number}", number + 1
            taken.add(name)
            operation["operationId"] = name
