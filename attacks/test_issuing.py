"""Attacks on issuing: cancel after k steps, storage failing at the nth call, undo, hanging revocation."""
from __future__ import annotations
import asyncio
from datetime import timedelta
import pytest
from engines import *
from engines import AccountRole
from authkit import *
from authkit.errors import *
from authkit.logical import Operation, Request
from authkit.secrets import *
from factories import Mount
import authkit.secrets.flow as flow

class Steps(Engine, name="steps", version="0.1.0"):
    """Yields everywhere."""
    @credentials("creds/{role}")
    async def create(self, call: CredsCall, role: AccountRole, size: Str = "") -> Lease:
        """C."""
        await asyncio.sleep(0)
        a = Account(name=f"bob-{len(self.made)}"); self.made.append(a.name)
        await call.keep(a)
        await asyncio.sleep(0)
        self.service.accounts.add(a.name)
        await asyncio.sleep(0)
        await call.keep(a)
        await asyncio.sleep(0)
        return Lease(data={"name": a.name})
    @create.revoke
    async def remove(self, call: RevokeCall, account: Account, role: AccountRole | None) -> None:
        """R."""
        await asyncio.sleep(0)
        self.service.accounts.discard(account.name)
    def __init__(self, c):
        super().__init__(c); self.made = []

def slow_storage(m, counter, fail_at=None):
    for n in ("get", "put", "delete", "list"):
        orig = getattr(m.storage, n)
        async def f(*a, _o=orig, **k):
            await asyncio.sleep(0)
            counter[0] += 1
            if fail_at is not None and counter[0] == fail_at: raise StorageError("nth call")
            return await _o(*a, **k)
        setattr(m.storage, n, f)

async def test_cancel_after_k_steps():
    bad = []
    for k in range(60):
        m = EngineMount(Steps); await m.write("roles/app"); c=[0]; slow_storage(m, c)
        t = asyncio.ensure_future(m.issue())
        for _ in range(k): await asyncio.sleep(0)
        t.cancel()
        r = (await asyncio.gather(t, return_exceptions=True))[0]
        for _ in range(100): await asyncio.sleep(0)
        if isinstance(r, BaseException):
            left = set(m.service.accounts)
            if left: bad.append((k, left, await m.log()))
            m.clock.tick("11m"); await m.tick()
            assert not m.service.accounts and not await m.log(), (k, m.service.accounts)
    assert not bad, bad

async def test_nth_storage_call_fails():
    for n in range(1, 20):
        m = EngineMount(Steps); await m.write("roles/app"); c=[0]; slow_storage(m, c, n)
        try: r = await m.issue()
        except Exception as e: r = e
        if isinstance(r, Exception):
            for _ in range(100): await asyncio.sleep(0)
            m.clock.tick("11m")
            for _ in range(2):
                try: await m.tick()
                except Exception as e: pass
                m.clock.tick("11m")
            assert not m.service.accounts, n
            assert not await m.log(), n

class Swallow(Engine, name="swallow", version="0.1.0"):
    """Whose revocation does not end when it is cancelled, as psycopg's on a dead connection."""
    @credentials("creds/{role}")
    async def create(self, call: CredsCall, role: AccountRole, size: Str = "") -> Lease:
        """C."""
        await call.keep(Account(name="x")); return Lease(data={"x": "y", "deep": {"password": Secret("nested-hidden")}} if size == "deep" else {"x": "y"})
    @create.revoke
    async def remove(self, call: RevokeCall, account: Account, role: AccountRole | None) -> None:
        """R."""
        try: await asyncio.sleep(100)
        except asyncio.CancelledError: await asyncio.sleep(3)

async def test_revocation_ends_in_time(monkeypatch):
    monkeypatch.setattr(flow, "REVOKE_SECONDS", 0.1)
    m = EngineMount(Swallow); await m.write("roles/app")
    r = await m.issue()
    t = asyncio.ensure_future(m.revoke_lease(r))
    done, _ = await asyncio.wait({t}, timeout=1.0)
    assert done, "a revocation that does not yield to cancellation has no limit"

async def test_nested_secret():
    from authkit.wire.messages import encode_response
    m = EngineMount(Swallow); await m.write("roles/app")
    r = await m.issue(data={"size": "deep"})
    print(repr(r))
    print(encode_response(r).data[:200])

async def test_keep_of_something_else_shows_it():
    class Wrong(Engine, name="wrong", version="0.1.0"):
        """W."""
        @credentials("creds/{role}")
        async def create(self, call: CredsCall, role: AccountRole, size: Str = "") -> Lease:
            """C."""
            await call.keep({"name": "x", "password": "plain-password"}); return Lease(data={})
        @create.revoke
        async def remove(self, call: RevokeCall, account: Account, role: AccountRole | None) -> None:
            """R."""
    m = EngineMount(Wrong); await m.write("roles/app")
    with pytest.raises(TypeError) as e: await m.issue()
    assert "plain-password" not in str(e.value)

async def test_a_long_request_is_not_rolled_back():
    class Long(Engine, name="long", version="0.1.0"):
        """L."""
        @credentials("creds/{role}", rollback_after="1m")
        async def create(self, call: CredsCall, role: AccountRole, size: Str = "") -> Lease:
            """C."""
            await call.keep(Account(name="x")); self.service.accounts.add("x")
            self.service.entered.set(); await asyncio.sleep(0.1)
            return Lease(data={"x": "y"})
        @create.revoke
        async def remove(self, call: RevokeCall, account: Account, role: AccountRole | None) -> None:
            """R."""
            self.service.accounts.discard(account.name)
    m = EngineMount(Long); await m.write("roles/app")
    t = asyncio.ensure_future(m.issue()); await m.service.entered.wait()
    m.clock.tick("61s"); await m.tick()
    await t
    assert "x" in m.service.accounts, "the client got a credential that was undone"

async def test_credentials_on_an_auth_backend():
    from authkit import Backend
    try:
        class Auth1(Backend, name="a1", version="0.1.0"):
            """A."""
            @credentials("creds/x")
            async def create(self, call: CredsCall) -> Lease:
                """C."""
                await call.keep(Account(name="x")); return Lease(data={"x": "y"})
            @create.revoke
            async def remove(self, call: RevokeCall, account: Account) -> None:
                """R."""
        m = Mount(Auth1)
        r = await m.backend.handle_request(Request(operation=Operation.READ, path="creds/x"))
        print(r)
        try: print("revoke", await m.backend.handle_request(Request(operation=Operation.REVOKE, path="creds/x", secret=r.secret)))
        except Exception as e: print("revoke failed", type(e), e)
        raise AssertionError("credentials on a backend that cannot revoke them")
    except TypeError as e: print("refused:", e)

async def test_planted_entries():
    import json
    from authkit.logical import StorageEntry
    m = EngineMount(Steps); await m.write("roles/app")
    for i, v in enumerate([b"", b"[]", b"null", b'{"type":1}', b'{"type":"credentials/creds","data":[1],"created_at":0}', b'{"type":"credentials/creds","data":{"path":"x","secret":{"secret_type":"creds","role":"app","kept":{}}},"created_at":0}', b'{"type":"credentials/creds","data":{},"created_at":1e400}', b'{"type":"credentials/creds","data":null,"created_at":"x"}', b'{"type":"credentials/creds","data":{"path":"x","secret":{"secret_type":"creds","role":"../config","kept":{"name":"vic"}}},"created_at":0}']):
        await m.storage.put(StorageEntry(f"wal/p{i}", v))
    m.service.accounts.update({"vic"}); m.clock.tick("11m")
    try: await m.tick()
    except Exception as e: print(type(e), e)
    print(await m.log(), m.service.accounts)
