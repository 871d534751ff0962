"""Reads from a mount's OpenAPI document where its roles are and how to log in.

The document comes from the plugin, so it is not trusted: its form is checked, and parts of a wrong type
are skipped. The caller fetches it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from authkit.values import Value

__all__ = ["Field", "Form", "MountDescription", "as_mapping", "describe"]

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
    group: str = ""
    """The group of fields that it is shown in, such as `Tokens`; empty for the method's own."""
    choices: tuple[str, ...] = ()
    """The only values that it takes; empty for any."""


class Form(Value, frozen=True):
    """The fields of a write to one path: required ones first, in the order of the document."""

    path: str
    """Below the mount."""
    fields: tuple[Field, ...]

    @property
    def names(self) -> list[str]:
        """The names of its fields."""
        return [field.name for field in self.fields]


class MountDescription(Value, frozen=True):
    """How a mount is used. A part is empty if the document does not have the path."""

    roles: str = ""
    """The path of its roles with a slash at the end, like `role/`."""
    config: Form | None = None
    role: Form | None = None
    """What is written to `<roles><name>`."""
    login: Form | None = None
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
        in_path = {name.strip("{}") for name in path.split("/") if name.startswith("{")}
        fields = sorted(_fields(operation, components, in_path), key=lambda field: not field.required)
        return Form(path.strip("/"), tuple(fields)) if operation else None

    return MountDescription(
        roles=roles,
        config=form("/config"),
        role=form(object_path),
        login=form("/login"),
        explain=form("/explain"),
        explains_denials="get" in as_mapping(paths.get("/explain/{reference}")),
        has_browser_logins="post" in as_mapping(paths.get("/oidc/auth_url"))
        and "get" in as_mapping(paths.get("/oidc/callback")),
    )


def _find_roles(paths: Mapping[str, Any]) -> str:
    """Return the list path of the roles: `role/` if present, else the first list with objects below it."""
    lists = [path.strip("/") + "/" for path in paths if path.endswith("/") and _has_objects(paths, path)]
    return "role/" if "role/" in lists else next(iter(lists), "")


def _has_objects(paths: Mapping[str, Any], listed: str) -> bool:
    return any(path.startswith(f"{listed}{{") and path.endswith("}") for path in paths)


def _fields(
    operation: Mapping[str, Any], components: Mapping[str, Any], in_path: set[str]
) -> Iterator[Field]:
    content = as_mapping(as_mapping(operation.get("requestBody")).get("content"))
    schema = as_mapping(as_mapping(content.get("application/json")).get("schema"))
    reference = str(schema.get("$ref", "")).rpartition("/")[2]
    schema = as_mapping(components.get(reference)) if reference else schema
    required = schema.get("required")
    properties = list(as_mapping(schema.get("properties")).items())[:MAX_FIELDS]
    for name, described in properties:
        about = as_mapping(described)
        display = as_mapping(about.get("x-vault-displayAttrs"))
        if name not in in_path and about.get("deprecated") is not True:
            choices = as_mapping(about.get("items", about)).get("enum")
            yield Field(
                name=str(name),
                help=str(about.get("description", "")),
                required=isinstance(required, list) and name in required,
                sensitive=display.get("sensitive") is True or about.get("format") == "password",
                group=str(display.get("group", "")),
                kind=str(about.get("type", "string")),
                choices=tuple(map(str, choices)) if isinstance(choices, list) else (),
            )


def as_mapping(value: object) -> Mapping[str, Any]:
    """Return a JSON object; an empty one in place of any other value."""
    return value if isinstance(value, Mapping) else {}
