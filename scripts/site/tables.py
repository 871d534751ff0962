"""Pages of the reference that are made of the tables of the tests: field types, errors.

What the tests hold true is what these pages say: a row of a table is one case of a test.
"""

from __future__ import annotations

import importlib.util
import inspect
import json
import re
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from enum import Enum
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, get_args, get_origin

import authkit
from authkit import errors
from authkit.framework.fields import annotations
from authkit.logical import JSONNumber

TESTS = Path(__file__).resolve().parents[2] / "tests"
FIELD_TESTS = "unit/framework/test_framework_field_table.py"
ERROR_TESTS = "unit/wire/test_wire_error_table.py"

_SHOWN = 64
"""Characters of a value in a table."""

_WITHOUT_NAME = {
    "choice": "A Literal of texts",
    "enumeration": "A StrEnum",
    "optional": "Int | None",
    "optional choice": "A Literal of texts, or None",
}
"""Headings of types that are written as Python's own."""

_FIELDS = """# Field types

What a client may send for a field of each type, and what a handler or a model gets. Each row is a case of
`tests/{tests}`. Most are those of Vault's SDK, so that a field reads what the same
field of a plugin in Go reads. Values are JSON, as `vault write` and other clients send them. What is refused
is answered with HTTP 400 and the name of the field.

- **Absent**: the field is not set; a model has its default.
- **Null**: for most types the same as the empty value, as on a server; for some the same as absent.
- Texts, items and nesting have limits. What else is known of a field, such as whether it is required, is said
  by [`field`][authkit.framework.fields.schema.field].
"""

_ERRORS = """# Errors

What authkit raises, and what an author may raise. A handler that raises one of those with an HTTP status
answers the client with it. The statuses are those that a real server gives, case by case in
`tests/{tests}`. Every other exception is HTTP 500 with a neutral text and a request id;
the cause is in the log.

```text
{tree}
```
"""

_NOTES = re.compile(r"(?<=Error)  .*")
"""What the tree says of a class: the table below it has that."""

_NO_STATUS = """
Those without a status are not for handlers: one that leaves a handler is HTTP 500, like any other exception.
A plain `LogicalError` has the status that a server knows for its text, 500 for most texts.
"""


def load_tests(path: str) -> ModuleType:
    """Return a module of the tests."""
    file = TESTS / path
    for folder in (str(TESTS), str(file.parent)):
        if folder not in sys.path:
            sys.path.append(folder)
    spec = importlib.util.spec_from_file_location(f"site_{file.stem}", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def field_types() -> str:
    """Return the page of field types."""
    tests = load_tests(FIELD_TESTS)
    parts = [_FIELDS.format(tests=FIELD_TESTS)]
    for kind, (annotation, null, empty, cases) in tests.TABLE.items():
        name = name_of(annotation)
        title = name or _WITHOUT_NAME[kind]
        found = annotations.find_type(annotation)
        accepted = [(raw, value) for raw, value in cases if value is not tests.REFUSED]
        refused = [raw for raw, value in cases if value is tests.REFUSED]
        rows = [f"| {_code(_json(raw))} | {_code(_python(value))} |" for raw, value in accepted]
        facts = [
            *([f"- A handler gets: {_code(_shown_type(annotation))}"] if name else []),
            f"- Help pages call it: {found.label}",
            f"- Empty value: {_code(_python(empty))}",
            f"- Null: {_null(null, tests)}",
        ]
        parts += [
            f"## {title}\n",
            f"{inspect.getdoc(type(found))}\n",
            "\n".join(facts) + "\n",
            "| sent | taken for |\n|---|---|\n" + "\n".join(rows) + "\n",
            f"Refused: {', '.join(dict.fromkeys(_code(_json(raw)) for raw in refused)) or 'nothing'}\n",
        ]
    return "\n".join(parts)


def name_of(annotation: object) -> str:
    """Return the name under which authors import a field type; empty for one without."""
    if annotation is authkit.Secret:
        return "Secret"
    names = (name for name in annotations.__all__ if name[0].isupper())
    return next((name for name in names if getattr(annotations, name) == annotation), "")


def error_classes() -> str:
    """Return the page of errors."""
    statuses = {cls: str(status) for cls, status in find_statuses().items()} | {
        errors.LogicalError: "by its text",
        errors.CodedError: "of its choice",
    }
    tree = inspect.getdoc(errors).partition("::\n\n")[2].partition("\n\nThe kinds of")[0]
    rows = ["| class | HTTP status | when |", "|---|---|---|"]
    for cls in _walk(errors.AuthKitError):
        status = statuses.get(cls, "-")
        summary = inspect.getdoc(cls).partition("\n\n")[0].replace("\n", " ")
        rows.append(f"| [`{cls.__name__}`][authkit.errors.{cls.__name__}] | {status} | {summary} |")
    others = sorted(set(errors.__all__) - set(authkit.__all__))
    return "\n".join(
        [
            _ERRORS.format(tests=ERROR_TESTS, tree=_NOTES.sub("", inspect.cleandoc(tree))),
            *rows,
            _NO_STATUS,
            *(f"::: authkit.errors.{name}\n" for name in others),
        ]
    )


def find_statuses() -> dict[type, int]:
    """Return the HTTP status that clients get for each class of errors that has one."""
    found: dict[type, set[int]] = {}
    for error, _, status in load_tests(ERROR_TESTS).TABLE.values():
        found.setdefault(type(error), set()).add(status)
    return {cls: each.pop() for cls, each in found.items() if len(each) == 1}


def _walk(cls: type) -> Iterator[type]:
    yield cls
    for each in cls.__subclasses__():
        if each.__module__ == errors.__name__:
            yield from _walk(each)


def _shown_type(annotation: Any) -> str:
    kind = get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation
    return kind.__name__ if isinstance(kind, type) and not get_args(kind) else _plain(repr(kind))


def _null(null: object, tests: ModuleType) -> str:
    if null is tests.REFUSED:
        return "refused"
    return "absent" if null is tests.UNSET else _code(_python(null))


def _json(raw: object) -> str:
    return raw.literal if isinstance(raw, JSONNumber) else json.dumps(raw, ensure_ascii=False)


def _python(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, timedelta):
        return f"timedelta(seconds={value.total_seconds():.0f})"
    return str(value) if isinstance(value, Enum) else _plain(repr(value))


def _plain(text: str) -> str:
    for module in ("datetime.", "typing.", "collections.abc.", "ipaddress."):
        text = text.replace(module, "")
    return text


def _code(text: str) -> str:
    shown = text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
    return f"`{shown}`".replace("|", "\\|")
