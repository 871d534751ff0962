"""`@root_rotation`: the engine changes its own password, so that nobody else knows it.

::

    @root_rotation("config/rotate-root")
    async def rotate_root(self, call: Call, config: Config, password: Secret) -> None: ...

    @rotate_root.check
    async def can_log_in(self, config: Config) -> bool: ...

The new password is stored before it is set. If something breaks off between, the next tick asks `check`
which of the two is valid, and keeps that one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime, timedelta
from typing import Any, Concatenate, Final, ParamSpec, Protocol, TypeVar

from authkit.errors import InternalError, TooManyRequestsError
from authkit.framework import BoundSingleton, Call, Model, MountContext, PathTemplate, Route, Singleton, Task
from authkit.framework.documents.help import documentation
from authkit.framework.handler_threads import Exclusive, invoke
from authkit.framework.objects.secret_destinations import find_moved
from authkit.framework.routing.declarations import MethodDeclaration
from authkit.framework.routing.routes import OperationInfo
from authkit.framework.stored.codec import decode_entry, encode_entry
from authkit.framework.stored.storage_keys import KeyRange
from authkit.framework.tasks.periodic import Periodic
from authkit.logical import Operation
from authkit.masking import Secret
from authkit.secrets.arguments import SET_SECONDS, PasswordPlan, read_password_plan
from authkit.secrets.owned_methods import OwnedMethod, find_owned
from authkit.secrets.pending import PendingPassword

__all__ = ["RootRotation", "root_rotation"]

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R", bound=Awaitable[None] | None)
C = TypeVar("C", bound=Awaitable[bool] | bool)

TICK: Final = timedelta(minutes=1)


class RootRotation(MethodDeclaration[P, R]):
    """A method that sets the engine's own password. Made by `root_rotation`."""

    def __init__(
        self, handler: Callable[Concatenate[Any, P], R], path: PathTemplate, password_field: str
    ) -> None:
        super().__init__(handler)
        self.path = path
        self.password_field = password_field

    def check(self, handler: Callable[Concatenate[Any, Q], C]) -> OwnedMethod[Q, C]:
        """Have a method say whether the password of a configuration, which it takes, is valid.

        It returns a boolean, or raises when that cannot be told, such as when the service is down.
        """
        return OwnedMethod(handler, self, "check")

    def routes(self, backend: type[MountContext]) -> Iterable[Route]:
        """Return the one route.

        Raises:
            TypeError: the configuration has no such field, or nothing checks its password.
        """
        model = self._config(backend).model
        declared = model.schema.get(self.password_field)
        if declared is None or not declared.sensitive:
            raise TypeError(f"{backend.__name__}: {model.__name__} has no Secret '{self.password_field}'")
        self._check(backend)
        synopsis, description = documentation(self.handler)
        info = OperationInfo(summary=synopsis or "Change the engine's own password.", fields={}, forward=True)
        return [
            Route(
                path=self.path,
                operations={Operation.UPDATE: self._rotate},
                synopsis=info.summary,
                description=description,
                infos={Operation.UPDATE: info},
            )
        ]

    def tasks(self) -> Iterable[Periodic[..., Any]]:
        """Return what finishes a change that broke off."""
        task = Periodic(self._finish, TICK, writes=True)
        task.attribute = self.attribute
        return [task]

    def stored_keys(self) -> Iterable[KeyRange]:
        """Return the key of a password that is being set."""
        return [KeyRange(self._key)]

    def seal_wrapped(self) -> Iterable[str]:
        """Return the same."""
        return [self._key]

    # -------------------------------------------------------------------------------------------

    @property
    def _key(self) -> str:
        return f"rotating/{self.path.text}"

    async def _rotate(self, backend: Any, call: Call) -> None:
        plan = self._plan(type(backend))
        async with backend.objects.lock(self._key):
            await self._settle(backend)
            config = await self._stored(backend).get()
            known = await backend.objects.find(self._key, PendingPassword)
            # What is left may still be set by an earlier try: that must do no harm.
            password = known.pending if known else await plan.make_password(backend, None)
            changing = PendingPassword(
                pending=password,
                pending_account=Secret(encode_entry(config.to_stored()).decode()),
                begun=backend.clock.now(),
            )
            await backend.objects.put(self._key, changing, seal_wrap=True)
            with self._setting(backend).run():
                await plan.run(backend, call, password, None)
            await self._keep(backend, changing, before=config)

    async def _finish(self, backend: Any, task: Task) -> None:
        async with backend.objects.lock(self._key):
            await self._settle(backend)

    async def _settle(self, backend: Any) -> None:
        """Find out whether a change that broke off took place."""
        if not self._setting(backend).may_begin():
            raise TooManyRequestsError("the password is still being set; try again later")
        known = await backend.objects.find(self._key, PendingPassword)
        if known is None:
            return
        config = await self._stored(backend).find()
        if config is not None:
            moved = self._moved(backend, known, config)
            changed = config.replaced(**{self.password_field: known.pending})
            if not moved and await self._is_valid(backend, changed):
                await self._keep(backend, known)
                return
            if not await self._is_valid(backend, config):
                hint = f"; the new one was for another '{moved}': write that again" if moved else ""
                raise InternalError(
                    f"neither the old nor the new password of the configuration is valid{hint}"
                )
            if not moved and _is_young(known, backend.clock.now()):
                return
        await backend.objects.delete(self._key)

    async def _keep(self, backend: Any, changing: PendingPassword, *, before: Model | None = None) -> None:
        """Store the new password, and leave alone what else was written meanwhile.

        `before` is the configuration that the password was set with, if nobody has tried the new one yet.

        Raises:
            InternalError: it would be sent to another place than the one where it was set, or another
                password was written, which may be another user's.
        """
        declared = self._config(type(backend))
        async with backend.objects.lock(declared.key):
            config = await self._stored(backend).get()
            moved = self._moved(backend, changing, config)
            if moved:
                raise InternalError(f"'{moved}' was changed while the password was")
            name = self.password_field
            if before is not None and getattr(config, name) != getattr(before, name):
                raise InternalError(f"'{name}' was written during its rotation; the valid one is kept soon")
            changed = config.replaced(**{self.password_field: changing.pending})
            await backend.objects.put(declared.key, changed, seal_wrap=declared.seal_wrap)
        await backend.objects.delete(self._key)

    def _moved(self, backend: Any, changing: PendingPassword, config: Model) -> str:
        """Return the place of the password (`goes_to`) that is another now, empty if none is.

        Who may write that must not get a password that somebody else had set.
        """
        if not changing.pending_account:
            return ""
        model = self._config(type(backend)).model
        before = model.from_stored(decode_entry(changing.pending_account.reveal().encode()))
        return find_moved(before, config, model.schema[self.password_field])

    def _setting(self, backend: Any) -> Exclusive:
        """Return what knows whether a thread of a request that has ended still sets a password."""
        return Exclusive.of(backend.mount_id, f"setting the password by {self.path.text}")

    async def _is_valid(self, backend: Any, config: Model) -> bool:
        async with asyncio.timeout(SET_SECONDS):
            return bool(await invoke(self._check(type(backend)), backend, config))

    def _plan(self, backend: type[MountContext]) -> PasswordPlan:
        return read_password_plan(self.handler, backend, Call)

    def _config(self, backend: type[MountContext]) -> Singleton[Model]:
        found = backend.declarations[self._config_name(backend)]
        assert isinstance(found, Singleton)
        return found

    def _config_name(self, backend: type[MountContext]) -> str:
        plan = self._plan(backend)
        names = set(plan.plan.arguments.objects.values())
        if len(names) != 1 or plan.plan.role:
            where = f"{backend.__name__}: {self.handler.__qualname__}"
            raise TypeError(f"{where} takes one configuration, the model of a Singleton, and no role")
        return names.pop()

    def _stored(self, backend: Any) -> BoundSingleton[Model]:
        stored: BoundSingleton[Model] = getattr(backend, self._config_name(type(backend)))
        return stored

    def _check(self, backend: type[MountContext]) -> Callable[..., Any]:
        found = find_owned(self, "check", backend)
        if found is None:
            raise TypeError(
                f"{backend.__name__}: {self.handler.__qualname__} needs one method that says whether a "
                f"password is valid: @{self.handler.__name__}.check"
            )
        return found


def _is_young(known: PendingPassword, now: datetime) -> bool:
    """Whether the password may still be set by what was begun, such as before the process ended."""
    return known.begun is not None and timedelta(0) <= now - known.begun < timedelta(seconds=SET_SECONDS)


class RootRotationDecorator(Protocol):
    """Declares a method, and keeps its parameters for type checkers."""

    def __call__(self, handler: Callable[Concatenate[Any, P], R], /) -> RootRotation[P, R]:
        """Return the declaration."""
        ...


def root_rotation(path: str, *, password_field: str = "password") -> RootRotationDecorator:  # noqa: S107
    """Have a method set the password with which the engine itself logs in.

    Its parameters are, by their annotations: a `Call`, the model of the singleton that has the password, a
    `Secret` that is the new one. The password comes from the policy that the field `password_policy` of the
    singleton names, if there is one. `check` on it is needed as well.

    Raises:
        ValueError: the path captures something.
    """
    template = PathTemplate.parse(path)
    if template.names:
        raise ValueError(f"a rotation of the root password has one path, {path!r} has many")

    def declare(handler: Callable[Concatenate[Any, P], R], /) -> RootRotation[P, R]:
        return RootRotation(handler, template, password_field)

    return declare
