"""`@rotated`: credentials of accounts that are not ours to make or delete, changed from time to time.

::

    static_roles = Collection(StaticRole, "static-roles/{name}")

    @rotated(creds="static-creds/{name}", rotate="rotate-role/{name}", shows=("username",))
    async def set_password(self, call: RotateCall, role: StaticRole, password: Secret) -> None: ...

A new password is stored before it is set, and becomes the one that clients read when it is set. If something
breaks off between, the same password is set again: setting it twice must do no harm. What is set:
`authkit.secrets.pending`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import timedelta
from math import inf
from typing import Any, Concatenate, Final, ParamSpec, Protocol, TypeVar
from weakref import WeakKeyDictionary

from authkit.errors import NotFoundError, TooManyRequestsError, UserError
from authkit.framework import (
    BoundCollection,
    Call,
    Collection,
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
from authkit.framework.handler_threads import Exclusive
from authkit.framework.objects.write_rules import Ruled
from authkit.framework.routing.declarations import MethodDeclaration
from authkit.framework.stored.codec import decode_entry, encode_entry
from authkit.framework.stored.storage_keys import KeyRange, Span
from authkit.framework.tasks.periodic import Periodic
from authkit.logical import Operation, Response
from authkit.masking import Secret
from authkit.secrets.arguments import PasswordPlan, read_password_plan
from authkit.secrets.pending import PendingPassword, set_new_password
from authkit.secrets.schedules import RotatedCredential, RotatedRole
from authkit.values import verify_collections

__all__ = ["RotateCall", "Rotation", "rotated"]

P = ParamSpec("P")
R = TypeVar("R", bound=Awaitable[None] | None)

TICK: Final = timedelta(minutes=1)

FINISH_SECONDS: Final = 5.0
"""That a client who reads a password waits for one whose change broke off."""

FINISH_PAUSE: Final = 10.0
"""Seconds after a failure in which no reader has it tried again: each try may set another password."""

_Judgement = Callable[[RotatedRole, PendingPassword], bool]


class RotateCall(Call, frozen=True, kw_only=True):
    """One change of a credential: by a client, at the first write of a role, or because it is due."""

    role_name: str
    """Under which the role is stored."""
    is_retry: bool = False
    """Whether this password may have been set before."""


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
        self._last: WeakKeyDictionary[Any, str] = WeakKeyDictionary()
        """By mount, the role that the last tick was at."""
        self._failed: WeakKeyDictionary[Any, dict[str, float]] = WeakKeyDictionary()
        """By mount and role, when a password could not be set for a reader."""

    def routes(self, backend: type[MountContext]) -> Iterable[Route]:
        """Return the path that shows the credential, and the one that changes it.

        Raises:
            TypeError: the method takes no `RotatedRole`, or a shown field is none of the role.
        """
        roles = self._collection(backend)
        unknown = [name for name in self.shows if name not in roles.model.schema]
        if unknown:
            raise TypeError(f"{backend.__name__}: {roles.model.__name__} has no field '{unknown[0]}' to show")
        synopsis, description = documentation(self.handler)
        for path, operation, handle, text in (
            (self.creds, Operation.READ, self._read, f"Read the credential of a {roles.noun}."),
            (self.rotate, Operation.UPDATE, self._rotate_now, synopsis or "Change the credential now."),
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
        return [self._rotate_written] if self._collection(backend).origin is ruled.origin else []

    def stored_keys(self) -> Iterable[KeyRange]:
        """Return the keys of the passwords."""
        return [KeyRange(self._prefix, Span.NAME)]

    def seal_wrapped(self) -> Iterable[str]:
        """Return the prefix of the passwords."""
        return [self._prefix]

    # -------------------------------------------------------------------------------------------

    def _answer_of(self, role: type[RotatedRole]) -> ResponseInfo:
        """Return what documents say of the credential."""
        shown = {name: role.schema[name] for name in (*self.shows, *RotatedRole.schema)}
        return ResponseInfo(fields={**shown, **RotatedCredential.schema}, shows_secrets=True)

    @property
    def _prefix(self) -> str:
        return f"rotated/{self.creds.prefix}"

    def _plan(self, backend: type[MountContext]) -> PasswordPlan:
        return read_password_plan(self.handler, backend, RotateCall)

    def _collection(self, backend: type[MountContext]) -> Collection[RotatedRole]:
        found = backend.declarations.get(self._plan(backend).plan.roles)
        if not isinstance(found, Collection) or not issubclass(found.model, RotatedRole):
            raise TypeError(
                f"{backend.__name__}: {self.handler.__qualname__} takes no role; it takes one whose model "
                "derives from RotatedRole, with a Collection in the class body"
            )
        return found

    def _roles(self, backend: Any) -> BoundCollection[RotatedRole]:
        roles: BoundCollection[RotatedRole] = getattr(backend, self._plan(type(backend)).plan.roles)
        return roles

    async def _read(self, backend: Any, call: Call) -> Response:
        name, role = await self._find(backend, call, self.creds)
        known = await self._known(backend, name)
        if _is_unclear(role, known):
            role, known = await self._finish(backend, name, call) or (role, known)
        if known.last_rotation is None or not _is_about(known.account, role):
            raise NotFoundError("the role has no password yet")
        shown = role.read_shape()
        left = role.next_rotation(known.last_rotation) - backend.clock.now()
        times = [field for field in RotatedRole.schema if shown.get(field)]
        data = {field: shown[field] for field in (*self.shows, *times)} | {
            "password": known.password.reveal(),
            "last_vault_rotation": known.last_rotation,
            "ttl": max(timedelta(0), left),
        }
        return Response(data=data)

    async def _finish(
        self, backend: Any, name: str, call: Call
    ) -> tuple[RotatedRole, PendingPassword] | None:
        """Set a password that may have been set, unless that takes long: then the client is warned.

        What has failed just now is not tried for each reader.
        """
        failed = self._failed.setdefault(backend, {})

        def is_needed(role: RotatedRole, known: PendingPassword) -> bool:
            ago = backend.clock.monotonic() - failed.get(name, -inf)
            return _is_unclear(role, known) and ago >= FINISH_PAUSE

        try:
            async with asyncio.timeout(FINISH_SECONDS):
                role, known = await self._rotate(backend, name, call, is_needed)
            if not _is_unclear(role, known):
                failed.pop(name, None)
                return role, known
        except Exception as error:
            failed[name] = backend.clock.monotonic()
            backend.log.warning("a new password could not be set", exc_info=error)
        call.warn("a new password could not be set yet; this one may not be valid any more")
        return None

    async def _rotate_now(self, backend: Any, call: Call) -> None:
        name, _ = await self._find(backend, call, self.rotate)
        await self._rotate(backend, name, call)

    async def _rotate_written(self, backend: Any, write: Write[RotatedRole]) -> None:
        """Set the first password, or a new one where the role may be about another account now."""
        name = self._roles(backend).stored_name(write.name)
        if write.stored is None:
            # What was left by a role of this name is not about this one.
            await backend.objects.delete(self._prefix + name)
        elif _account(write.stored) == _account(write.new):
            return
        await self._set(backend, name, write.new, write.call)

    async def _rotate_due(self, backend: Any, task: Task) -> None:
        names = await self._roles(backend).names()
        for name in set(await backend.objects.names(self._prefix)).difference(names):
            # Under the lock: the password of a new role is stored before the role.
            async with backend.objects.lock(self._roles(backend).path + name):
                if await self._roles(backend).find(name) is None:
                    await backend.objects.delete(self._prefix + name)
        failed: list[Exception] = []
        # A host ends a long tick: the next one goes on behind the role that it was at.
        last = self._last.get(backend, "")
        for name in sorted(names, key=lambda name: (name <= last, name)):
            self._last[backend] = name
            try:
                if await self._is_due(backend, name):
                    await self._rotate(backend, name, Call(request=task.request), self._due_now(backend))
            except Exception as error:
                backend.log.warning("the password of a static role was not changed", exc_info=error)
                failed.append(error)
        if failed:
            raise failed[0]

    async def _is_due(self, backend: Any, name: str) -> bool:
        role, known = await self._roles(backend).find(name), await self._known(backend, name)
        return role is not None and self._due_now(backend)(role, known)

    def _due_now(self, backend: Any) -> _Judgement:
        def is_due(role: RotatedRole, known: PendingPassword) -> bool:
            if _is_unclear(role, known) or known.last_rotation is None:
                return True
            return role.is_due(known.last_rotation, backend.clock.now())

        return is_due

    async def _rotate(
        self, backend: Any, name: str, call: Call, is_needed: _Judgement | None = None
    ) -> tuple[RotatedRole, PendingPassword]:
        """Set a new password, unless it is not needed any more: another request may have set one."""
        roles = self._roles(backend)
        async with backend.objects.lock(roles.path + name):
            role, known = await roles.get(name), await self._known(backend, name)
            if is_needed is None or is_needed(role, known):
                known = await self._set(backend, name, role, call)
            return role, known

    async def _set(self, backend: Any, name: str, role: RotatedRole, call: Call) -> PendingPassword:
        plan = self._plan(type(backend))
        # A thread of a request that has ended may still be at work, and would set its password later.
        setting = Exclusive.of(backend.mount_id, f"setting the password of {self._prefix}{name}")
        if not setting.may_begin():
            raise TooManyRequestsError("the password is still being set; try again later")

        async def set_it(password: Secret, is_retry: bool) -> None:
            rotate_call = RotateCall(
                request=call.request, warnings=call.warnings, role_name=name, is_retry=is_retry
            )
            await plan.run(backend, rotate_call, password, role)

        async def make() -> Secret:
            return await plan.make_password(backend, role)

        with setting.run():
            return await set_new_password(
                backend.objects,
                backend.clock,
                self._prefix + name,
                account=Secret(encode_entry(role.to_stored()).decode()),
                is_same=lambda account: _is_about(account, role),
                make=make,
                set_it=set_it,
            )

    async def _known(self, backend: Any, name: str) -> PendingPassword:
        found = await backend.objects.find(self._prefix + name, PendingPassword)
        return found if isinstance(found, PendingPassword) else PendingPassword()

    async def _find(self, backend: Any, call: Call, path: PathTemplate) -> tuple[str, RotatedRole]:
        roles = self._roles(backend)
        name = roles.stored_name(call.data.get(path.names[0], ""))
        role = await roles.find(name)
        if role is None:
            raise UserError(f"unknown role: {name}")
        return name, role


def _account(role: RotatedRole) -> dict[str, Any]:
    """Return what says whose password it is: all but the times."""
    return {name: value for name, value in role.to_stored().items() if name not in RotatedRole.schema}


def _is_about(account: Secret, role: RotatedRole) -> bool:
    """Whether what was set for a role, as it was then, is for the role as it is now."""
    if not account:
        return True
    try:
        before = type(role).from_stored(decode_entry(account.reveal().encode()))
    except Exception:
        return False
    return _account(before) == _account(role)


def _is_unclear(role: RotatedRole, known: PendingPassword) -> bool:
    """Whether another password may be valid than the one that is known, or that one is not the role's."""
    return bool(known.pending) or not _is_about(known.account, role)


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
