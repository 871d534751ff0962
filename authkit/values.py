"""Values: what never changes once it is made. Fields by annotation, cheap to define and to make.

They are structs of msgspec: defining a frozen dataclass takes half a millisecond, and a plugin that is
probed pays for all of them before its handshake; making a struct of twenty fields takes a tenth of the
time as well.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import ClassVar, Final

from msgspec import Struct, field
from msgspec.structs import asdict, replace

__all__ = ["Value", "asdict", "field", "replace", "verify_collections"]


class Value(Struct, frozen=True):
    """The base of values. Equal when all fields are; `replace` makes a changed copy.

    ::

        class Door(Value, frozen=True, kw_only=True):
            number: int
            code: str = ""

            unshown: ClassVar = ("code",)
    """

    unshown: ClassVar[tuple[str, ...]] = ()
    """Fields that `repr` leaves out: secrets, and what may hold some."""

    def __repr__(self) -> str:
        shown = (name for name in self.__struct_fields__ if name not in self.unshown)
        fields = ", ".join(f"{name}={getattr(self, name)!r}" for name in shown)
        return f"{type(self).__name__}({fields})"


_TEXTS: Final = (str, bytes, bytearray)
_USUAL: Final = frozenset({dict, list, tuple, frozenset, MappingProxyType, type(None)})
"""What is given nearly always: each request comes here some ten times."""


def verify_collections(**given: object) -> None:
    """Raise TypeError if a text was given where a collection is meant: Python would take its characters.

    Raises:
        TypeError: one of them is a text, also an empty one; the error names it and does not show it.
    """
    if _USUAL.issuperset(map(type, given.values())):
        return
    for name, value in given.items():
        if isinstance(value, _TEXTS):
            raise TypeError(f"'{name}' is one text where a collection is meant: write {name}=[...]")
