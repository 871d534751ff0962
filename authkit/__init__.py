"""authkit: auth methods for HashiCorp Vault and OpenBao, written in Python.

The public names are imported one by one, when they are first used: a process that is only asked
whether it is a plugin of another kind ends before anything heavy is loaded.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from authkit.serve import serve

__all__ = ["serve"]

_HOMES = {"serve": "authkit.serve"}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
