"""The PostgreSQL plugin of the tests, for users with keys or certificates as well."""

from __future__ import annotations

from postgresql import Connection, PostgreSQL, run

from authkit.database import CredentialType, NewUser, PublicKeyChange


class KeyedPostgreSQL(PostgreSQL, name="keyed-postgresql", version="0.1.0"):
    """PostgreSQL knows no keys of users: statements put them into a table."""

    credential_types = tuple(CredentialType)

    async def create_user(self, connection: Connection, user: NewUser) -> None:
        """Run the role's creation statements."""
        await run(connection, user.statements())

    async def change_public_key(self, connection: Connection, change: PublicKeyChange) -> None:
        """Run the rotation statements."""
        await run(connection, change.statements())
