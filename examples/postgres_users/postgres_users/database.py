"""The database: a pool of connections, operators' statements, and the statements of the engine's own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import datetime
from typing import Any, Final

import psycopg
from psycopg import AsyncConnection, sql
from psycopg.conninfo import conninfo_to_dict
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from authkit import Secret, UpstreamError, UserError, mask_text
from authkit.credentials import fill_placeholders, fill_url, format_expiration, split_statements
from postgres_users.settings import MAX_NAME, DatabaseConfig

__all__ = ["Database"]

CONNECT_SECONDS: Final = 5
WAIT_SECONDS: Final = 10.0
"""For a connection of the pool."""
STATEMENT_SECONDS: Final = 20
"""For one statement. A revocation has several, and a minute."""
LOCK_SECONDS: Final = 2
"""For a lock on a user. The user itself may hold it, and would keep the connection from others: each may
change its own password, in a transaction that it does not end."""

_PAUSES: Final = (0.01, 0.03, 0.1, 0.3, 1.0)
"""Seconds before a statement is repeated."""

_OPTIONS: Final = f"-c timezone=UTC -c statement_timeout={STATEMENT_SECONDS}s"
_END_OPTIONS: Final = f"-c lock_timeout={LOCK_SECONDS}s"
_SHORT_WAIT: Final = f"SET lock_timeout = '{LOCK_SECONDS}s'".encode()
"""The same for the next statements of one who borrows a connection."""

_GRANTS: Final = """
SELECT DISTINCT table_schema FROM information_schema.table_privileges WHERE grantee = %(name)s
UNION SELECT DISTINCT routine_schema FROM information_schema.routine_privileges WHERE grantee = %(name)s
UNION SELECT DISTINCT object_schema FROM information_schema.usage_privileges WHERE grantee = %(name)s
UNION SELECT nspname FROM pg_namespace WHERE has_schema_privilege(%(name)s, oid, 'USAGE')
    AND nspname NOT LIKE 'pg\\_%%' AND nspname <> 'information_schema'
"""
"""Schemas in which a user may have been granted something."""

_GROUPS: Final = """
SELECT DISTINCT granted.rolname FROM pg_auth_members
JOIN pg_roles granted ON granted.oid = roleid JOIN pg_roles own ON own.oid = member
WHERE own.rolname = %s
"""
"""Roles that a user is a member of."""

_END_SESSIONS: Final = sql.SQL(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = {}; {}"
)
"""Followed by another statement."""

_IN_SCHEMA: Final = (
    "ALL TABLES IN SCHEMA {}",
    "ALL SEQUENCES IN SCHEMA {}",
    "ALL ROUTINES IN SCHEMA {}",
    "SCHEMA {}",
)


class Database:
    """The database of one configuration. Connects when it is first used, and when a connection was lost."""

    def __init__(self, config: DatabaseConfig) -> None:
        self._config = config
        self._pools: dict[bool, AsyncConnectionPool[AsyncConnection[Any]]] = {}
        """By `True` that of what ends users: callers who ask for users never fill it."""
        self._opening = asyncio.Lock()
        self._asking: asyncio.Task[None] | None = None

    async def verify(self, what: str = "connect") -> None:
        """Connect once, in order to do `what`.

        Raises:
            UpstreamError: that is not possible.
        """
        with _told(what, self._config.password):
            await self._connect_once()

    async def run(
        self,
        statements: Sequence[str],
        *,
        username: str,
        password: Secret | None = None,
        expiration: datetime | None = None,
        what: str,
        is_end: bool = False,
        may_be_missing: bool = False,
    ) -> None:
        """Run an operator's statements in one transaction: all or none take effect.

        With `may_be_missing` none need take effect where PostgreSQL says that there is no such user.

        Raises:
            UpstreamError: one of them failed. The text says what PostgreSQL says, without secrets.
            InternalError: a value cannot stand in a statement.
        """
        values: dict[str, str | Secret] = {"name": username, "username": username}
        if password is not None:
            values["password"] = password
        if expiration is not None:
            values["expiration"] = format_expiration(expiration)
        filled = [fill_placeholders(each, values) for each in split_statements(statements)]
        async with self._connection(what, password, is_end=is_end) as connection:
            try:
                async with connection.transaction():
                    for statement in filled:
                        await connection.execute(statement.encode())
            except psycopg.errors.UndefinedObject as error:
                # The text names what is missing: it might be another role, or something of the same name.
                is_named = username in (error.diag.message_primary or "")
                if not may_be_missing or not is_named or await _exists(connection, username):
                    raise

    async def verify_new(self, username: str) -> None:
        """Ask whether a name is free, and is not cut: its random part may be at the end.

        Raises:
            UserError: it is not.
            UpstreamError: the database cannot be asked.
        """
        if len(username.encode()) > MAX_NAME:
            raise UserError(f"username_template makes a name of more than {MAX_NAME} bytes")
        async with self._connection("create the user") as connection:
            if await _exists(connection, username):
                raise UserError("username_template makes the name of a user that exists")

    async def set_password(self, username: str, password: Secret) -> None:
        """Set the password of a user that exists.

        Raises:
            UpstreamError: there is no such user, or it failed.
        """
        async with self._connection("set the password", password) as connection:
            shown = password.reveal()
            if self._config.hashes_passwords:
                encoded = connection.pgconn.encrypt_password(
                    shown.encode(), username.encode(), b"scram-sha-256"
                )
                shown = encoded.decode()
            await connection.execute(_SHORT_WAIT)
            change = sql.SQL("ALTER ROLE {} WITH PASSWORD {}")
            await connection.execute(
                change.format(sql.Identifier(username), sql.Literal(shown)), prepare=False
            )

    async def extend(self, username: str, until: datetime) -> None:
        """Let a user's password be valid for longer.

        Raises:
            UpstreamError: it failed.
        """
        async with self._connection("extend the user") as connection:
            await connection.execute(_SHORT_WAIT)
            change = sql.SQL("ALTER ROLE {} VALID UNTIL {}")
            moment = sql.Literal(format_expiration(until))
            await connection.execute(change.format(sql.Identifier(username), moment))

    async def drop(self, username: str) -> None:
        """Drop a user with what it was granted, and has granted others. One that is not there is dropped.

        What it owns stays: PostgreSQL refuses to drop it until somebody has decided about that. It cannot log
        in any more then; sessions that are open go on.

        Raises:
            UpstreamError: it failed.
        """
        async with self._connection("drop the user", is_end=True) as connection:
            if not await _exists(connection, username):
                return
            user = sql.Identifier(username)
            await _enforce(connection, username, sql.SQL("ALTER ROLE {} NOLOGIN").format(user))
            # First: what the user owns, such as a temporary table, keeps it and its open sessions.
            groups = await (await connection.execute(_GROUPS, [username])).fetchall()
            for (group,) in groups:
                with suppress(psycopg.errors.InsufficientPrivilege):
                    leave = sql.SQL("REVOKE {} FROM {} CASCADE").format(sql.Identifier(group), user)
                    await _enforce(connection, username, leave)
            schemas = await (await connection.execute(_GRANTS, {"name": username})).fetchall()
            granted = [
                sql.SQL(each).format(sql.Identifier(name)) for (name,) in schemas for each in _IN_SCHEMA
            ]
            granted.append(sql.SQL("DATABASE {}").format(sql.Identifier(connection.info.dbname)))
            for objects in granted:
                # Where the engine's user may not revoke, nothing was granted by it; the drop tells.
                with suppress(psycopg.errors.InsufficientPrivilege):
                    revoke = sql.SQL("REVOKE ALL PRIVILEGES ON {} FROM {} CASCADE").format(objects, user)
                    await _enforce(connection, username, revoke)
            await _enforce(connection, username, sql.SQL("DROP ROLE IF EXISTS {}").format(user))

    async def close(self) -> None:
        """Close all connections."""
        for pool in self._pools.values():
            await pool.close()

    # -------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def _connection(
        self, what: str, password: Secret | None = None, *, is_end: bool = False
    ) -> AsyncIterator[AsyncConnection[Any]]:
        try:
            with _told(what, self._config.password, password):
                pool = await self._open_pool(is_end)
                async with pool.connection() as connection:
                    yield connection
        except PoolTimeout:
            # The pool does not say why. All who ask do so together: each alone would be one more connection.
            asking = self._asking
            if asking is None or asking.done():
                asking = self._asking = asyncio.create_task(self._connect_once())
                asking.add_done_callback(_read)  # also when those who asked have gone
            with _told(what, self._config.password):
                await asyncio.wait({asking})
                asking.result()
            raise UpstreamError(f"could not {what}: all connections are in use") from None

    async def _connect_once(self) -> None:
        connection = await AsyncConnection.connect(**self._connection_options())
        await connection.close()

    async def _open_pool(self, is_end: bool) -> AsyncConnectionPool[AsyncConnection[Any]]:
        async with self._opening:
            if is_end not in self._pools:
                pool: AsyncConnectionPool[AsyncConnection[Any]] = AsyncConnectionPool(
                    kwargs=self._connection_options(_END_OPTIONS if is_end else ""),
                    min_size=0,
                    max_size=self._config.max_open_connections,
                    max_waiting=32 * self._config.max_open_connections,
                    timeout=WAIT_SECONDS,
                    reconnect_timeout=WAIT_SECONDS,
                    check=AsyncConnectionPool.check_connection,
                    reset=_forget_session,
                    open=False,
                )
                await pool.open()
                self._pools[is_end] = pool
            return self._pools[is_end]

    def _connection_options(self, more: str = "") -> dict[str, Any]:
        config = self._config
        values: dict[str, str | Secret] = {"username": config.username, "password": config.password}
        options = conninfo_to_dict(fill_url(config.connection_url, values))
        options.setdefault("application_name", "postgres_users")
        options.setdefault("connect_timeout", str(CONNECT_SECONDS))
        options["options"] = f"{options.get('options') or ''} {_OPTIONS} {more}".strip()
        # Statements are not prepared: those of operators come once, and hold passwords.
        return {**options, "autocommit": True, "prepare_threshold": None}


def _read(task: asyncio.Task[None]) -> None:
    """Take note of what a task raised: unread, asyncio would log it."""
    if not task.cancelled():
        task.exception()


async def _forget_session(connection: AsyncConnection[Any]) -> None:
    """End what an operator's statements have left, such as SET ROLE: the next ones may be another role's."""
    await connection.execute("DISCARD ALL")


async def _exists(connection: AsyncConnection[Any], username: str) -> bool:
    found = await connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [username])
    return await found.fetchone() is not None


async def _enforce(connection: AsyncConnection[Any], username: str, statement: sql.Composed) -> None:
    """Execute a statement that ends a user, and end its sessions if they keep it from that.

    They hold a lock on the user or on what it was granted, such as by a trigger on a table that they do not
    commit, or change it again and again: the server would give the revocation up.
    """
    try:
        await _repeat(connection, statement)
    except (psycopg.errors.LockNotAvailable, psycopg.errors.InternalError_) as error:
        try:
            # At once: who may still log in is back soon.
            ending = _END_SESSIONS.format(sql.Literal(username), statement)
            await _repeat(connection, ending)
        except psycopg.errors.InsufficientPrivilege:
            raise error from None


async def _repeat(connection: AsyncConnection[Any], statement: sql.Composed) -> None:
    """Execute a statement that may be repeated, and repeat it while others change the same rows.

    Those who are revoked or dropped at the same time share rows of the catalog: the database, its schemas.
    PostgreSQL refuses all but one ("tuple concurrently updated") with the code of an internal error, XX000.
    """
    for pause in _PAUSES:
        try:
            await connection.execute(statement)
        except psycopg.errors.InternalError_:
            await asyncio.sleep(pause)
        else:
            return
    await connection.execute(statement)


@contextmanager
def _told(what: str, *secrets: Secret | None) -> Iterator[None]:
    """Turn what the driver raises into an error without secrets: the driver quotes statements."""
    try:
        yield
    except PoolTimeout:
        raise
    except psycopg.Error as error:
        own = [each.reveal() for each in secrets if each is not None]
        raise UpstreamError(f"could not {what}: {mask_text(_first_line(error), own)}") from None


def _first_line(error: psycopg.Error) -> str:
    if isinstance(error, psycopg.ProgrammingError) and error.sqlstate is None:
        return "unable to parse connection url"
    return error.diag.message_primary or (str(error).splitlines() or ["no reason given"])[0]
