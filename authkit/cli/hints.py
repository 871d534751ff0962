"""The commands that `authkit dev` prints for a mount: an operator's first ones, as they can be pasted.

Values are made up, or the plugin's own examples. What comes from the plugin is quoted for the shell.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping

from authkit.host.mount_overview import Field, Form, MountDescription
from authkit.values import Value

__all__ = ["Hints", "make_database_hints", "make_hints"]

SAMPLE = "dev"
"""For every text: a role's name, and what a login has to repeat of the role, are the same everywhere."""
SAMPLES = {"string": SAMPLE, "array": SAMPLE, "boolean": "true", "integer": "1", "number": "1"}
FORMATS = {"lowercase": SAMPLE, "duration": "1h", "kvpairs": f"{SAMPLE}={SAMPLE}", "int64": "1", "float": "1"}
OWN = "..."
"""In place of a value that only the user knows."""


_IN_PATH = re.compile(r"\{\w+\}")


class Hints(Value, frozen=True):
    """Commands for one mount."""

    ready: tuple[str, ...]
    """They run as they are, one after the other."""
    to_complete: tuple[str, ...] = ()
    """They have `...` where a value of the user's own belongs."""


def make_hints(mount: str, description: MountDescription) -> Hints:
    """Return the commands for a mount, such as `auth/jwt` or, of a secrets engine, `accounts`."""
    commands = [shlex.join(["vault", "path-help", mount])]
    role: dict[str, str] = {}
    if description.config is not None:
        commands.append(_write(f"{mount}/config", _values(description.config)))
    if description.role is not None:
        role = _values(description.role)
        commands.append(_write(f"{mount}/{description.roles}{SAMPLE}", role, force=True))
        commands.append(shlex.join(["vault", "list", f"{mount}/{description.roles.rstrip('/')}"]))
    if description.credentials:
        path = _IN_PATH.sub(SAMPLE, description.credentials)
        commands.append(shlex.join(["vault", "read", f"{mount}/{path}"]))
    if description.login is not None:
        path, values = description.login.request(_login_values(description.login, role))
        commands.append(_write(f"{mount}/{path}", values, force=True))
    # A command after one that is not complete may need what that one writes.
    place = next((place for place, command in enumerate(commands) if OWN in command), len(commands))
    return Hints(tuple(commands[:place]), tuple(commands[place:]))


def make_database_hints(mount: str, plugin: str) -> Hints:
    """Return the commands for a database plugin. Only its README knows its settings."""
    connection = f"{mount}/config/{SAMPLE}"
    role = {"db_name": SAMPLE, "default_ttl": "1h", "creation_statements": OWN}
    return Hints(
        ready=(shlex.join(["vault", "path-help", mount]),),
        to_complete=(
            f"{_write(connection, {'plugin_name': plugin, 'allowed_roles': '*'})} {OWN}",
            _write(f"{mount}/roles/{SAMPLE}", role),
            shlex.join(["vault", "read", f"{mount}/creds/{SAMPLE}"]),
        ),
    )


def _values(form: Form) -> dict[str, str]:
    """Return the fields of a write: the plugin's example, or what is required."""
    if form.example:
        return {name: _text(value) for name, value in form.example.items()}
    return {field.name: _sample(field) for field in form.fields if field.required}


def _text(value: object) -> str:
    """Return a value as the `vault` command takes it: it takes no maps, and reads files for `@` and `-`."""
    if isinstance(value, Mapping):
        return OWN
    if isinstance(value, list | tuple):
        return ",".join(map(_text, value))
    text = value if isinstance(value, str) else json.dumps(value)
    return f"\\{text}" if text.startswith("@") or text == "-" else text


def _login_values(form: Form, role: Mapping[str, str]) -> dict[str, str]:
    """Return what a login needs. A secret is what the role has under the same name, else the user's own."""
    secrets = [field for field in form.fields if field.sensitive]
    needed = [field for field in form.fields if field.required]
    if secrets and not any(field.sensitive for field in needed):
        needed.append(secrets[0])  # a login has one, though there may be another way
    found = {field.name: SAMPLE for field in form.fields if field.name == "role"}
    for field in needed:
        known = SAMPLE if field.name == "role" else role.get(field.name)
        found[field.name] = known or (OWN if field.sensitive else _sample(field))
    return found


def _sample(field: Field) -> str:
    if field.choices:
        return field.choices[0]
    samples = FORMATS if field.format else SAMPLES
    return samples.get(field.format or field.kind, OWN)


def _write(path: str, values: Mapping[str, str], *, force: bool = False) -> str:
    if not values and not force:
        return shlex.join(["vault", "path-help", path])
    arguments = [f"{name}={value}" for name, value in values.items()]
    return shlex.join(["vault", "write", *([] if arguments else ["-force"]), path, *arguments])
