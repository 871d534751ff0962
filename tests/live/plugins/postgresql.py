"""A database plugin for PostgreSQL, with the fields and the statements of the official one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import psycopg
from psycopg import AsyncConnection, sql

from authkit import UserError
from authkit.database import (
    Database,
    ExpirationChange,
    NewUser,
    PasswordChange,
    SQLSettings,
    UserDeletion,
    serve,
)

Connection = AsyncConnection[Any]


class PostgreSQL(Database[SQLSettings, Connection], name="postgresql", version="0.1.0"):
    """Users of PostgreSQL."""

    driver_errors = (psycopg.Error,)

    async def connect(self) -> Connection:
        """Open a connection; each request is a transaction of its own."""
        return await AsyncConnection.connect(
            self.settings.url.reveal(), autocommit=True, connect_timeout=10, prepare_threshold=None
        )

    async def ping(self, connection: Connection) -> None:
        """End what the statements of another call have left, such as SET ROLE."""
        await connection.execute("DISCARD ALL")

    async def disconnect(self, connection: Connection) -> None:
        """Close the connection."""
        await connection.close()

    async def create_user(self, connection: Connection, user: NewUser) -> None:
        """Run the role's creation statements."""
        await run(connection, user.statements())

    async def change_password(self, connection: Connection, change: PasswordChange) -> None:
        """Run the rotation statements, by default ALTER ROLE."""
        await run(
            connection, change.statements(default=["""ALTER ROLE "{{name}}" WITH PASSWORD '{{password}}'"""])
        )

    async def change_expiration(self, connection: Connection, change: ExpirationChange) -> None:
        """Run the renewal statements, by default ALTER ROLE."""
        await run(
            connection, change.statements(default=["""ALTER ROLE "{{name}}" VALID UNTIL '{{expiration}}'"""])
        )

    async def delete_user(self, connection: Connection, user: UserDeletion) -> None:
        """Run the revocation statements; without any, take all that the user may do, then the user."""
        if user.commands:
            await run(connection, user.statements())
            return
        found = await connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [user.username])
        if await found.fetchone() is not None:
            name = sql.Identifier(user.username)
            async with connection.transaction():
                await connection.execute(sql.SQL("DROP OWNED BY {}").format(name))
                await connection.execute(sql.SQL("DROP ROLE {}").format(name))


async def run(connection: Connection, statements: Iterable[str]) -> None:
    """Run statements in one transaction. A statement that fails is not quoted: it may hold a password."""
    try:
        async with connection.transaction():
            for statement in statements:
                await connection.execute(statement.encode())
    except psycopg.Error as error:
        if error.diag.message_primary is None:
            raise
        raise UserError(f"{error.diag.message_primary} (SQLSTATE {error.sqlstate})") from error


if __name__ == "__main__":
    serve(PostgreSQL)
