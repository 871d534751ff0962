"""How the passwords of one collection's roles are set, shown and changed. The decorator: `rotation`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta
from math import inf
from typing import Any, Final

from authkit.errors import NotFoundError, TooManyRequestsError, UserError
from authkit.framework import BoundCollection, Call, Collection, MountContext, PathTemplate, Task, Write
from authkit.framework.handler_threads import Exclusive
from authkit.framework.stored.codec import decode_entry, encode_entry
from authkit.logical import Response
from authkit.masking import Secret
from authkit.secrets.arguments import read_password_plan
from authkit.secrets.calls import RotateCall
from authkit.secrets.pending import PendingPassword, set_new_password
from authkit.secrets.schedules import RotatedRole

__all__ = ["FINISH_SECONDS", "RotationFlow"]

FINISH_SECONDS: Final = 5.0
"""For which a reader waits while a change that broke off is finished."""

FINISH_PAUSE: Final = 10.0
"""Seconds after a failure in which readers do not cause another try: each may set another password."""

_Condition = Callable[[RotatedRole, PendingPassword], bool]


class RotationFlow:
    """One kind of static roles on one class. `prefix` is where their passwords are stored.

    Raises:
        TypeError: the method takes no `RotatedRole`, or a shown field is none of the role.
    """

    def __init__(
        self,
        handler: Callable[..., Any],
        backend: type[MountContext],
        *,
        creds: PathTemplate,
        rotate: PathTemplate,
        shows: Sequence[str],
        prefix: str,
    ) -> None:
        self.plan = read_password_plan(handler, backend, RotateCall)
        self.attribute = self.plan.plan.roles
        found = backend.declarations.get(self.attribute)
        if not isinstance(found, Collection) or not issubclass(found.model, RotatedRole):
            raise TypeError(
                f"{backend.__name__}: {handler.__qualname__} takes no role; it takes one whose model "
                "derives from RotatedRole, with a Collection in the class body"
            )
        self.collection: Collection[RotatedRole] = found
        unknown = [name for name in shows if name not in found.model.schema]
        if unknown:
            raise TypeError(f"{backend.__name__}: {found.model.__name__} has no field '{unknown[0]}' to show")
        self.creds = creds
        self.rotate = rotate
        self.shows = tuple(shows)
        self.prefix = prefix

    async def read(self, backend: Any, call: Call) -> Response:
        """Return the credential of a role, and its times.

        Raises:
            UserError: there is no such role.
            NotFoundError: it has no password yet.
        """
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

    async def rotate_now(self, backend: Any, call: Call) -> None:
        """Set a new password: a client asks for it.

        Raises:
            UserError: there is no such role.
        """
        name, _ = await self._find(backend, call, self.rotate)
        await self._rotate(backend, name, call)

    async def rotate_written(self, backend: Any, write: Write[RotatedRole]) -> None:
        """Set the first password, or a new one where the role may be about another account now."""
        name = self._roles(backend).stored_name(write.name)
        if write.stored is None:
            # A password that an earlier role of this name has left is for another account.
            await backend.objects.delete(self.prefix + name)
        elif _account(write.stored) == _account(write.new):
            return
        await self._set(backend, name, write.new, write.call)

    async def rotate_due(self, backend: Any, task: Task) -> None:
        """Set the passwords that are due, and drop those of roles that are gone, for one tick.

        Raises:
            Exception: the first failure, once every role had its turn.
        """
        names = await self._roles(backend).names()
        for name in set(await backend.objects.names(self.prefix)).difference(names):
            # Under the lock: the password of a new role is stored before the role.
            async with backend.objects.lock(self._roles(backend).path + name):
                if await self._roles(backend).find(name) is None:
                    await backend.objects.delete(self.prefix + name)
        failed: list[Exception] = []
        # A host ends a long tick: the next one goes on behind the role that it was at.
        last = backend.rotated_last.get(self.prefix, "")
        for name in sorted(names, key=lambda name: (name <= last, name)):
            backend.rotated_last[self.prefix] = name
            try:
                if await self._is_due(backend, name):
                    await self._rotate(backend, name, Call(request=task.request), self._due_now(backend))
            except Exception as error:
                backend.log.warning("the password of a static role was not changed", exc_info=error)
                failed.append(error)
        if failed:
            raise failed[0]

    # -------------------------------------------------------------------------------------------

    def _roles(self, backend: Any) -> BoundCollection[RotatedRole]:
        roles: BoundCollection[RotatedRole] = getattr(backend, self.attribute)
        return roles

    async def _finish(
        self, backend: Any, name: str, call: Call
    ) -> tuple[RotatedRole, PendingPassword] | None:
        """Finish a change that broke off, or warn the client if that fails or takes long.

        After a failure readers do not cause another try for `FINISH_PAUSE`.
        """
        key = self.prefix + name

        def is_needed(role: RotatedRole, known: PendingPassword) -> bool:
            ago = backend.clock.monotonic() - backend.rotation_failures.get(key, -inf)
            return _is_unclear(role, known) and ago >= FINISH_PAUSE

        try:
            async with asyncio.timeout(FINISH_SECONDS):
                role, known = await self._rotate(backend, name, call, is_needed)
            if not _is_unclear(role, known):
                backend.rotation_failures.pop(key, None)
                return role, known
        except Exception as error:
            backend.rotation_failures[key] = backend.clock.monotonic()
            backend.log.warning("a new password could not be set", exc_info=error)
        call.warn("a new password could not be set yet; this one may not be valid any more")
        return None

    async def _is_due(self, backend: Any, name: str) -> bool:
        role, known = await self._roles(backend).find(name), await self._known(backend, name)
        return role is not None and self._due_now(backend)(role, known)

    def _due_now(self, backend: Any) -> _Condition:
        def is_due(role: RotatedRole, known: PendingPassword) -> bool:
            if _is_unclear(role, known) or known.last_rotation is None:
                return True
            return role.is_due(known.last_rotation, backend.clock.now())

        return is_due

    async def _rotate(
        self, backend: Any, name: str, call: Call, is_needed: _Condition | None = None
    ) -> tuple[RotatedRole, PendingPassword]:
        """Set a new password, unless it is not needed any more: another request may have set one."""
        roles = self._roles(backend)
        async with backend.objects.lock(roles.path + name):
            role, known = await roles.get(name), await self._known(backend, name)
            if is_needed is None or is_needed(role, known):
                known = await self._set(backend, name, role, call)
            return role, known

    async def _set(self, backend: Any, name: str, role: RotatedRole, call: Call) -> PendingPassword:
        # A thread of a request that has ended may still be at work, and would set its password later.
        setting = Exclusive.of(backend.mount_id, f"setting the password of {self.prefix}{name}")
        if not setting.may_begin():
            raise TooManyRequestsError("the password is still being set; try again later")

        async def set_it(password: Secret, is_retry: bool) -> None:
            rotate_call = RotateCall(
                request=call.request, warnings=call.warnings, role_name=name, is_retry=is_retry
            )
            await self.plan.run(backend, rotate_call, password, role)

        async def make() -> Secret:
            return await self.plan.make_password(backend, role)

        with setting.run():
            return await set_new_password(
                backend.objects,
                backend.clock,
                self.prefix + name,
                account=Secret(encode_entry(role.to_stored()).decode()),
                is_same=lambda account: _is_about(account, role),
                make=make,
                set_it=set_it,
            )

    async def _known(self, backend: Any, name: str) -> PendingPassword:
        found = await backend.objects.find(self.prefix + name, PendingPassword)
        return found if isinstance(found, PendingPassword) else PendingPassword()

    async def _find(self, backend: Any, call: Call, path: PathTemplate) -> tuple[str, RotatedRole]:
        roles = self._roles(backend)
        name = roles.stored_name(call.data.get(path.names[0], ""))
        role = await roles.find(name)
        if role is None:
            raise UserError(f"unknown role: {name}")
        return name, role


def _account(role: RotatedRole) -> dict[str, Any]:
    """Return the fields that say whose password it is: all but those of the rotation."""
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
