"""Reads from a mount's OpenAPI document where its roles are and how to log in.

The document comes from the plugin, so it is not trusted: its form is checked, and parts of a wrong type
are skipped. The caller fetches it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from authkit.values import Value, replace
from authkit.values import field as attribute

__all__ = ["Field", "Form", "MountDescription", "as_mapping", "describe"]

T = TypeVar("T")

_CREDENTIALS = re.compile(r"/creds/\{\w+\}")
_IN_PATH = re.compile(r"\{(\w+)\}")
MAX_FIELDS = 50
"""Most fields of one form."""


class Field(Value, frozen=True):
    """One field of a request. Set from the document."""

    name: str
    help: str = ""
    required: bool = False
    sensitive: bool = False
    """The plugin asks to hide the input."""
    kind: str = "string"
    """The type of its schema: `string`, `boolean`, `integer`, `array`, `object`, ..."""
    format: str = ""
    """How values of that type are written, such as `duration`; empty for any way."""
    in_path: bool = False
    """Part of the path, and not of the body."""
    group: str = ""
    """The group of fields that it is shown in, such as `Tokens`; empty for the method's own."""
    choices: tuple[str, ...] = ()
    """The only values that it takes; empty for any."""


class Form(Value, frozen=True):
    """The fields of a write to one path: required ones first, in the order of the document."""

    path: str
    """Below the mount; `login/{user}` with fields in it."""
    fields: tuple[Field, ...]
    example: Mapping[str, Any] = attribute(default_factory=dict)
    """The fields of a write, from the plugin."""

    @property
    def names(self) -> list[str]:
        """The names of its fields."""
        return [field.name for field in self.fields]

    def request(self, values: Mapping[str, T]) -> tuple[str, dict[str, T]]:
        """Return the path with its fields filled in, and the rest of the values as a body."""
        in_path = {field.name for field in self.fields if field.in_path}
        body = {name: value for name, value in values.items() if name not in in_path}
        return _IN_PATH.sub(lambda found: str(values.get(found[1], "")), self.path), body


class MountDescription(Value, frozen=True):
    """How a mount is used. A part is empty if the document does not have the path."""

    roles: str = ""
    """The path of its roles with a slash at the end, like `role/`."""
    config: Form | None = None
    role: Form | None = None
    """What is written to `<roles><name>`."""
    credentials: str = ""
    """Where a secrets engine issues credentials, such as `creds/{role}`."""
    login: Form | None = None
    """The path `login`, or the first one below it, such as `login/{user}`."""
    explain: Form | None = None
    """The path that explains a login step by step."""
    explains_denials: bool = False
    """Whether `explain/<reference>` explains a denied login."""
    has_browser_logins: bool = False
    """Whether `oidc/auth_url` and `oidc/callback` log in a browser at an OpenID provider."""


def describe(document: object) -> MountDescription:
    """Parse the OpenAPI document of a mount's root."""
    paths = as_mapping(as_mapping(document).get("paths"))
    components = as_mapping(as_mapping(as_mapping(document).get("components")).get("schemas"))
    roles = _find_roles(paths)
    object_path = next((path for path in paths if path.startswith(f"/{roles}{{")), "") if roles else ""

    def form(path: str) -> Form | None:
        operation = as_mapping(as_mapping(paths.get(path)).get("post"))
        if not operation:
            return None
        in_path = {name.strip("{}") for name in path.split("/") if name.startswith("{")}
        schema = _body_schema(operation, components)
        fields = sorted(_fields(schema, in_path), key=lambda field: not field.required)
        return Form(path.strip("/"), tuple(fields), as_mapping(schema.get("example")))

    def login() -> Form | None:
        path = _find_login(paths)
        found = form(path)
        return found and replace(found, fields=(*_path_fields(as_mapping(paths[path])), *found.fields))

    return MountDescription(
        roles=roles,
        config=form("/config"),
        role=form(object_path),
        credentials=_find_credentials(paths),
        login=login(),
        explain=form("/explain"),
        explains_denials="get" in as_mapping(paths.get("/explain/{reference}")),
        has_browser_logins="post" in as_mapping(paths.get("/oidc/auth_url"))
        and "get" in as_mapping(paths.get("/oidc/callback")),
    )


def _find_roles(paths: Mapping[str, Any]) -> str:
    """Return the list path of the roles: `role/` or `roles/`, else the first list with objects below it."""
    lists = [path.strip("/") + "/" for path in paths if path.endswith("/") and _has_objects(paths, path)]
    usual = (name for name in ("role/", "roles/") if name in lists)
    return next(usual, lists[0] if lists else "")


def _find_credentials(paths: Mapping[str, Any]) -> str:
    """Return the first path below `creds/` that is read with one name, without its first slash."""
    found = (
        path for path, item in paths.items() if _CREDENTIALS.fullmatch(path) and "get" in as_mapping(item)
    )
    return next(found, "").removeprefix("/")


def _has_objects(paths: Mapping[str, Any], listed: str) -> bool:
    return any(path.startswith(f"{listed}{{") and path.endswith("}") for path in paths)


def _find_login(paths: Mapping[str, Any]) -> str:
    """Return the path to log in at, empty if none is called so: `/login`, else the one with fewest fields."""
    below = [path for path in paths if path.startswith("/login/") and "post" in as_mapping(paths[path])]
    return "/login" if "/login" in paths else min(below, key=lambda path: path.count("{"), default="")


def _path_fields(item: Mapping[str, Any]) -> Iterator[Field]:
    parameters = item.get("parameters")
    for each in map(as_mapping, parameters if isinstance(parameters, list) else ()):
        if each.get("in") == "path":
            name, about = str(each.get("name", "")), {**each, **as_mapping(each.get("schema"))}
            yield replace(_field(name, about), required=True, in_path=True)


def _body_schema(operation: Mapping[str, Any], components: Mapping[str, Any]) -> Mapping[str, Any]:
    content = as_mapping(as_mapping(operation.get("requestBody")).get("content"))
    schema = as_mapping(as_mapping(content.get("application/json")).get("schema"))
    reference = str(schema.get("$ref", "")).rpartition("/")[2]
    return as_mapping(components.get(reference)) if reference else schema


def _fields(schema: Mapping[str, Any], in_path: set[str]) -> Iterator[Field]:
    required = schema.get("required")
    properties = list(as_mapping(schema.get("properties")).items())[:MAX_FIELDS]
    for name, described in properties:
        about = as_mapping(described)
        if name not in in_path and about.get("deprecated") is not True:
            is_required = isinstance(required, list) and name in required
            yield replace(_field(str(name), about), required=is_required)


def _field(name: str, about: Mapping[str, Any]) -> Field:
    display = as_mapping(about.get("x-vault-displayAttrs"))
    choices = as_mapping(about.get("items", about)).get("enum")
    return Field(
        name=name,
        help=str(about.get("description", "")),
        sensitive=display.get("sensitive") is True or about.get("format") == "password",
        group=str(display.get("group", "")),
        kind=str(about.get("type", "string")),
        format=str(about.get("format", "")),
        choices=tuple(map(str, choices)) if isinstance(choices, list) else (),
    )


def as_mapping(value: object) -> Mapping[str, Any]:
    """Return a JSON object; an empty one in place of any other value."""
    return value if isinstance(value, Mapping) else {}
