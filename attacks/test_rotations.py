"""Attacks on static and root rotation. Run: .venv/bin/pytest attacks/test_rotations.py -p no:cacheprovider --rootdir . -o pythonpath="tests tests/unit tests/unit/secrets" """
from __future__ import annotations
import asyncio, time, threading
from datetime import timedelta
import pytest
from engines import *
from engines import Config, StaticRole
from authkit import *
from authkit.errors import *
from authkit.logical import Operation
from authkit.secrets import *

async def static():
    m = EngineMount()
    await m.write("static-roles/app", username="app", rotation_period="1h")
    return m

async def test_role_write_fails_after_the_password_was_set():
    m = await static()
    await m.write("static-roles/other", username="other", rotation_period="1h")
    orig = m.backend.objects.put
    async def put(key, value, **k):
        if key.startswith("static-roles/app"): raise StorageError("no room")
        await orig(key, value, **k)
    m.backend.objects.put = put
    with pytest.raises(StorageError): await m.write("static-roles/app", username="other2")
    m.backend.objects.put = orig
    shown = await m.read("static-creds/app")
    warned = False
    assert shown["username"] == "app"
    assert shown["password"] == m.service.passwords["app"], "clients read a password of another account, unwarned"

class Thready(Engine, name="thready", version="0.1.0"):
    """Sets passwords in threads."""
    gate: threading.Event | None = None
    @rotated(creds="static-creds/{name}", rotate="rotate-role/{name}", shows=("username",))
    def set_password(self, call: RotateCall, role: StaticRole, password: Secret) -> None:
        """Set."""
        self.service.set.append((role.username, password.reveal(), call.is_retry))
        if self.gate: self.gate.wait(5)
        self.service.passwords[role.username] = password.reveal()
    @root_rotation("config/rotate-root")
    def rotate_root(self, call: Call, config: Config, password: Secret) -> None:
        """Set."""
        if self.gate: self.gate.wait(5)
        self.service.passwords[config.username] = password.reveal()
    @rotate_root.check
    async def can_log_in(self, config: Config) -> bool:
        """Valid?"""
        return self.service.passwords.get(config.username) == config.password.reveal()

async def test_late_thread_static():
    m = EngineMount(Thready); m.backend.mount_id = 'm-1'
    await m.write("static-roles/app", username="app", rotation_period="1h")
    gates = [threading.Event(), threading.Event()]
    for g in gates:   # a caller goes away, twice
        m.backend.gate = g
        t = asyncio.ensure_future(m.request(Operation.UPDATE, "rotate-role/app"))
        await asyncio.sleep(0.1); t.cancel()
        await asyncio.gather(t, return_exceptions=True)
    m.backend.gate = None
    try: await m.request(Operation.UPDATE, "rotate-role/app")
    except Exception as e: print("third refused:", e)
    for g in gates: g.set(); await asyncio.sleep(0.1)
    shown = await m.read("static-creds/app")
    assert shown["password"] == m.service.passwords["app"]

async def test_late_thread_root():
    m = EngineMount(Thready); m.backend.mount_id = 'm-1'
    await m.write("config", username="root", password="first"); m.service.passwords["root"] = "first"
    g = m.backend.gate = threading.Event()
    t = asyncio.ensure_future(m.request(Operation.UPDATE, "config/rotate-root"))
    await asyncio.sleep(0.1); t.cancel(); await asyncio.gather(t, return_exceptions=True)
    m.backend.gate = None
    m.clock.tick("1m")
    try: await m.tick()
    except Exception as e: print("tick:", e)
    g.set(); await asyncio.sleep(0.1)
    m.clock.tick("1m")
    try: await m.tick()
    except Exception as e: print("tick:", e)
    assert (await m.backend.config.get()).password.reveal() == m.service.passwords["root"], "root password lost"

class UrlConfig(Model):
    """C."""
    url: Str = ""
    username: Str = "root"
    password: Secret = field(default="", goes_to=["url"])

class Moved(SecretsEngine, name="moved", version="0.1.0"):
    """E."""
    config = Singleton(UrlConfig, "config")
    def __init__(self, c):
        super().__init__(c); self.seen = {}; self.valid="first"; self.during=None; self.fault=False
    @root_rotation("config/rotate-root")
    async def rotate_root(self, call: Call, config: UrlConfig, password: Secret) -> None:
        """S."""
        self.valid = password.reveal()
        if self.during: await self.during()
        if self.fault: raise UserError("reply lost")
    @rotate_root.check
    async def can_log_in(self, config: UrlConfig) -> bool:
        """V."""
        self.seen.setdefault(config.url, []).append(config.password.reveal())   # the server sees the password
        return config.url == "good" and config.password.reveal() == self.valid or config.url == "evil"

async def test_goes_to_during_a_rotation():
    """A writer of config who may not know the password moves the url while somebody rotates."""
    from factories import Mount
    m = Mount(Moved)
    await m.write("config", url="good", password="first")
    async def during(): await m.write("config", url="evil", password="x")
    m.backend.during = during
    try: await m.request(Operation.UPDATE, "config/rotate-root")
    except Exception as e: print("rotation:", e)
    c = await m.backend.config.get()
    assert not (c.url == "evil" and c.password.reveal() == m.backend.valid), "the root password goes to evil"

async def test_goes_to_at_settling():
    from factories import Mount
    m = Mount(Moved)
    await m.write("config", url="good", password="first")
    m.backend.fault = True
    with pytest.raises(UserError): await m.request(Operation.UPDATE, "config/rotate-root")
    m.backend.fault = False
    await m.write("config", url="evil", password="x")
    try: await m.tick()
    except Exception as e: print("tick:", e)
    assert m.backend.valid not in m.backend.seen.get("evil", []), "the root password was sent to evil"

async def test_tick_deletes_the_password_of_a_role_being_written():
    m = await static()
    be = m.backend; tasks = []
    orig = be.objects.put
    async def put(key, value, **k):
        if key == "static-roles/new":
            m.clock.tick("1m"); tasks.append(asyncio.ensure_future(m.tick())); await asyncio.sleep(0.1)
        await orig(key, value, **k)
    be.objects.put = put
    await m.write("static-roles/new", username="new", rotation_period="1h")
    await asyncio.gather(*tasks)
    assert (await m.read("static-creds/new"))["password"] == m.service.passwords["new"]


class Slow(Engine, name="slow", version="0.1.0"):
    """Takes a moment."""
    calls: list
    @rotated(creds="static-creds/{name}", rotate="rotate-role/{name}", shows=("username",))
    async def set_password(self, call: RotateCall, role: StaticRole, password: Secret) -> None:
        """Set."""
        self.calls = [*getattr(self, "calls", []), role.username]
        if getattr(self, "hang", "") == role.username: await asyncio.sleep(30)
        await asyncio.sleep(0.01)
        self.service.passwords[role.username] = password.reveal()
        self.service.fault("after")

async def test_two_readers_of_an_unclear_password():
    """Each reader must hold a valid password."""
    m = EngineMount(Slow)
    await m.write("static-roles/app", username="app", rotation_period="1h")
    m.fail("after")
    with pytest.raises(UserError): await m.request(Operation.UPDATE, "rotate-role/app")
    m.fail()
    shown = await asyncio.gather(*(m.read("static-creds/app") for _ in range(3)))
    assert {each["password"] for each in shown} == {m.service.passwords["app"]}

async def test_a_tick_and_a_reader():
    """A reader settles; the tick, which found it due before, must not change it again."""
    m = EngineMount(Slow)
    await m.write("static-roles/app", username="app", rotation_period="1h")
    m.fail("after")
    with pytest.raises(UserError): await m.request(Operation.UPDATE, "rotate-role/app")
    m.fail(); m.clock.tick("1m")
    shown, _ = await asyncio.gather(m.read("static-creds/app"), m.tick())
    assert shown["password"] == m.service.passwords["app"]

async def test_starvation():
    """A role whose service hangs stops the rotation of all behind it for ever (a host ends a tick after 90 s)."""
    m = EngineMount(Slow)
    for n in ("aaa", "app"): await m.write(f"static-roles/{n}", username=n, rotation_period="1m")
    m.backend.hang = "aaa"; m.backend.calls = []
    for _ in range(4):
        m.clock.tick("2m")
        try: await asyncio.wait_for(m.tick(), 0.2)   # the host's 90 s
        except BaseException as e: pass
    assert "app" in m.backend.calls, m.backend.calls
