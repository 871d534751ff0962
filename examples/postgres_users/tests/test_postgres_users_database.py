"""The database half of the engine on a real PostgreSQL: statements, grants, hostile values, masked errors."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import closing, nullcontext, suppress
from datetime import UTC, datetime, timedelta
from urllib.parse import quote
from uuid import uuid4

import psycopg
import pytest
from database_servers import ROOT_PASSWORD, ROOT_USER, PostgreSQL
from factories import Mount
from postgres_users import PostgresUsers
from postgres_users.database import Database
from postgres_users.settings import DatabaseConfig, PostgresUser, StaticRole, UserRole
from psycopg import sql

from authkit import InternalError, Secret, UpstreamError, UserError
from authkit.credentials import make_password
from authkit.logical import Operation, Request

CREATE = "CREATE ROLE \"{{name}}\" WITH LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'"
UNTIL = datetime.now(UTC) + timedelta(hours=1)

Root = psycopg.Connection[tuple[object, ...]]


@pytest.fixture
async def database(postgresql: PostgreSQL) -> AsyncIterator[Database]:
    """The database, as the engine has it."""
    made = Database(DatabaseConfig(**postgresql.settings))
    yield made
    await made.close()


def new_name() -> str:
    """Return a name that nobody has."""
    return f"u{uuid4().hex}"


def exists(root: Root, name: str) -> bool:
    """Return whether there is a user of this name."""
    return root.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [name]).fetchone() is not None


async def create(database: Database, name: str, *more: str) -> Secret:
    """Create a user, and return its password."""
    password = make_password()
    await database.run([CREATE, *more], username=name, password=password, expiration=UNTIL, what="create it")
    return password


async def test_a_user_is_created_and_logs_in(database: Database, postgresql: PostgreSQL) -> None:
    """With its password, until it expires."""
    name = new_name()
    password = await create(database, name)
    with psycopg.connect(postgresql.url(name, password.reveal())) as own:
        assert own.execute("SELECT current_user").fetchone() == (name,)


async def test_a_failed_statement_undoes_the_others(database: Database, root: Root) -> None:
    """All or none, and the text has no password."""
    name, password = new_name(), make_password()
    with pytest.raises(
        UpstreamError, match=r'could not create it: relation "nothing" does not exist'
    ) as failed:
        await database.run(
            [CREATE, 'GRANT SELECT ON nothing TO "{{name}}"'],
            username=name,
            password=password,
            expiration=UNTIL,
            what="create it",
        )
    assert not exists(root, name)
    assert failed.value.__cause__ is None


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE ROLE \"{{name}}\" PASSWORD '{{password}}' NONSENSE '{{password}}'",
        "SELECT '{{password}}'::int",
        "SELECT {{password}}",
    ],
)
async def test_errors_hold_no_password(database: Database, statement: str) -> None:
    """PostgreSQL quotes what it does not understand."""
    password = make_password()
    with pytest.raises(UpstreamError) as failed:
        await database.run([statement], username=new_name(), password=password, what="run it")
    assert password.reveal() not in repr(failed.value)
    assert password.reveal() not in str(failed.value)


@pytest.mark.parametrize("hostile", ['a"b', "a'b", "a\\b", "a\0b", "a$$b", "a\u2019b", "a\nb"])
async def test_hostile_names_reach_no_statement(database: Database, hostile: str) -> None:
    """Refused before anything is sent."""
    with pytest.raises(InternalError, match="cannot carry safely"):
        await database.run([CREATE], username=hostile, password=make_password(), expiration=UNTIL, what="x")


async def test_a_placeholder_in_a_value_is_a_value(database: Database, root: Root) -> None:
    """One pass: the password is not put into the name."""
    name = "{{password}}" + uuid4().hex
    await create(database, name)
    assert exists(root, name)
    await database.drop(name)


async def test_drop_revokes_what_was_granted(database: Database, root: Root) -> None:
    """Tables, sequences, functions, schemas, the database, in the public schema and another one."""
    name, schema = new_name(), f"s{uuid4().hex}"
    root.execute(f"CREATE SCHEMA {schema}; CREATE TABLE {schema}.t (i serial)")
    root.execute(f"CREATE TABLE public.t{schema} ()")
    await create(
        database,
        name,
        f'GRANT USAGE ON SCHEMA {schema} TO "{{{{name}}}}"',
        f'GRANT ALL ON ALL TABLES IN SCHEMA {schema} TO "{{{{name}}}}"',
        f'GRANT ALL ON ALL SEQUENCES IN SCHEMA {schema} TO "{{{{name}}}}"',
        f'GRANT SELECT ON public.t{schema} TO "{{{{name}}}}"',
        'GRANT CONNECT ON DATABASE postgres TO "{{name}}"',
    )
    await database.drop(name)
    assert not exists(root, name)
    await database.drop(name)


async def test_an_owner_is_locked_out_but_not_dropped(
    database: Database, root: Root, postgresql: PostgreSQL
) -> None:
    """Somebody has to decide about the objects."""
    name = new_name()
    owned = 'CREATE TABLE public."{{name}}" (); ALTER TABLE public."{{name}}" OWNER TO "{{name}}"'
    password = await create(database, name, owned)
    with pytest.raises(UpstreamError, match="some objects depend on it"):
        await database.drop(name)
    assert exists(root, name)
    with pytest.raises(psycopg.OperationalError, match="not permitted to log in"):
        psycopg.connect(postgresql.url(name, password.reveal()))
    root.execute(f'DROP TABLE public."{name}"')
    await database.drop(name)
    assert not exists(root, name)


async def test_a_drop_outlasts_another_change_of_the_same_row(
    database: Database, postgresql: PostgreSQL, root: Root
) -> None:
    """All users of a database share its row in the catalog, of which PostgreSQL lets one change at a time."""
    name, other = new_name(), new_name()
    await create(database, name, 'GRANT CONNECT ON DATABASE postgres TO "{{name}}"')
    await create(database, other)
    with psycopg.connect(postgresql.url(ROOT_USER, ROOT_PASSWORD)) as rival:
        rival.execute(sql.SQL("GRANT CONNECT ON DATABASE postgres TO {}").format(sql.Identifier(other)))
        drop = asyncio.create_task(database.drop(name))
        async with asyncio.timeout(20):
            while root.execute("SELECT 1 FROM pg_locks WHERE NOT granted").fetchone() is None:  # noqa: ASYNC110 - the database tells nobody
                await asyncio.sleep(0)
        rival.commit()
        await drop
    assert not exists(root, name)


async def test_passwords_are_sent_hashed(database: Database, postgresql: PostgreSQL, root: Root) -> None:
    """And valid, with quotes as well. One that is sent as it is would be hashed by MD5 here."""
    name = new_name()
    root.execute("ALTER SYSTEM SET password_encryption TO 'md5'")
    root.execute("SELECT pg_reload_conf()")
    try:
        await create(database, name)
        for password in ('it\'s "quoted" \\ {{name}}', "plain"):
            await database.set_password(name, Secret(password))
            (stored,) = root.execute(
                "SELECT rolpassword FROM pg_authid WHERE rolname = %s", [name]
            ).fetchone() or ("",)
            assert str(stored).startswith("SCRAM-SHA-256$")
            psycopg.connect(postgresql.url(name, quote(password, safe=""))).close()
    finally:
        root.execute("ALTER SYSTEM RESET password_encryption")
        root.execute("SELECT pg_reload_conf()")
    await database.drop(name)


@pytest.mark.parametrize("name", ["O'Brien", 'a "quoted" name', "-.Ünï", "{{username}}"])
async def test_names_of_all_kinds_are_quoted(
    database: Database, root: Root, postgresql: PostgreSQL, name: str
) -> None:
    """Where the engine makes the statements by itself."""
    root.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(name)))
    await database.set_password(name, Secret("secret"))
    await database.extend(name, UNTIL)
    psycopg.connect(postgresql.url(quote(name, safe=""), "secret")).close()
    await database.drop(name)
    assert not exists(root, name)
    StaticRole(username=name, rotation_period="1h").verify()
    PostgresUser(username=name).verify()


async def test_a_lost_connection_is_made_again(database: Database, root: Root) -> None:
    """A restarted database is not a restarted plugin."""
    await create(database, new_name())
    ended = root.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'postgres_users'"
    ).fetchall()
    assert (True,) in ended
    name = new_name()
    await create(database, name)
    assert exists(root, name)


async def test_a_database_that_is_down_is_told(postgresql: PostgreSQL) -> None:
    """In seconds, without the password."""
    settings = {
        **postgresql.settings,
        "connection_url": "postgresql://{{username}}:{{password}}@127.0.0.1:1/x",
    }
    database = Database(DatabaseConfig(**settings))
    with pytest.raises(UpstreamError, match="could not connect"):
        await database.verify()
    await database.close()


async def test_a_pool_that_is_down_or_used_up_says_which(
    postgresql: PostgreSQL, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both end with no connection of the pool."""
    monkeypatch.setattr("postgres_users.database.WAIT_SECONDS", 0.1)
    down = postgresql.settings["connection_url"].replace(str(postgresql.port), "1")
    for url, text in (
        (down, "could not extend the user: .*Connection refused"),
        (postgresql.settings["connection_url"], "could not extend the user: all connections are in use"),
    ):
        settings = {**postgresql.settings, "connection_url": url, "max_open_connections": 1}
        database = Database(DatabaseConfig(**settings))
        holding = asyncio.create_task(database.run(["SELECT pg_sleep(2)"], username="x", what="hold one"))
        await asyncio.sleep(0)
        with pytest.raises(UpstreamError, match=text):
            await database.extend(new_name(), UNTIL)
        holding.cancel()
        await asyncio.gather(holding, return_exceptions=True)
        await database.close()


async def test_those_who_wait_in_vain_ask_for_the_reason_together(
    postgresql: PostgreSQL, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One more connection than the operator allows, not one for each of them."""
    monkeypatch.setattr("postgres_users.database.WAIT_SECONDS", 0.1)
    asked = 0
    connect = psycopg.AsyncConnection.connect

    async def count(**options: object) -> psycopg.AsyncConnection[object]:
        nonlocal asked
        asked += 1
        return await connect(**options)

    database = Database(DatabaseConfig(**{**postgresql.settings, "max_open_connections": 1}))
    holding = asyncio.create_task(database.run(["SELECT pg_sleep(5)"], username="x", what="hold one"))
    await asyncio.sleep(0)
    monkeypatch.setattr("postgres_users.database.AsyncConnection.connect", count)
    waiting = [database.extend(new_name(), UNTIL) for _ in range(20)]
    failures = await asyncio.gather(*waiting, return_exceptions=True)
    assert {str(each) for each in failures} == {"could not extend the user: all connections are in use"}
    assert asked < 5
    holding.cancel()
    await asyncio.gather(holding, return_exceptions=True)
    await database.close()


@pytest.mark.parametrize(
    "statement",
    [
        "SET ROLE pg_monitor",
        "SET SESSION AUTHORIZATION pg_monitor",
        "SET default_transaction_read_only = on",
        "SELECT pg_advisory_lock(4711)",
    ],
)
async def test_statements_leave_nothing_on_a_connection(
    postgresql: PostgreSQL, root: Root, statement: str
) -> None:
    """They may be of another role, on the same connection."""
    database = Database(DatabaseConfig(**{**postgresql.settings, "max_open_connections": 1}))
    try:
        await database.run([statement], username="x", what="create the user")
        name = new_name()
        await create(database, name)
        assert exists(root, name)
        await database.drop(name)
        locks = root.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'").fetchone()
        assert locks == (0,)
    finally:
        await database.close()


async def test_a_wrong_url_is_not_shown() -> None:
    """It may hold a password."""
    database = Database(
        DatabaseConfig(connection_url="postgresql://a:top-secret@h/?no=1", username="a", password="b")
    )
    with pytest.raises(UpstreamError, match="unable to parse connection url") as failed:
        await database.verify()
    assert "top-secret" not in repr(failed.value)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"creation_statements": ["CREATE ROLE {{username }}"]}, "unknown placeholder"),
        ({"creation_statements": ["CREATE ROLE {{user}}"]}, "unknown placeholder {{user}}"),
        (
            {"creation_statements": ["x"], "default_ttl": "2h", "max_ttl": "1h"},
            "cannot be greater",
        ),
    ],
)
def test_roles_that_cannot_work_are_refused(fields: dict[str, object], text: str) -> None:
    """When they are written."""
    with pytest.raises(UserError, match=text):
        UserRole(**fields).verify()


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"max_open_connections": 0}, "1 to 100"),
        ({"username": "{{username}}"}, "placeholder"),
        (
            {"connection_url": "postgresql://a:secret@h/"},
            "write {{password}} there",
        ),
        ({"connection_url": "postgresql://a@h/?password=secret"}, "has a password"),
        ({"connection_url": "postgresql://a:secret@h/?password={{password}}"}, "has a password"),
        ({"connection_url": "postgresql://a:sec/ret@h/"}, "has a password"),
        ({"connection_url": "postgresql://a@corp:secret@h/"}, "has a password"),
        ({"connection_url": "postgresql://a:{{password}}@h/?sslpassword=secret"}, "has a password"),
        ({"connection_url": "postgresql://a:{{password}}@h/?oauth_client_secret=secret"}, "has a password"),
        ({"connection_url": "postgresql://a:{{password}}@h/?scram_client_key=secret"}, "has a password"),
        ({"connection_url": "postgresql://a:secret/db"}, "has a password"),
        ({"connection_url": "postgresql://a:sec%ret@h/"}, "cannot be parsed"),
        ({"username_template": "v-{{.RoleName}}"}, "needs random 8 or uuid"),
        ({"username_template": "v-{{random 7}}"}, "needs random 8 or uuid"),
        ({"username_template": "{{nonsense}}"}, "unable to initialize username template"),
    ],
)
def test_configurations_that_cannot_work_are_refused(fields: dict[str, object], text: str) -> None:
    """When they are written."""
    usual = {"connection_url": "postgresql://h/", "username": "a", "password": "b"}
    with pytest.raises(UserError, match=text):
        DatabaseConfig(**{**usual, **fields}).verify()


async def test_a_name_that_is_taken_or_cut_is_refused(database: Database, root: Root) -> None:
    """Before anything is kept: what is undone when the creation fails would be another one's user."""
    name = new_name()
    await create(database, name)
    with pytest.raises(UserError, match="a user that exists"):
        await database.verify_new(name)
    with pytest.raises(UserError, match="more than 63 bytes"):
        await database.verify_new("é" * 32)
    await database.verify_new(new_name())
    assert exists(root, name)


DROP = 'DROP OWNED BY "{{name}}"; DROP ROLE "{{name}}"'


@pytest.mark.parametrize("more", [{}, {"rollback_statements": [DROP]}])
async def test_statements_without_if_exists_undo_a_creation_that_failed(
    postgresql: PostgreSQL, more: dict[str, object]
) -> None:
    """It has left no user. The entry of the log would stay for ever, and take its turn of each tick."""
    mount = Mount(PostgresUsers)
    await mount.write("config", postgresql.settings)
    creating = ['CREATE ROLE "{{name}}"', 'GRANT nobody TO "{{name}}"']
    await mount.write("roles/app", creation_statements=creating, revocation_statements=[DROP], **more)
    with pytest.raises(UpstreamError, match="nobody"):
        await mount.backend.handle_request(Request(operation=Operation.READ, path="creds/app"))
    assert len(await mount.backend.wal.list()) == 1
    tick = Request(operation=Operation.ROLLBACK, path="", data={"immediate": True})
    await mount.backend.wal.roll_back(mount.backend, tick)
    assert await mount.backend.wal.list() == []
    await mount.backend.cleanup()


@pytest.mark.parametrize(("what", "is_told"), [(DROP, False), (f"{DROP}; DROP ROLE nobody", True)])
async def test_only_the_user_itself_may_be_missing(
    database: Database, root: Root, what: str, is_told: bool
) -> None:
    """And only where that is said: another role may be misspelt, which leaves the user."""
    name = new_name()
    for may_be_missing in (False, True):
        with pytest.raises(UpstreamError) if is_told or not may_be_missing else nullcontext():
            await database.run([what], username=name, what="undo it", may_be_missing=may_be_missing)
        if is_told and not may_be_missing:
            await create(database, name)
    assert exists(root, name) is is_told


async def test_something_else_of_the_user_s_name_may_not_be_missing(database: Database, root: Root) -> None:
    """The user would stay, and nothing would try again."""
    name, table = new_name(), f"t{uuid4().hex}"
    root.execute(f"CREATE TABLE {table} ()")
    await create(database, name)
    statements = [f'DROP POLICY "{{{{name}}}}" ON {table}', DROP]
    with pytest.raises(UpstreamError, match="policy"):
        await database.run(statements, username=name, what="undo it", may_be_missing=True)
    assert exists(root, name)


@pytest.mark.parametrize("change", ["PASSWORD 'mine'", "SET work_mem = '4MB'"])
@pytest.mark.parametrize("may_end_sessions", [True, False])
async def test_who_holds_a_lock_on_itself_holds_up_no_other_revocation(
    postgresql: PostgreSQL, root: Root, may_end_sessions: bool, change: str
) -> None:
    """Each user may change its own password, in a transaction that it does not end.

    Its own revocation needs an engine that may end sessions (`pg_signal_backend`).
    """
    engine, held, other = new_name(), new_name(), new_name()
    root.execute(f"CREATE ROLE {engine} LOGIN CREATEROLE PASSWORD 'engine'")
    settings = {**postgresql.settings, "username": engine, "password": "engine", "max_open_connections": 1}
    if may_end_sessions:
        root.execute(f"GRANT pg_signal_backend TO {engine}")
    database = Database(DatabaseConfig(**settings))
    password = await create(database, held)
    await create(database, other)
    with closing(psycopg.connect(postgresql.url(held, password.reveal()))) as own:
        own.execute(f"ALTER ROLE CURRENT_USER {change}")
        holding = asyncio.ensure_future(database.drop(held))
        await asyncio.sleep(0)
        await database.drop(other)
        with nullcontext() if may_end_sessions else pytest.raises(UpstreamError, match="lock timeout"):
            await holding
    await database.close()
    assert not exists(root, other)
    assert exists(root, held) is not may_end_sessions


async def test_who_holds_a_lock_on_a_table_is_revoked(
    database: Database, postgresql: PostgreSQL, root: Root
) -> None:
    """With `GRANT ALL` it may begin a trigger, and no privilege on that table could be taken from it."""
    name, table = new_name(), new_name()
    root.execute(f"CREATE TABLE {table} (a int)")
    password = await create(database, name, f'GRANT ALL ON {table} TO "{{{{name}}}}"')
    with closing(psycopg.connect(postgresql.url(name, password.reveal()))) as own:
        function = "suppress_redundant_updates_trigger()"
        own.execute(f"CREATE TRIGGER held BEFORE UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION {function}")
        await database.drop(name)
    assert not exists(root, name)


async def test_who_has_granted_others_is_revoked(
    database: Database, postgresql: PostgreSQL, root: Root
) -> None:
    """With a grant option: PostgreSQL refuses to take away what others have by it, unless that goes, too."""
    name, table = new_name(), new_name()
    root.execute(f"CREATE TABLE {table} (a int)")
    password = await create(database, name, f'GRANT ALL ON {table} TO "{{{{name}}}}" WITH GRANT OPTION')
    with psycopg.connect(postgresql.url(name, password.reveal())) as own:
        own.execute(f"GRANT SELECT ON {table} TO PUBLIC")
    await database.drop(name)
    assert not exists(root, name)
    grants = root.execute(
        "SELECT 1 FROM information_schema.table_privileges WHERE table_name = %s AND grantee = 'PUBLIC'",
        [table],
    )
    assert grants.fetchone() is None


async def test_who_changes_itself_all_the_time_is_revoked(
    database: Database, postgresql: PostgreSQL, root: Root
) -> None:
    """PostgreSQL refuses one of two changes at once, which was always that of the engine."""
    name = new_name()
    password = await create(database, name)
    begun = asyncio.Barrier(5)

    async def change() -> None:
        own = await psycopg.AsyncConnection.connect(postgresql.url(name, password.reveal()))
        await begun.wait()
        with suppress(psycopg.OperationalError):  # its session is ended
            while True:
                async with own.transaction():
                    with suppress(psycopg.errors.InternalError_):
                        await own.execute("ALTER ROLE CURRENT_USER PASSWORD 'mine'")
                        await own.execute("SELECT pg_sleep(0.05)")

    changing = [asyncio.create_task(change()) for _ in range(4)]
    await begun.wait()
    await database.drop(name)
    await asyncio.gather(*changing)
    assert not exists(root, name)


async def test_who_holds_a_lock_on_itself_holds_up_no_other_for_long(
    database: Database, postgresql: PostgreSQL
) -> None:
    """Its renewals would take all connections: a renewal waits as briefly as a revocation."""
    name = new_name()
    password = await create(database, name)
    with closing(psycopg.connect(postgresql.url(name, password.reveal()))) as own:
        own.execute("ALTER ROLE CURRENT_USER PASSWORD 'mine'")
        for deed in (database.extend(name, UNTIL), database.set_password(name, make_password())):
            with pytest.raises(UpstreamError, match="lock timeout"):
                await deed


async def test_who_asks_for_the_reason_gets_it_while_the_next_one_asks(
    postgresql: PostgreSQL, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The question of the next one is another, which has no answer yet."""
    monkeypatch.setattr("postgres_users.database.WAIT_SECONDS", 0.05)
    down = postgresql.settings["connection_url"].replace(str(postgresql.port), "1")
    database = Database(DatabaseConfig(**{**postgresql.settings, "connection_url": down}))
    later = asyncio.get_running_loop().create_future()

    async def connect() -> None:
        asking = database._asking
        assert asking is not None
        asking.add_done_callback(lambda _: setattr(database, "_asking", later))
        raise psycopg.OperationalError("it is down")

    monkeypatch.setattr(database, "_connect_once", connect)
    with pytest.raises(UpstreamError, match="it is down"):
        await database.verify_new("x")
    await database.close()


async def test_the_engine_s_own_user_is_no_static_role(postgresql: PostgreSQL) -> None:
    """Its readers would have the rights of the engine, which could not log in any more."""
    mount = Mount(PostgresUsers)
    await mount.write("config", postgresql.settings)
    with pytest.raises(UserError, match="config/rotate-root"):
        await mount.write("static-roles/own", username=ROOT_USER, rotation_period="1h")
    await Database(DatabaseConfig(**postgresql.settings)).verify()


@pytest.mark.parametrize("template", ["{{.DisplayName}}-{{random 20}}", "{{.DisplayName}}{{uuid}}"])
async def test_a_long_name_of_a_token_chooses_no_user(postgresql: PostgreSQL, template: str) -> None:
    """What is undone after two requests at once would be the user of one of them."""
    mount = Mount(PostgresUsers)
    await mount.write("config", {**postgresql.settings, "username_template": template})
    await mount.write("roles/app", creation_statements=["SELECT 1"])
    asked = Request(operation=Operation.READ, path="creds/app", display_name="jwt-" + "x" * 59)
    with pytest.raises(UserError, match="cuts the random part off"):
        await mount.backend.handle_request(asked)


async def test_who_cannot_be_dropped_is_in_no_group(
    database: Database, postgresql: PostgreSQL, root: Root
) -> None:
    """A temporary table keeps the user and its session, which went on reading what its groups may."""
    name, group, table = new_name(), new_name(), f"t{uuid4().hex}"
    root.execute(f"CREATE TABLE {table} (); CREATE ROLE {group}; GRANT SELECT ON {table} TO {group}")
    password = await create(database, name, f'GRANT {group} TO "{{{{name}}}}"')
    with psycopg.connect(postgresql.url(name, password.reveal()), autocommit=True) as own:
        own.execute("CREATE TEMPORARY TABLE mine ()")
        own.execute(f"SELECT FROM {table}")
        with pytest.raises(UpstreamError, match="cannot be dropped"):
            await database.drop(name)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            own.execute(f"SELECT FROM {table}")
    await database.drop(name)
    assert not exists(root, name)


def test_names_of_any_form_can_be_kept() -> None:
    """A display name holds blanks and @ signs."""
    assert PostgresUser(username="v-a b@example.com").username == "v-a b@example.com"
    StaticRole(username="app user", rotation_period="1h").verify()


def test_a_url_in_another_form_is_refused(postgresql: PostgreSQL) -> None:
    """An encoded password is not decoded there."""
    settings = {**postgresql.settings, "connection_url": "host=db password={{password}}"}
    with pytest.raises(UserError, match="begins with postgresql://"):
        DatabaseConfig(**settings).verify()


async def test_callers_do_not_hold_up_the_end_of_users(database: Database, root: Root) -> None:
    """Six failed revocations make a lease irrevocable, and whoever asks for users could cause them."""
    name = new_name()
    await create(database, name)
    asked = [asyncio.ensure_future(create(database, new_name(), "SELECT pg_sleep(5)")) for _ in range(140)]
    await asyncio.sleep(0.5)
    await database.drop(name)
    assert not exists(root, name)
    for each in asked:
        each.cancel()
    await asyncio.gather(*asked, return_exceptions=True)
