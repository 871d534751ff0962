"""Secrets that a write keeps stay where they are sent: see `goes_to` of `authkit.framework.field`."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from authkit.errors import UserError
from authkit.framework.fields.schema import FieldData, FieldSchema
from authkit.framework.models import Model

__all__ = ["find_moved", "verify_destinations"]


def verify_destinations(stored: Model, new: Model, data: FieldData) -> None:
    """Raise UserError if a stored secret of `new` would be sent to another place than before."""
    for name, declared in new.schema.items():
        moved = find_moved(stored, new, declared)
        if not moved:
            continue
        for secret in _secrets(declared, getattr(new, name)):
            if not _is_sent(new, declared, secret, data):
                raise UserError(
                    f"'{secret}' must be sent again: this request changes '{moved}', "
                    "which is where the secret goes"
                )


def find_moved(stored: Model, new: Model, declared: FieldSchema) -> str:
    """Return the first place of a secret that differs, empty if it would be sent to the same one."""
    return next((place for place in declared.goes_to if _find(stored, place) != _find(new, place)), "")


def _secrets(declared: FieldSchema, value: Any) -> Iterator[str]:
    """Yield the secrets that a field holds: itself, or members as `map.member`."""
    if declared.shown_members is None:
        if value:
            yield declared.name
        return
    for member in value or ():
        if member not in declared.shown_members:
            yield f"{declared.name}.{member}"


def _is_sent(model: Model, declared: FieldSchema, secret: str, data: FieldData) -> bool:
    names = [name for name, each in model.schema.items() if declared.name in (name, each.alias_of)]
    sent = [data.raw[name] for name in names if name in data.raw]
    _, is_member, member = secret.partition(".")
    return any(member in _members(each) for each in sent) if is_member else bool(sent)


def _members(raw: Any) -> Collection[str]:
    """Return the names of the members that a request has for a map."""
    parts = raw if isinstance(raw, list | tuple) else [raw]
    return {name for part in parts if isinstance(part, Mapping) for name in part}


def _find(model: Model, place: str) -> Any:
    name, _, member = place.partition(".")
    value = getattr(model, name)
    return (value or {}).get(member) if member else value
