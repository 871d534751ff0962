"""Attacks on examples/postgres_users with a real PostgreSQL."""
from __future__ import annotations
import asyncio, sys
from datetime import UTC, datetime, timedelta
import psycopg, pytest
from database_servers import PostgreSQL, run_postgresql, ROOT_USER, ROOT_PASSWORD
from postgres_users import PostgresUsers
from postgres_users.database import Database
from postgres_users.settings import DatabaseConfig, UserRole
from factories import Mount
from authkit import *
from authkit.credentials import make_password
from authkit.logical import Operation, Request
CREATE = "CREATE ROLE \"{{name}}\" WITH LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'"

@pytest.fixture(scope="module")
def pg():
    with run_postgresql() as r: yield r
@pytest.fixture
def root(pg):
    import time; time.sleep(0.5)
    with psycopg.connect(pg.url(ROOT_USER, ROOT_PASSWORD), autocommit=True) as c: yield c

def there(root, n): return root.execute("select 1 from pg_roles where rolname=%s",[n]).fetchone() is not None

async def issue(m, role="app", display="bob"):
    return await m.backend.handle_request(Request(operation=Operation.READ, path=f"creds/{role}", data={}, display_name=display))

async def test_a_name_that_exists_is_not_undone(pg, root):
    """A template whose random part is cut at 63 bytes: the second holder's failed request drops the first one's user."""
    m = Mount(PostgresUsers)
    await m.write("config", **pg.settings, username_template='{{printf "%s-%s" .DisplayName (random 12)}}')
    await m.write("roles/app", creation_statements=[CREATE], default_ttl="1h")
    d = "d" * 80
    try: r = await issue(m, display=d)
    except Exception as e: print("refused at once:", e); return
    name = r.data["username"][:63]; assert there(root, name)
    try: await issue(m, display=d)
    except Exception as e: print("second:", e)
    assert there(root, name), "the failed request dropped another one's user"

async def test_a_role_of_the_database_is_not_dropped(pg, root):
    m = Mount(PostgresUsers)
    root.execute("create role victim login")
    await m.write("config", **pg.settings, username_template='{{if eq .RoleName "x"}}{{random 8}}{{else}}{{.DisplayName}}{{end}}')
    await m.write("roles/app", creation_statements=[CREATE], default_ttl="1h")
    try: await issue(m, display="victim")
    except Exception as e: print(e)
    assert there(root, "victim"), "a caller's display name dropped a role"

async def test_a_holder_escapes_revocation_with_a_temporary_table(pg, root):
    root.execute("create table if not exists secret_t as select 42 as x; drop role if exists grp; create role grp; grant select on secret_t to grp")
    db = Database(DatabaseConfig(**pg.settings)); p = make_password()
    await db.run([CREATE, 'GRANT grp TO "{{name}}"'], username="esc", password=p, expiration=datetime.now(UTC)+timedelta(hours=1), what="c")
    own = psycopg.connect(pg.url("esc", p.reveal()), autocommit=True)
    own.execute("create temp table t (x int)")
    try: await db.drop("esc"); print("dropped")
    except Exception as e: print("drop:", e)
    try: got = own.execute("select x from secret_t").fetchone()
    except Exception as e: got = None; print(type(e), e)
    await db.close(); own.close()
    assert got is None, "the open session still reads what its groups may, after its revocation"

async def test_odd_names(pg, root):
    db = Database(DatabaseConfig(**pg.settings))
    for n in ['a b', 'A"x', "q'x", "é\u2019", "-x", "a;b", "ünï", "p%s", "{{name}}", "a\\b", "x"*63]:
        root.execute(psycopg.sql.SQL("create role {} login").format(psycopg.sql.Identifier(n)))
        await db.set_password(n, Secret("p'w\"\\%s"))
        await db.extend(n, datetime.now(UTC))
        await db.drop(n)
        assert not there(root, n), n
    await db.close()
    from postgres_users.settings import StaticRole
    for n in ['a b', 'app@x', '-x', 'ünï', 'Upper', 'a.b', 'a$b', 'a/b']:
        try: StaticRole(username=n, rotation_period="1h")
        except Exception as e: print("static role refuses", n, e)

async def test_key_value_url_with_a_policy_password(pg, root):
    """After rotate-root by a policy with other characters, a key=value url does not log in."""
    url = f"host=127.0.0.1 port={pg.port} dbname=postgres user={{{{username}}}} password={{{{password}}}}"
    try:
        c = DatabaseConfig(**{**pg.settings, "connection_url": url, "password": "p w!'x"}); c.verify()
    except UserError as e: print("refused", e); return
    root.execute("create role kv login password 'p w!''x'")
    await Database(c.replaced(username="kv")).verify()

async def test_drop_in_other_databases(pg, root):
    try: root.execute("create database other")
    except Exception: pass
    db = Database(DatabaseConfig(**pg.settings)); p = make_password()
    await db.run([CREATE, 'GRANT ALL ON DATABASE other TO "{{name}}"'], username="multi", password=p, expiration=datetime.now(UTC)+timedelta(hours=1), what="c")
    try: await db.drop("multi"); print("dropped")
    except Exception as e: print("drop:", e)
    print(root.execute("select rolcanlogin from pg_roles where rolname='multi'").fetchone())
    await db.close()

async def test_flood_of_requests_starves_revocation(pg, root):
    m = Mount(PostgresUsers)
    await m.write("config", **pg.settings)
    await m.write("roles/app", creation_statements=[CREATE], default_ttl="1h")
    await m.write("roles/slow", creation_statements=[CREATE, "select pg_sleep(3)"], default_ttl="1h")
    r = await issue(m)
    flood = [asyncio.ensure_future(issue(m, "slow")) for _ in range(140)]
    await asyncio.sleep(1)
    try:
        await m.backend.handle_request(Request(operation=Operation.REVOKE, path="creds/app", secret=r.secret)); ok = True
    except Exception as e: print("revoke:", type(e), e); ok = False
    for f in flood: f.cancel()
    await asyncio.gather(*flood, return_exceptions=True)
    await asyncio.sleep(1)
    assert ok, "callers of creds make revocations fail; six failures make a lease irrevocable"

async def test_dead_connection_bounds_a_revocation(pg, monkeypatch):
    """A proxy that stops forwarding: psycopg waits for ever after its cancellation."""
    import authkit.secrets.flow as flow
    monkeypatch.setattr(flow, "REVOKE_SECONDS", 1.0)
    stop = asyncio.Event(); stop.set()
    async def pump(a, b):
        try:
            while data := await a.read(65536):
                await stop.wait(); b.write(data); await b.drain()
        except Exception: pass
    tasks = []
    async def serve(r, w):
        if not stop.is_set(): return
        r2, w2 = await asyncio.open_connection("127.0.0.1", pg.port)
        tasks.extend([asyncio.ensure_future(pump(r, w2)), asyncio.ensure_future(pump(r2, w))])
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    m = Mount(PostgresUsers)
    await m.write("config", **{**pg.settings, "connection_url": pg.url().replace(str(pg.port), str(port))})
    await m.write("roles/app", creation_statements=[CREATE], default_ttl="1h")
    r = await issue(m)
    db = m.backend.database(await m.backend.config.get())
    orig = psycopg.AsyncConnection.execute
    async def execute(self, q, *a, **k):
        if "pg_roles" in str(q): stop.clear()
        return await orig(self, q, *a, **k)
    monkeypatch.setattr(psycopg.AsyncConnection, "execute", execute)
    import time; t0 = time.monotonic()
    t = asyncio.ensure_future(m.backend.handle_request(Request(operation=Operation.REVOKE, path="creds/app", secret=r.secret)))
    done, _ = await asyncio.wait({t}, timeout=12)
    print("after", time.monotonic() - t0, bool(done))
    stop.set()
    await asyncio.wait({t}, timeout=5)
    server.close()
    for x in tasks: x.cancel()
    assert done
