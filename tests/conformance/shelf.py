"""A database plugin whose users are entries in its memory, and which fails when its host is called so."""

from __future__ import annotations

from typing import ClassVar

from authkit import Secret, Str, UserError, field
from authkit.database import Database, DatabaseSettings, NewUser, PasswordChange, UserDeletion

__all__ = ["Shelf"]


class ShelfSettings(DatabaseSettings):
    """Where the database is."""

    host: Str = field(
        default="shelf", help="`down`: it does not answer; `full`: it takes no users; `stuck`: it keeps them."
    )
    username: Str = field(default="", help="Who makes users.")
    password: Secret = field(default="", help="The password.")


class Shelf(Database[ShelfSettings, None], name="shelf", version="0.1.0"):
    """Users of a shelf."""

    users: ClassVar[dict[str, str]] = {}

    async def connect(self) -> None:
        """Fail if the host is down."""
        if self.settings.host == "down":
            raise UserError("no answer")

    async def ping(self, connection: None) -> None:
        """Do nothing."""

    async def disconnect(self, connection: None) -> None:
        """Do nothing."""

    async def create_user(self, connection: None, user: NewUser) -> None:
        """Create a user."""
        if self.settings.host == "full":
            raise UserError("no place")
        self.users[user.username] = user.password.reveal()

    async def change_password(self, connection: None, change: PasswordChange) -> None:
        """Change the password of anybody but `nobody`."""
        if change.username == "nobody":
            raise UserError("there is no such user")
        self.users[change.username] = change.password.reveal()

    async def delete_user(self, connection: None, user: UserDeletion) -> None:
        """Delete a user."""
        if self.settings.host == "stuck":
            raise UserError("not now")
        self.users.pop(user.username, None)
