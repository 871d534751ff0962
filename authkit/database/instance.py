"""One connection of an operator's as the host drives it: from `Initialize` to `Close`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, Final

from authkit.credentials import UsernameTemplate, replace_unsafe
from authkit.database.connections import Connections, Driver
from authkit.database.errors import secrets_of
from authkit.database.plugin import Database
from authkit.database.requests import (
    ExpirationChange,
    NewUser,
    PasswordChange,
    PublicKeyChange,
    UserDeletion,
)
from authkit.database.settings import DatabaseSettings
from authkit.errors import UserError
from authkit.framework import FieldData
from authkit.values import replace
from authkit.wire.failures import within

__all__ = ["Change", "Instance", "read_settings"]

log = logging.getLogger(__name__)

Change = PasswordChange | PublicKeyChange | ExpirationChange

WAIT_SHARE: Final = 1 / 3
"""Of `time_limit`: for a connection. In the rest a call ends: one that is begun late is broken off."""

UNDO_TIMEOUT: Final = timedelta(seconds=15)
"""For deleting a user that nobody will ever use."""

UNDO_PATIENCE: Final = timedelta(minutes=2)
"""The same, with the wait for a connection. The server's own deletions may have taken them all; it repeats
those, and nobody repeats this one."""


class Instance:
    """What serves one `multiplex_id`, from `Initialize` on.

    Raises:
        UserError: the template of user names is wrong.
    """

    def __init__(self, database: Database[Any, Any], raw: Mapping[str, Any], name: str) -> None:
        settings = database.settings
        self._database = database
        self._name = name
        self._usernames = UsernameTemplate(settings.username_template or database.username_template)
        if settings.username_template and not self._usernames.is_unique():
            # Official plugins take it without a word, and what a server answers cannot carry a warning.
            log.warning(
                "username_template lacks random 8 or uuid: a second user may have the name of the first",
                extra={"kv": {"connection": name}},
            )
        self._connections = self._prepare()
        # For deletions and new passwords: clients who ask for users, or renew them, never fill it.
        self._reserved = self._prepare()
        self._undoing: set[asyncio.Task[None]] = set()
        self._creating: set[str] = set()
        self.secrets: Final = secrets_of(settings, raw)
        """What must not be in a text, by value, with the names that stand in its place."""

    def _prepare(self) -> Connections[Any]:
        database, settings = self._database, self._database.settings
        return Connections(
            Driver(database.connect, database.ping, database.disconnect),
            limit=settings.open_connections,
            lifetime=settings.max_connection_lifetime,
            wait=database.time_limit * WAIT_SHARE,
            name=self._name,
        )

    async def verify(self) -> None:
        """Connect once. Raises what the driver raises."""
        async with self._lend(self._connections):
            pass

    async def create_user(self, user: NewUser) -> NewUser:
        """Create a user and return it with its name. If that fails, or is cancelled, the user is deleted.

        `user` has no name yet. Raises what the author's method raises.
        """
        if user.credential_type not in self._database.credential_types:
            raise UserError(f"unsupported credential type {user.credential_type.value!r}")
        user = replace(user, username=self._make_name(user))
        if user.username in self._creating:
            # The author's method may ask first whether there is one, and find none.
            raise UserError("a user of this name is being created")
        self._creating.add(user.username)
        try:
            return await self._create(user)
        finally:
            self._creating.discard(user.username)

    async def _create(self, user: NewUser) -> NewUser:
        begun = False
        try:
            async with self._lend(self._connections) as connection:
                await self._wait_for_deletions()
                begun = True
                await self._database.create_user(connection, user)
        except BaseException as error:
            if begun:
                undoing = self.undo(user)
                if isinstance(error, Exception):
                    await asyncio.wait({undoing}, timeout=UNDO_TIMEOUT.total_seconds())
            raise
        return user

    def undo(self, user: NewUser) -> asyncio.Task[None]:
        """Delete a user that the host will never learn of, in the background."""
        undoing = asyncio.get_running_loop().create_task(self._delete_again(user))
        self._undoing.add(undoing)
        undoing.add_done_callback(self._undoing.discard)
        return undoing

    async def update_user(self, changes: list[Change]) -> None:
        """Make changes to one user, in order. Raises what the author's methods raise."""
        is_renewal = all(isinstance(change, ExpirationChange) for change in changes)
        async with self._lend(self._connections if is_renewal else self._reserved) as connection:
            for change in changes:
                match change:
                    case PasswordChange():
                        await self._database.change_password(connection, change)
                    case PublicKeyChange():
                        await self._database.change_public_key(connection, change)
                    case ExpirationChange():
                        await self._database.change_expiration(connection, change)

    async def delete_user(self, user: UserDeletion) -> None:
        """Delete a user. Raises what the author's method raises."""
        async with self._lend(self._reserved) as connection:
            await self._database.delete_user(connection, user)

    async def close(self) -> None:
        """Close what is idle, and what is in use when it comes back. Raises what the driver raises."""
        closed = await asyncio.gather(
            self._connections.close(), self._reserved.close(), return_exceptions=True
        )
        for error in filter(None, closed):
            raise error

    def reopen(self) -> None:
        """Work on after `close` has failed."""
        self._connections.open()
        self._reserved.open()

    async def settle(self) -> None:
        """Return when no user is being deleted any more, after `UNDO_TIMEOUT` at the latest."""
        if self._undoing:
            await asyncio.wait(self._undoing, timeout=UNDO_TIMEOUT.total_seconds())

    @asynccontextmanager
    async def _lend(self, connections: Connections[Any]) -> AsyncIterator[Any]:
        limit = self._database.time_limit
        timing = asyncio.timeout(limit.total_seconds())
        try:
            async with timing, connections.lend() as connection:
                yield connection
        except TimeoutError as error:
            if timing.expired():
                seconds = f"{limit.total_seconds():g} s"
                raise UserError(f"the database did not answer within {seconds}") from error
            raise

    async def _wait_for_deletions(self) -> None:
        """Wait until few users are being deleted whose creation broke off.

        Whoever asks and leaves at once, again and again, would fill the connections for revocations.
        """
        try:
            async with asyncio.timeout(self._database.time_limit.total_seconds() * WAIT_SHARE):
                while len(self._undoing) >= self._database.settings.open_connections:
                    await asyncio.wait(self._undoing, return_when=asyncio.FIRST_COMPLETED)
        except TimeoutError:
            raise UserError("users whose creation broke off are still being deleted; try again") from None

    def _make_name(self, user: NewUser) -> str:
        return self._usernames.make(**_fields_of(user))

    async def _delete_again(self, user: NewUser) -> None:
        about = {"connection": self._name, "username": user.username}
        if not self._usernames.is_unique(**_fields_of(user)):
            # The name may be another lease's, or that of somebody who was there before.
            log.warning("a user may be left behind: its name is not unique", extra={"kv": about})
            return
        deletion = UserDeletion(username=user.username, commands=user.rollback_commands)
        done = False

        async def delete() -> None:
            nonlocal done
            async with self._reserved.lend_patiently(UNDO_TIMEOUT) as connection:
                await self._database.delete_user(connection, deletion)
            done = True

        await within(UNDO_PATIENCE, delete, "deleting a user", self._name)
        if not done:
            log.error("a user may be left behind in the database: delete it", extra={"kv": about})


def _fields_of(user: NewUser) -> dict[str, str]:
    """Return what the name of a user is made of."""
    return {"display_name": _clean(user.display_name), "role_name": _clean(user.role_name)}


def _clean(field: str) -> str:
    # Some databases take no blanks in names, and outside of quotes they end a name.
    return replace_unsafe(field).replace(" ", "_")


def read_settings(kind: type[DatabaseSettings], raw: Mapping[str, Any]) -> DatabaseSettings:
    """Return the settings in what a host has sent, checked.

    Raises:
        FieldError: a value does not fit its field.
        UserError: a required one is missing, or the author's check refuses them.
    """
    data = FieldData.read(kind.schema, raw, {})
    settings = kind.overlaid(None, data.values)
    settings.verify()
    return settings
