"""Settings that a write sets back because it does not name them: what an operator is told of it."""

from __future__ import annotations

from collections.abc import Sequence

from authkit.framework.fields.schema import FieldData
from authkit.framework.models import Model

__all__ = ["find_resets", "reset_warning"]


def find_resets(stored: Model, new: Model, data: FieldData) -> Sequence[str]:
    """Return the fields that a write has changed and that its request does not name."""
    schema = new.schema
    named = {schema[name].alias_of or name for name in data.raw if name in schema}
    return [
        name
        for name, declared in schema.items()
        if not declared.alias_of and name not in named and getattr(new, name) != getattr(stored, name)
    ]


def reset_warning(names: Sequence[str]) -> str:
    """Return the warning about these fields; values are never shown."""
    return (
        f"Settings that this request does not name were reset to their defaults: [{' '.join(names)}]. "
        "To change some settings and keep the others, use a patch (vault patch)"
    )
