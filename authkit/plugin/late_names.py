"""Packages whose names are imported one by one, when they are first used.

A process that is only asked whether it is a plugin of another kind ends before anything heavy is loaded.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

__all__ = ["late_names"]


def late_names(
    package: dict[str, Any], modules: Sequence[str]
) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """Return `__getattr__` and `__dir__` of a package with these globals.

    The names of its `__all__` are found in `modules`: the first that exports a name has it.
    """

    def get(name: str) -> object:
        if name not in package["__all__"]:
            raise AttributeError(f"module {package['__name__']!r} has no attribute {name!r}")
        from importlib import import_module

        module = next(each for each in map(import_module, modules) if name in each.__all__)
        value = package[name] = getattr(module, name)
        return value

    def names() -> list[str]:
        return sorted({*package, *package["__all__"]})

    return get, names
