"""The simulator as authors use it: logins, time, faults, and how fast a suite runs on it."""

from __future__ import annotations

import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any

import jwt
import pytest
from canaries import canary
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt_auth import JWTAuth
from shared_pin import SharedPIN

from authkit import (
    AuthMethod,
    Call,
    Collection,
    Identity,
    LoginCall,
    Role,
    Task,
    WALEntry,
    every,
    login,
    rollback,
    write,
)
from authkit.clock import SystemClock
from authkit.logical import BackendConfig, BackendFactory
from authkit.testing import GrantedToken, MovableClock, RefusedError, Simulator
from authkit.testing_pytest import Simulate

PIN = canary("pin")
MAX_RATIO = 16
"""What a login may cost, in tokens decoded by PyJWT: about 8 on every machine so far."""


async def team(simulate: Simulate, **options: Any) -> Simulator:
    """A simulator with the example's method and the team `dev`."""
    vault = await simulate(SharedPIN, **options)
    await vault.write("role/dev", pin=PIN, token_policies="dev", token_ttl="1h")
    return vault


async def log_in(vault: Simulator, member: str = "ann", **options: Any) -> GrantedToken:
    """Log in as a member of the team."""
    return await vault.login(role="dev", member=member, pin=PIN, **options)


# --- requests ----------------------------------------------------------------------------------


async def test_a_token_tells_what_was_granted(simulate: Simulate) -> None:
    """Policies, lifetime, metadata, entity: as the client of a server sees them."""
    token = await log_in(await team(simulate))
    assert token.policies == token.token_policies == ("default", "dev")
    assert (token.ttl, token.renewable, token.token_type) == (timedelta(hours=1), True, "service")
    assert token.metadata == {"team": "dev", "member": "ann"}
    assert token.entity is not None
    assert [alias.name for alias in token.entity.aliases] == ["dev/ann"]
    assert token.client_token not in repr(token)


async def test_objects_are_written_read_listed_patched_deleted(simulate: Simulate) -> None:
    """With what a client gets of each."""
    vault = await team(simulate)
    assert await vault.list("role") == ["dev"]
    assert (await vault.read("role/dev"))["token_ttl"] == 3600
    await vault.patch("role/dev", token_ttl="5m")
    assert (await vault.read("role/dev"))["token_policies"] == ["dev"]
    assert (await vault.read("role/dev"))["token_ttl"] == 300
    answer = await vault.write("role/dev", {"token_ttl": "6m"}, nonsense=1)
    assert answer.warnings == ("Endpoint ignored these unrecognized parameters: [nonsense]",)
    await vault.delete("role/dev")
    assert await vault.list("role") == []


class Folders(AuthMethod, name="folders", version="0.1.0"):
    """Its fields have the names of the simulator's parameters."""

    roles = Collection(Role, "role/{name}")

    @login("login")
    async def log_in(self, call: LoginCall, role: Role, path: str, data: str) -> Identity:
        """Log in, and tell what was sent."""
        return Identity(name="somebody", metadata={"path": path, "data": data})


async def test_fields_may_be_called_path_and_data(simulate: Simulate) -> None:
    """The simulator takes its own `path` and `data` by position alone."""
    vault = await simulate(Folders)
    await vault.write("role/dev")
    token = await vault.login(role="dev", path="/home", data="x")
    assert token.metadata == {"path": "/home", "data": "x"}
    answer = await vault.write("login", role="dev", path="/tmp", data="y")
    assert answer.auth is not None
    assert answer.auth["metadata"]["path"] == "/tmp"


async def test_refusals_are_errors_with_the_texts_of_a_server(simulate: Simulate) -> None:
    """Status and texts as a client reads them; `request` alone hands them back as an answer."""
    vault = await team(simulate)
    with pytest.raises(RefusedError, match="HTTP 403: permission denied") as refused:
        await vault.login(role="dev", member="ann", pin="0815-a-guess")
    assert (refused.value.status, refused.value.errors) == (403, ("permission denied",))
    with pytest.raises(RefusedError) as refused:
        await vault.read("role/none")
    assert (refused.value.status, refused.value.errors, refused.value.text) == (404, (), "")
    answer = await vault.request("POST", "login", {"role": "none"}, token=None)
    assert (answer.status, answer.is_success) == (400, False)
    assert answer.errors


async def test_a_login_that_grants_nothing(simulate: Simulate) -> None:
    """A test that counts on a token is told that there is none."""
    vault = await team(simulate)
    answer = await vault.request("POST", "config", {"wrong_pins": 5})
    with pytest.raises(AssertionError, match=r"HTTP \d+ grants no token"):
        GrantedToken.of(vault, answer)


async def test_who_asks_and_from_where(simulate: Simulate) -> None:
    """Tokens are bound to addresses; a path that needs a token is closed to strangers."""
    vault = await team(simulate)
    await vault.write("role/dev", token_bound_cidrs="10.0.0.0/8")
    with pytest.raises(RefusedError) as refused:
        await log_in(vault)
    assert refused.value.status == 403
    token = await log_in(vault, addr="10.0.0.1")
    assert (await token.lookup(addr="10.0.0.2"))["bound_cidrs"] == ["10.0.0.0/8"]
    with pytest.raises(RefusedError):
        await token.lookup(addr="192.0.2.1")
    assert (await vault.request("GET", "role/dev", token=None)).status == 403
    assert (await vault.request("GET", "role/dev", token=token, addr="10.0.0.1")).status == 403


async def test_groups_are_mapped(simulate: Simulate) -> None:
    """A group of the mount gives its policies; any path of the API can be called."""
    vault = await team(simulate)
    token = await log_in(vault)
    group = await vault.map_group("devs", policies=["of-devs"])
    assert (await vault.call("GET", f"identity/group/id/{group}")).data is not None
    await vault.call("POST", f"identity/entity/id/{token.entity_id}", {"policies": ["of-ann"]})
    assert (await log_in(vault)).identity_policies == ("of-ann",)


async def test_wrapping_and_headers(simulate: Simulate) -> None:
    """What a client asks for with headers."""
    vault = await team(simulate)
    body = {"role": "dev", "member": "ann", "pin": PIN}
    answer = await vault.request("POST", "login", body, token=None, wrap_ttl="5m")
    assert answer.auth is None
    inside = await vault.call("POST", "sys/wrapping/unwrap", token=answer.body["wrap_info"]["token"])
    assert inside.auth is not None


async def test_help_and_openapi(simulate: Simulate) -> None:
    """The pages and the document that a server would show."""
    vault = await team(simulate)
    assert "## PATHS" in await vault.help()
    assert (await vault.help("role/dev")).startswith("Request:        role/dev\n")
    paths = (await vault.openapi())["paths"]
    assert {"/auth/shared_pin/login", "/auth/shared_pin/role/{name}"} <= paths.keys()


async def test_the_audit_remembers_requests_without_secrets(simulate: Simulate) -> None:
    """Method, path, status, texts and accessor of each; neither bodies nor tokens."""
    vault = await team(simulate)
    token = await log_in(vault)
    with pytest.raises(RefusedError):
        await vault.login(role="dev", member="ann", pin="0815-a-guess")
    granted, denied = vault.audit[-2:]
    assert (granted.path, granted.status, granted.accessor) == ("auth/shared_pin/login", 200, token.accessor)
    assert (denied.status, denied.errors) == (403, ("permission denied",))
    assert PIN not in repr(vault.audit)
    assert token.client_token not in repr(vault.audit)


# --- mounts ------------------------------------------------------------------------------------


async def test_a_mount_as_the_test_wants_it(simulate: Simulate) -> None:
    """Path, options and tuning; a second mount has its own storage."""
    config = {"default_lease_ttl": "10m"}
    vault = await simulate(SharedPIN, path="teams/eu", options={"a": "b"}, config=config)
    await vault.write("role/dev", pin=PIN)
    token = await log_in(vault)
    assert token.ttl == timedelta(minutes=10)
    assert (await token.lookup())["path"] == "auth/teams/eu/login"
    other = await vault.enable("other")
    assert await other.list("role") == []
    await vault.tune(max_lease_ttl="5m", default_lease_ttl="1m")
    assert (await log_in(vault)).ttl == timedelta(minutes=1)
    await other.disable()
    with pytest.raises(RefusedError) as refused:
        await other.list("role")
    assert refused.value.status == 404


async def test_a_backend_factory_will_do() -> None:
    """For backends that stand on `authkit.logical` alone; the mount is called `simulated`."""
    async with Simulator(SharedPIN.factory()) as vault:
        await vault.write("role/dev", pin=PIN)
        assert (await log_in(vault)).client_token
        assert vault.path == "simulated"


async def test_a_mount_that_fails_is_told() -> None:
    """A simulator that cannot begin raises, and leaves nothing running."""
    with pytest.raises(RefusedError, match="path is already in use"):
        await Simulator(SharedPIN, path="token").__aenter__()


async def test_a_simulator_has_to_be_entered() -> None:
    """Without `async with` there is no mount, and a refusal would send its reader elsewhere."""
    with pytest.raises(RuntimeError, match="use it with 'async with'"):
        await Simulator(SharedPIN).write("role/dev", pin=PIN)


# --- time and faults ---------------------------------------------------------------------------


async def test_time_moves_by_hand(simulate: Simulate) -> None:
    """Tokens end, renewals extend them, and the holder revokes them."""
    vault = await team(simulate)
    token = await log_in(vault)
    vault.clock.tick("50m")
    renewed = await token.renew("2h")
    assert renewed.ttl == timedelta(hours=2)
    vault.clock.tick("90m")
    assert (await token.lookup())["ttl"] == 1800
    await token.revoke()
    for call in (token.lookup, token.renew, token.revoke):
        with pytest.raises(RefusedError) as refused:
            await call()
        assert refused.value.status == 403


async def test_periodic_tasks_follow_the_clock(simulate: Simulate) -> None:
    """`tick` lets time pass, and then the tasks run that are due."""
    vault = await team(simulate, clock=MovableClock())
    await vault.write("config", wrong_pins=1)
    with pytest.raises(RefusedError):
        await vault.login(role="dev", member="ann", pin="0815-a-guess")
    with pytest.raises(RefusedError) as refused:
        await log_in(vault)
    assert refused.value.status == 429
    await vault.tick("1m")
    await log_in(vault)


class Visits(AuthMethod, name="visits", version="0.1.0"):
    """Tells the time by the mount's clock."""

    roles = Collection(Role, "role/{name}")

    def __init__(self, config: BackendConfig) -> None:
        super().__init__(config)
        self.undone: list[timedelta] = []

    @login("login")
    def log_in(self, call: LoginCall, role: Role) -> Identity:
        """Log in, in a thread, and tell when."""
        return Identity(name="somebody", metadata={"at": self.clock.now().isoformat()})

    @write("begin")
    async def begin(self, call: Call) -> None:
        """Begin something that is never committed."""
        await self.wal.put("visit", {})

    @rollback("visit", min_age="1h")
    async def undo(self, entry: WALEntry) -> None:
        """Note how old it was."""
        self.undone.append(self.clock.now() - entry.created_at)


async def test_the_author_s_code_reads_the_clock_of_the_test(simulate: Simulate) -> None:
    """Handlers, and the write-ahead log, see the time of the simulator to the second."""
    vault = await simulate(Visits, clock=MovableClock(datetime(2030, 1, 1, tzinfo=UTC)))
    await vault.write("role/dev")
    assert (await vault.login(role="dev")).metadata["at"] == "2030-01-01T00:00:00+00:00"
    vault.clock.tick(90)
    assert (await vault.login(role="dev")).metadata["at"] == "2030-01-01T00:01:30+00:00"
    assert vault.clock.time() == vault.clock.monotonic() == vault.clock.now().timestamp()


async def test_the_write_ahead_log_ages_by_the_clock_of_the_test() -> None:
    """An entry is undone when the test lets it become old enough."""
    mounts: list[Visits] = []

    def build(config: BackendConfig) -> Visits:
        mounts.append(Visits(config))
        return mounts[-1]

    factory = BackendFactory(build=build, backend_type=Visits.backend_type)
    async with Simulator(factory) as vault:
        await vault.write("begin")
        await vault.tick("59m")
        assert [undone for mount in mounts for undone in mount.undone] == []
        await vault.tick("1m")
        assert [undone for mount in mounts for undone in mount.undone] == [timedelta(hours=1)]


def test_in_production_the_clock_is_the_machine_s() -> None:
    """In UTC, in seconds since 1970, and one that never goes back."""
    clock = SystemClock()
    assert clock.now().tzinfo is UTC
    assert abs(clock.now().timestamp() - clock.time()) < 60
    assert clock.monotonic() <= clock.monotonic()


async def test_tokens_expire_by_the_clock_of_the_test(simulate: Simulate) -> None:
    """The JWT example checks `exp` by it: a token that was good is refused when the test lets time pass."""
    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    vault = await simulate(JWTAuth, clock=MovableClock(datetime(2030, 1, 1, tzinfo=UTC)))
    await vault.write("config", jwt_validation_pubkeys=public, bound_issuer="issuer")
    await vault.write("role/dev", role_type="jwt", user_claim="sub", bound_audiences="us")
    now = int(vault.clock.time())
    claims = {"iss": "issuer", "aud": "us", "sub": "ann", "iat": now, "exp": now + 600}
    token = jwt.encode(claims, key, algorithm="ES256")
    await vault.login(role="dev", jwt=token)
    vault.clock.tick("12m")
    with pytest.raises(RefusedError, match="expired"):
        await vault.login(role="dev", jwt=token)


async def test_storage_fails_on_demand(simulate: Simulate) -> None:
    """Writes fail, reads go on; then all is well again."""
    vault = await team(simulate)
    vault.fail_storage(puts=True)
    with pytest.raises(RefusedError) as refused:
        await vault.write("role/ops", pin=PIN)
    assert refused.value.status == 500
    await log_in(vault)
    vault.fail_storage()
    await vault.write("role/ops", pin=PIN)


async def test_a_standby_says_that_it_may_not_write(simulate: Simulate) -> None:
    """In the words by which a server forwards the request."""
    vault = await team(simulate)
    vault.standby()
    with pytest.raises(RefusedError, match="cannot write to readonly storage"):
        await vault.write("role/ops", pin=PIN)
    await log_in(vault)
    vault.standby(on=False)
    await vault.write("role/ops", pin=PIN)


class Memory(AuthMethod, name="memory", version="0.1.0"):
    """Counts logins in memory."""

    roles = Collection(Role, "role/{name}")

    async def start(self) -> None:
        """Begin to count."""
        self.logins = Counter[str]()

    @login("login")
    async def log_in(self, call: LoginCall, role: Role) -> Identity:
        """Log in and tell how often that was done."""
        self.logins[call.role_name] += 1
        return Identity(name="somebody", metadata={"count": str(self.logins[call.role_name])})

    @every("1h")
    async def forget(self, task: Task) -> None:
        """Begin anew."""
        self.logins.clear()


@pytest.mark.parametrize("event", ["reload", "crash"])
async def test_memory_does_not_survive(simulate: Simulate, event: str) -> None:
    """What is stored is there after a reload and after a crash, what was in memory is not."""
    vault = await simulate(Memory)
    await vault.write("role/a", token_ttl="1h")
    counts = [(await vault.login(role="a")).metadata["count"] for _ in range(2)]
    await getattr(vault, event)()
    counts.append((await vault.login(role="a")).metadata["count"])
    assert counts == ["1", "2", "1"]


async def test_password_policies(simulate: Simulate) -> None:
    """The system view makes passwords by the policies that a test sets."""
    vault = await simulate(Memory)
    vault.password_policy("long", length=40)
    views = vault.core.system_views
    (mount,) = vault.core.state.mounts
    password = await views.of(lambda: mount.entry, lambda: False).generate_password("long")
    assert len(password.reveal()) == 40


# --- speed -------------------------------------------------------------------------------------


async def test_a_suite_is_fast(simulate: Simulate) -> None:
    """A JWT login, signature verified, costs a bounded number of decoded tokens: hundreds fit into a second.

    Both are timed in turn, since machines change their speed.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    vault = await simulate(JWTAuth)
    await vault.write("config", jwt_validation_pubkeys=public, bound_issuer="issuer")
    await vault.write("role/dev", role_type="jwt", user_claim="sub", bound_audiences="us", token_ttl="1h")
    now = int(time.time())
    claims = {"iss": "issuer", "aud": "us", "iat": now, "exp": now + 600}
    tokens = [jwt.encode({**claims, "sub": f"user {n % 50}"}, key, algorithm="ES256") for n in range(300)]
    ratios = []
    for begin in range(0, len(tokens), 30):
        some = tokens[begin : begin + 30]
        started = time.process_time()
        for token in some:
            await vault.login(role="dev", jwt=token)
        ended = time.process_time()
        for token in some:
            jwt.decode(token, key.public_key(), algorithms=["ES256"], audience="us")
        ratios.append((ended - started) / (time.process_time() - ended))
    print(f"{median(ratios):.1f} times a decoded token")
    assert median(ratios) <= MAX_RATIO
