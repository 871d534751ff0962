"""Objects stored as methods written in Go store them, so that either plugin reads what the other wrote.

For methods that take the place of such a plugin on its mounts. The form is that of Vault SDK 0.21
(helper/tokenutil, TokenParams, and Go's encoding of durations): whole nanoseconds, token types as numbers.
The author decides under which key an object is stored and what its fields are called there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Self

from authkit.auth.token_parameters import TokenTypeType
from authkit.framework import FieldSchema, FieldType, Model
from authkit.framework.fields.choices import OptionalType
from authkit.framework.fields.types import DurationType
from authkit.logical import TokenType

__all__ = ["SDKRecord"]

NANOSECONDS: Final = 10**9


class SDKRecord(Model):
    """A model whose stored objects a Go plugin can read, and that reads those of a Go plugin.

    Derive from it beside the model's other bases. A Go plugin passes over what it does not know.
    """

    def to_stored(self) -> dict[str, Any]:
        """Return what is kept, in the form of a Go plugin."""
        return {name: _to_sdk(self.schema.get(name), value) for name, value in super().to_stored().items()}

    @classmethod
    def from_stored(cls, data: Mapping[str, Any]) -> Self:
        """Return the object that `data` keeps; see `Model.from_stored`."""
        return super().from_stored({name: _from_sdk(cls.schema.get(name), raw) for name, raw in data.items()})


def _to_sdk(declared: FieldSchema | None, value: Any) -> Any:
    kind = _kind(declared)
    if value is None or kind is None:
        return value
    if isinstance(kind, DurationType):
        return value * NANOSECONDS
    return int(kind.parse("", value)) if isinstance(kind, TokenTypeType) else value


def _from_sdk(declared: FieldSchema | None, raw: Any) -> Any:
    kind = _kind(declared)
    if isinstance(raw, bool) or not isinstance(raw, int):
        return raw
    if isinstance(kind, DurationType):
        # Toward zero, as Go cuts the durations of requests.
        return raw // NANOSECONDS if raw >= 0 else -(-raw // NANOSECONDS)
    # An unknown number is refused by its name, like any other value that is not a type.
    return (
        next((each for each in TokenType if each == raw), str(raw))
        if isinstance(kind, TokenTypeType)
        else raw
    )


def _kind(declared: FieldSchema | None) -> FieldType[Any] | None:
    if declared is None:
        return None
    return declared.type.inner if isinstance(declared.type, OptionalType) else declared.type
