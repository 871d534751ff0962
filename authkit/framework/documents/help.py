"""Help pages, laid out as hosts' own backends do it (Vault SDK 0.21, framework/path.go, backend.go)."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Final

from authkit.framework.fields.schema import FieldSchema
from authkit.framework.routing.routes import Route

__all__ = ["documentation", "path_page", "root_page"]

_PATHS_INTRODUCTION: Final = """\
The following paths are supported by this backend. To view help for
any of the paths below, use the help command with any route matching
the path pattern. Note that depending on the policy of your auth token,
you may or may not be able to access certain paths."""


def documentation(documented: object) -> tuple[str, str]:
    """Return the first line of a docstring, and what comes after it. Both may be empty."""
    synopsis, _, description = inspect.cleandoc(documented.__doc__ or "").partition("\n")
    return synopsis, description.strip()


def root_page(text: str, routes: Iterable[Route]) -> str:
    """Return the page of a backend: its own text, then every path with its synopsis."""
    paths = "".join(
        f"{_indent(4, route.path.go_pattern)}\n{_indent(8, route.synopsis.strip())}\n\n"
        for route in sorted(routes, key=lambda route: route.path.go_pattern)
    )
    page = f"## DESCRIPTION\n\n{text.strip()}\n\n## PATHS\n\n{_PATHS_INTRODUCTION}\n\n{paths}"
    return page.strip()


def path_page(path: str, route: Route) -> str:
    """Return the page of one path: its fields, then its description."""
    fields = "".join(_field(schema) for _, schema in sorted(route.fields.items()))
    parameters = f"## PARAMETERS\n{fields}" if fields else ""
    page = (
        f"Request:        {path}\nMatching Route: {route.path.go_pattern}\n\n"
        f"{route.synopsis.strip() or '<no synopsis>'}\n\n{parameters}\n"
        f"## DESCRIPTION\n\n{route.description.strip() or '<no description>'}\n"
    )
    return page.strip()


def _field(schema: FieldSchema) -> str:
    text = schema.help.strip() or "<no description>"
    if schema.deprecated:
        text = f"(DEPRECATED) {text}"
    return f"\n{_indent(4, schema.name)} ({schema.type.label})\n\n{_indent(8, text)}\n"


def _indent(width: int, text: str) -> str:
    return "".join(" " * width + line for line in text.splitlines(keepends=True))
