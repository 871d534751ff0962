"""Methods that belong to another declaration of their class, such as `@create.renew`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar

from authkit.framework import MountContext
from authkit.framework.routing.declarations import MethodDeclaration

__all__ = ["OwnedMethod", "find_owned"]

P = ParamSpec("P")
R = TypeVar("R")


class OwnedMethod(MethodDeclaration[P, R]):
    """A method that does one thing for its owner: `renew` or `revoke` for credentials, or `check`."""

    def __init__(
        self, handler: Callable[Concatenate[Any, P], R], owner: MethodDeclaration[..., Any], use: str
    ) -> None:
        super().__init__(handler)
        self.owner = owner
        self.use = use


def find_owned(
    owner: MethodDeclaration[..., Any], use: str, backend: type[MountContext]
) -> Callable[..., Any] | None:
    """Return the one method of `backend` that does this for `owner`, `None` if there is none.

    Raises:
        TypeError: there are two.
    """
    declared = [each for each in backend.declarations.values() if isinstance(each, OwnedMethod)]
    found = [each.handler for each in declared if each.owner is owner and each.use == use]
    if len(found) > 1:
        raise TypeError(f"{backend.__name__} has two methods for @{owner.handler.__name__}.{use}")
    return found[0] if found else None
