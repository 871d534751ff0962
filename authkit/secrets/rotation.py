"""`@rotated`: credentials of existing accounts, which an engine changes from time to time.

::

    static_roles = Collection(StaticRole, "static-roles/{name}")

    @rotated(creds="static-creds/{name}", rotate="rotate-role/{name}", shows=("username",))
    async def set_password(self, call: RotateCall, role: StaticRole, password: Secret) -> None: ...

A new password is stored before it is set, and becomes the one that clients read when it is set. If something
breaks off between, the same password is set again: setting it twice must do no harm. See
`authkit.secrets.pending` for what is stored.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import timedelta
from functools import lru_cache
from typing import Any, Concatenate, Final, ParamSpec, Protocol, TypeVar

from authkit.framework import (
    MountContext,
    OperationInfo,
    PathTemplate,
    ResponseInfo,
    Route,
    Task,
    Write,
)
from authkit.framework.documents.help import documentation
from authkit.framework.fields.schema import FieldSchema
from authkit.framework.fields.types import LowerTextType, TextType
from authkit.framework.objects.write_rules import Ruled
from authkit.framework.routing.declarations import MethodDeclaration
from authkit.framework.stored.storage_keys import KeyRange, Span
from authkit.framework.tasks.periodic import Periodic
from authkit.logical import Operation
from authkit.secrets.rotation_flow import RotationFlow
from authkit.secrets.schedules import RotatedCredential, RotatedRole
from authkit.values import verify_collections

__all__ = ["Rotation", "rotated"]

P = ParamSpec("P")
R = TypeVar("R", bound=Awaitable[None] | None)

TICK: Final = timedelta(minutes=1)

MAX_KEPT_FLOWS: Final = 1024
"""Rotations whose methods are read once for each class."""


class Rotation(MethodDeclaration[P, R]):
    """A method that sets passwords, and the paths around it. Made by `rotated`."""

    def __init__(
        self,
        handler: Callable[Concatenate[Any, P], R],
        creds: PathTemplate,
        rotate: PathTemplate,
        shows: Sequence[str],
    ) -> None:
        super().__init__(handler)
        self.creds = creds
        self.rotate = rotate
        self.shows = tuple(shows)

    def routes(self, backend: type[MountContext]) -> Iterable[Route]:
        """Return the path that shows the credential, and the one that changes it.

        Raises:
            TypeError: the class is no secrets engine, the method takes no `RotatedRole`, or a shown field is
                none of the role.
        """
        if not hasattr(backend, "_flows"):
            raise TypeError(
                f"{backend.__name__}: {self.handler.__qualname__} rotates static roles, which only a secrets "
                "engine has: derive the class from SecretsEngine"
            )
        flow = self._flow(backend)
        roles = flow.collection
        synopsis, description = documentation(self.handler)
        for path, operation, handle, text in (
            (self.creds, Operation.READ, flow.read, f"Read the credential of a {roles.noun}."),
            (self.rotate, Operation.UPDATE, flow.rotate_now, synopsis or "Change the credential now."),
        ):
            name = path.names[0]
            kind = LowerTextType() if roles.lower_names else TextType()
            is_read = operation is Operation.READ
            info = OperationInfo(
                summary=text,
                fields={},
                forward=not is_read,
                responses={200: self._answer_of(roles.model)} if is_read else {},
            )
            yield Route(
                path=path,
                operations={operation: handle},
                fields={name: FieldSchema(name=name, type=kind, help=f"Name of the {roles.noun}.")},
                synopsis=text,
                description=description,
                infos={operation: info},
            )

    def tasks(self) -> Iterable[Periodic[..., Any]]:
        """Return what changes credentials that are due."""
        task = Periodic(self._rotate_due, TICK, writes=True)
        task.attribute = self.attribute
        return [task]

    def rules_for(self, ruled: Ruled[Any], backend: type[MountContext]) -> Iterable[Callable[..., Any]]:
        """Return what sets the first password when a role is written."""
        return [self._rotate_written] if self._flow(backend).collection.origin is ruled.origin else []

    def stored_keys(self) -> Iterable[KeyRange]:
        """Return the keys of the passwords."""
        return [KeyRange(self.prefix, Span.NAME)]

    def seal_wrapped(self) -> Iterable[str]:
        """Return the prefix of the passwords."""
        return [self.prefix]

    @property
    def prefix(self) -> str:
        """Return where the passwords are stored."""
        return f"rotated/{self.creds.prefix}"

    # -------------------------------------------------------------------------------------------

    def _answer_of(self, role: type[RotatedRole]) -> ResponseInfo:
        """Return what documents say of the credential."""
        shown = {name: role.schema[name] for name in (*self.shows, *RotatedRole.schema)}
        return ResponseInfo(fields={**shown, **RotatedCredential.schema}, shows_secrets=True)

    def _flow(self, backend: type[MountContext]) -> RotationFlow:
        """Return what serves these roles on a class, the same each time."""
        return _flow_on(self, backend)

    async def _rotate_written(self, backend: Any, write: Write[RotatedRole]) -> None:
        await self._flow(type(backend)).rotate_written(backend, write)

    async def _rotate_due(self, backend: Any, task: Task) -> None:
        await self._flow(type(backend)).rotate_due(backend, task)


@lru_cache(MAX_KEPT_FLOWS)
def _flow_on(of: Rotation[..., Any], backend: type[MountContext]) -> RotationFlow:
    return RotationFlow(
        of.handler, backend, creds=of.creds, rotate=of.rotate, shows=of.shows, prefix=of.prefix
    )


class RotationDecorator(Protocol):
    """Declares a method, and keeps its parameters for type checkers."""

    def __call__(self, handler: Callable[Concatenate[Any, P], R], /) -> Rotation[P, R]:
        """Return the declaration."""
        ...


def rotated(*, creds: str, rotate: str, shows: Sequence[str] = ()) -> RotationDecorator:
    """Have a method set the passwords of the accounts of a collection's roles.

    Its parameters are, by their annotations: a `RotateCall`, a role (a model derived from `RotatedRole`), a
    `Secret` that is the new password, the model of a singleton. It is called when a role is first written,
    and the write fails with it; when a client asks for it; when the role's time has come; and again after a
    failure. The password comes from the policy that the field `password_policy` of the role, or else of a
    singleton that the method takes, names; from `make_password` if there is none.

    Args:
        creds: the path that shows password, last and next rotation: `static-creds/{name}`.
        rotate: the path that changes the password now: `rotate-role/{name}`.
        shows: fields of the role that `creds` shows as well, such as the username.

    Raises:
        ValueError: a path does not capture one name.
    """
    verify_collections(shows=shows)
    templates = [PathTemplate.parse(path) for path in (creds, rotate)]
    for template in templates:
        if len(template.names) != 1:
            raise ValueError(f"{template.text!r} does not capture the name of a role")

    def declare(handler: Callable[Concatenate[Any, P], R], /) -> Rotation[P, R]:
        return Rotation(handler, templates[0], templates[1], shows)

    return declare
