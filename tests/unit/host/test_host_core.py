"""The core as a whole: restarts, reloads, crashes, plugins that are no good, requests that are nonsense."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from conformance.answers import VERSION, Answers
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from running_core import Host, running

from authkit.errors import RPCError, StatusCode, UserError
from authkit.host.server.core import Core
from authkit.host.store.storage import InMemoryPhysicalStorage, SQLiteStorage
from authkit.host.supervisor.in_process.plugin import InProcessPlugin
from authkit.logical import (
    BackendConfig,
    BackendFactory,
    BackendType,
    Operation,
    Request,
    Response,
    SpecialPaths,
)
from authkit.testing import MovableClock

# --- restarts ----------------------------------------------------------------------------------


async def test_everything_survives_a_restart(tmp_path: Path) -> None:
    """Mounts, what plugins store, tokens of both types, entities, groups, policies, wrapped answers."""
    clock = MovableClock()
    async with running(storage=SQLiteStorage(tmp_path / "data"), clock=clock) as host:
        await host.ok("POST", "sys/auth/a/tune", {"default_lease_ttl": "1h", "description": "kept"})
        await host.ok("POST", "auth/a/kv/x", {"value": "1"})
        await host.ok(
            "PUT", "sys/policies/acl/p", {"policy": 'path "auth/a/kv/x" { capabilities = ["read"] }'}
        )
        shown = await host.ok("GET", "sys/auth/a")
        group = await host.ok("POST", "identity/group", {"name": "g", "type": "external", "policies": ["p"]})
        alias = {"name": "devs", "mount_accessor": shown["accessor"], "canonical_id": group["data"]["id"]}
        await host.ok("POST", "identity/group-alias", alias)
        service = await host.login(ttl="1h", alias="bob", groups=["devs"], policies=["default"], num_uses=5)
        batch = await host.login(ttl="1h", token_type="BATCH", policies=["default"])
        wrapped = await host.ok("POST", "auth/a/do", {"data": {"a": 1}}, wrap_ttl="5m")
        await host.ok("GET", "auth/token/lookup-self", token=service["client_token"])

    clock.tick("1m")
    async with running(storage=SQLiteStorage(tmp_path / "data"), clock=clock, mounted=False) as host:
        assert {**await host.ok("GET", "sys/auth/a"), "request_id": ""} == {**shown, "request_id": ""}
        assert (await host.ok("GET", "auth/a/kv/x", token=service["client_token"]))["data"] == {"value": "1"}
        seen = await host.ok("GET", "auth/token/lookup-self", token=service["client_token"])
        assert (seen["data"]["num_uses"], seen["data"]["ttl"]) == (2, 3540)
        assert seen["data"]["identity_policies"] == ["p"]
        await host.ok("GET", "auth/token/lookup-self", token=batch["client_token"])
        renewed = await host.ok("POST", "auth/token/renew", {"token": service["client_token"]})
        assert renewed["auth"]["entity_id"] == service["entity_id"]
        again = await host.login(ttl="1h", alias="BOB")
        assert again["entity_id"] == service["entity_id"]
        inside = await host.ok("POST", "sys/wrapping/unwrap", token=wrapped["wrap_info"]["token"])
        assert inside["data"] == {"a": 1}


async def test_no_token_is_stored(tmp_path: Path) -> None:
    """The file does not hold the text of any token, the root token included."""
    path = tmp_path / "data"
    async with running(storage=SQLiteStorage(path)) as host:
        grants = [await host.login(ttl="1h", token_type=kind) for kind in ("SERVICE", "BATCH")]
        wrapped = await host.ok("POST", "sys/wrapping/wrap", {"a": 1}, wrap_ttl="5m")
    content = path.read_bytes()
    for token in [*(grant["client_token"] for grant in grants), wrapped["wrap_info"]["token"]]:
        assert token.encode() not in content


async def test_expired_tokens_leave_the_storage(tmp_path: Path) -> None:
    """They are removed when their time has come, by themselves."""
    clock = MovableClock()
    async with running(clock=clock) as host:
        await host.login(ttl="10m")
        assert len(await host.core.state.physical.keys("core/token/")) == 2
        await asyncio.sleep(0)
        clock.tick("11m")
        for _ in range(10):
            await asyncio.sleep(0)
        assert len(await host.core.state.physical.keys("core/token/")) == 1


async def test_background_work_goes_on_after_a_failure() -> None:
    """A disk that fails once keeps no expired token for ever."""
    clock, storage = MovableClock(), InMemoryPhysicalStorage()
    async with running(clock=clock, storage=storage) as host:
        await host.login(ttl="10m")
        await asyncio.sleep(0)
        apply = storage.apply
        storage.apply = failing(OSError("disk"))  # type: ignore[method-assign]
        clock.tick("11m")
        for _ in range(10):
            await asyncio.sleep(0)
        storage.apply = apply  # type: ignore[method-assign]
        await host.login(ttl="1m")
        for _ in range(3):
            clock.tick("2m")
            for _ in range(10):
                await asyncio.sleep(0)
        assert len(await storage.keys("core/token/")) == 1


async def test_a_plugin_that_is_gone_after_a_restart(tmp_path: Path) -> None:
    """The mount is there and says so; the host runs."""
    async with running(storage=SQLiteStorage(tmp_path / "data")):
        pass
    async with running(storage=SQLiteStorage(tmp_path / "data"), name="other", mounted=False) as host:
        response = await host.ask("GET", "auth/a/do")
        assert response.status == 404
        assert "route entry found, but backend is nil" in json.dumps(response.body)
        await host.ok("GET", "sys/auth/a")
        await host.ok("DELETE", "sys/auth/a")


# --- reloads and crashes -----------------------------------------------------------------------


class Counter(Answers):
    """Counts its instances, and remembers something."""

    made = 0

    def __init__(self, config: BackendConfig) -> None:
        super().__init__(config)
        type(self).made += 1
        self.number = type(self).made

    async def handle_request(self, request: Request) -> Response | None:
        """Tell which instance this is."""
        if request.path == "number":
            return Response(data={"number": self.number})
        return await super().handle_request(request)


async def number_of(host: Host, mount: str) -> int:
    """Which instance serves a mount."""
    return int((await host.ok("GET", f"auth/{mount}/number"))["data"]["number"])


async def test_a_reload_reaches_every_mount_of_the_process() -> None:
    """Whoever shares the process of a reloaded mount gets a new backend as well."""
    async with running(Counter.factory()) as host:
        await host.ok("POST", "sys/auth/b", {"type": "answers"})
        before = [await number_of(host, mount) for mount in "ab"]
        await host.ok("PUT", "sys/plugins/reload/backend", {"mounts": ["auth/a"]})
        after = [await number_of(host, mount) for mount in "ab"]
        assert not {*before} & {*after}
        assert len(host.plugins) == 2


async def test_a_reload_waits_for_requests() -> None:
    """A request under way ends on the backend where it began; the next one is served by the new one."""
    entered, leave = asyncio.Event(), asyncio.Event()

    class Slow(Answers):
        async def handle_request(self, request: Request) -> Response | None:
            if request.path == "slow":
                entered.set()
                await leave.wait()
                return Response(data={"done": True})
            return await super().handle_request(request)

    async with running(Slow.factory()) as host:
        slow = asyncio.create_task(host.ok("GET", "auth/a/slow"))
        await entered.wait()
        reload = asyncio.create_task(host.ok("PUT", "sys/plugins/reload/backend", {"mounts": ["auth/a"]}))
        await asyncio.sleep(0)
        later = asyncio.create_task(host.ok("GET", "auth/a/do"))
        await asyncio.sleep(0)
        assert not reload.done()
        assert not later.done()
        leave.set()
        assert (await slow)["data"] == {"done": True}
        await reload
        await later


async def test_a_crash_is_told_and_the_next_request_works() -> None:
    """What was under way fails with the words of a server; the plugin is then started anew."""
    entered = asyncio.Event()

    class Hanging(Counter):
        async def handle_request(self, request: Request) -> Response | None:
            if request.path == "hang":
                entered.set()
                await asyncio.Event().wait()
            return await super().handle_request(request)

    async with running(Hanging.factory()) as host:
        before = await number_of(host, "a")
        under_way = asyncio.create_task(host.ask("GET", "auth/a/hang"))
        await entered.wait()
        await host.plugins[0].crash()
        response = await under_way
        assert response.status == 500
        assert "code = Unavailable desc = error reading from server: EOF" in json.dumps(response.body)
        assert await number_of(host, "a") != before


async def test_a_new_version_is_used_from_the_reload_on() -> None:
    """An operator registers it, tunes the mount to it, reloads the mount."""

    class Next(Counter):
        pass

    async with running(Counter.factory()) as host:
        factory = BackendFactory(build=Next, backend_type=BackendType.CREDENTIAL, version="v0.2.0")
        host.core.catalog.add_local("answers", lambda entry: InProcessPlugin(factory), "v0.2.0")
        await host.ok("POST", "sys/auth/a/tune", {"plugin_version": "0.2.0"})
        assert (await host.ok("GET", "sys/auth/a"))["running_plugin_version"] == VERSION
        await host.ok("PUT", "sys/plugins/reload/backend", {"plugin": "answers"})
        shown = await host.ok("GET", "sys/auth/a")
        assert (shown["running_plugin_version"], shown["plugin_version"]) == ("v0.2.0", "v0.2.0")
        await host.ok("POST", "sys/auth/b", {"type": "answers"})
        assert (await host.ok("GET", "sys/auth/b"))["running_plugin_version"] == "v0.2.0"


# --- plugins that are no good ------------------------------------------------------------------


def broken(**methods: Callable[..., Any]) -> BackendFactory:
    """A plugin whose backends have these methods in place of good ones."""
    return BackendFactory(
        build=type("Broken", (Answers,), methods), backend_type=BackendType.CREDENTIAL, version=VERSION
    )


def failing(error: Exception) -> Callable[..., Any]:
    """A method that raises."""

    async def fail(*arguments: object) -> Any:
        raise error

    return fail


def refuse_to_be_built(self: object, config: BackendConfig) -> None:
    """Fail in the constructor."""
    raise UserError("no backend for you")


def wrong_paths(self: object) -> SpecialPaths:
    """Return a pattern with a star in its middle."""
    return SpecialPaths(unauthenticated=("log*in",))


async def test_an_auth_method_is_no_secrets_engine() -> None:
    """Whatever it was registered as. The text is a server's."""
    async with running(mounted=False, plugin_type="secret") as host:
        response = await host.ask("POST", "sys/mounts/a", {"type": "answers"})
        assert response.body == {"errors": ['unknown backend type: "answers"']}


@pytest.mark.parametrize(
    ("factory", "text"),
    [
        (broken(__init__=refuse_to_be_built), "no backend for you"),
        (broken(initialize=failing(UserError("not today"))), "not today"),
        (broken(special_paths=wrong_paths), "invalid use of wildcards"),
        (
            BackendFactory(build=Answers, backend_type=BackendType.LOGICAL, version=VERSION),
            'cannot mount "answers" of type "secret" as an auth backend',
        ),
    ],
)
async def test_a_plugin_that_cannot_be_mounted(factory: BackendFactory, text: str) -> None:
    """Enabling fails with a reason, and leaves nothing behind."""
    async with running(factory, mounted=False, plugin_type="auth") as host:
        response = await host.ask("POST", "sys/auth/a", {"type": "answers"})
        assert response.status == 400
        assert text in json.dumps(response.body).replace('\\"', '"')
        assert (await host.ask("GET", "sys/auth/a")).status == 400
        assert await host.core.state.physical.keys("auth/") == []


@pytest.mark.parametrize(
    ("error", "status"),
    [(RPCError(StatusCode.PERMISSION_DENIED, "no"), 500), (ValueError("secret detail"), 500)],
)
async def test_faults_of_a_plugin_are_internal_errors(error: Exception, status: int) -> None:
    """Without detail, on every kind of request; the host stands."""
    async with running(broken(handle_request=failing(error))) as host:
        for method, path, token in (
            ("POST", "auth/a/login", ""),
            ("GET", "auth/a/x", "root"),
            ("LIST", "auth/a/x", "root"),
        ):
            response = await host.ask(method, path, {}, token)
            assert response.status == status
            assert "detail" not in json.dumps(response.body)
        await host.ok("GET", "sys/auth")


async def test_a_resolve_role_that_fails_does_not_matter() -> None:
    """A login succeeds whatever the backend says about its role."""

    async def handle(self: Answers, request: Request) -> Response | None:
        if request.operation is Operation.RESOLVE_ROLE:
            raise ValueError("no role")
        return await Answers.handle_request(self, request)

    async with running(broken(handle_request=handle)) as host:
        assert (await host.login(ttl="1h"))["client_token"]


@pytest.mark.parametrize(("name", "status"), [("userpass", 500), ("acme", 200)])
async def test_names_under_which_users_are_locked_out(name: str, status: int) -> None:
    """Under three names a server asks for the alias before each login, and takes no other answer."""
    async with running(name=name) as host:
        response = await host.ask("POST", "auth/a/login", {"nothing": True, "auth": {}}, token="")
        if status == 500:
            assert response.body == {"errors": ["failed to determine alias name from login request"]}
            lockout = {"user_lockout_config": {"lockout_disable": True}}
            await host.ok("POST", "sys/auth/a/tune", lockout)
            response = await host.ask("POST", "auth/a/login", {"auth": {"ttl": "1h"}}, token="")
        assert response.status in (200, 204)


# --- requests that are nonsense ----------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
KNOWN_FIELDS = st.sampled_from(
    # what the paths below read
    [
        *("type", "config", "options", "policies", "ttl", "period", "num_uses", "meta", "token", "accessor"),
        *("increment", "lease_id", "name", "metadata", "mount_accessor", "canonical_id", "policy", "paths"),
        *("member_entity_ids", "plugin", "mounts", "sha256", "command", "version", "description", "auth"),
        *("default_lease_ttl", "token_type", "user_lockout_config", "id", "alias_name", "data", "error"),
    ]
)
BODIES = st.none() | st.dictionaries(KNOWN_FIELDS | st.text(max_size=6), JSON, max_size=4)
PATHS = st.text(max_size=20) | st.sampled_from(
    [
        *("sys/auth", "sys/auth/x", "sys/auth/a/tune", "sys/mounts", "sys/policies/acl/p", "sys/policy"),
        *("sys/capabilities-self", "sys/leases/lookup", "sys/leases/revoke", "sys/leases/renew"),
        *("sys/plugins/catalog/auth/x", "sys/plugins/reload/backend", "sys/internal/specs/openapi"),
        *("sys/wrapping/wrap", "sys/wrapping/unwrap", "sys/wrapping/lookup", "sys/internal/ui/mounts"),
        *("auth/token/create", "auth/token/lookup", "auth/token/renew", "auth/token/revoke"),
        *("auth/token/renew-accessor", "identity/entity", "identity/entity/id/x", "identity/entity-alias"),
        *("identity/group", "identity/group-alias", "identity/lookup/entity", "identity/lookup/group"),
        *("auth/a/login", "auth/a/do", "auth/a", "auth/", "auth", "a"),
    ]
)
METHODS = st.sampled_from(
    ["GET", "LIST", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "HELP", "FLY", ""]
)


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    method=METHODS,
    path=PATHS,
    body=BODIES,
    token=st.sampled_from(["root", "", "nonsense"]),
    wrap=st.text(max_size=4),
)
async def test_no_request_is_a_fault(method: str, path: str, body: Any, token: str, wrap: str) -> None:
    """Whatever a client sends is answered: with a status of the API, never with an exception of ours."""
    async with running() as host:
        host.core.state.tokens  # noqa: B018 - the core is up
        response = await host.ask(
            method, path, body, token, wrap_ttl=wrap, query={"list": ["x"]} if body == {} else {}
        )
        assert 200 <= response.status < 600
        assert response.body is None or json.dumps(response.body)
        if response.status == 500:
            assert response.body != {"errors": ["internal error"]}


async def test_many_logins_at_once(tmp_path: Path) -> None:
    """Concurrent logins of the same name make one entity, and a token each, however slow the disk."""
    async with running(storage=SQLiteStorage(tmp_path / "data")) as host:
        grants = await asyncio.gather(*(host.login(ttl="1h", alias="bob") for _ in range(50)))
        assert len({grant["entity_id"] for grant in grants}) == 1
        assert len({grant["client_token"] for grant in grants}) == 50


async def test_limited_uses_are_counted_under_load(tmp_path: Path) -> None:
    """Concurrent requests do not get more uses out of a token than it has, however slow the disk."""
    async with running(storage=SQLiteStorage(tmp_path / "data")) as host:
        rule = 'path "auth/a/*" { capabilities = ["create", "update"] }'
        await host.ok("PUT", "sys/policies/acl/p", {"policy": rule})
        grant = await host.login(ttl="1h", num_uses=5, policies=["p"])
        body = {"data": {"a": 1}}
        asked = [host.ask("POST", "auth/a/do", body, token=grant["client_token"]) for _ in range(20)]
        assert [response.status for response in await asyncio.gather(*asked)].count(200) == 5


async def test_groups_of_many_logins_at_once(tmp_path: Path) -> None:
    """No login's membership is lost to another's."""
    async with running(storage=SQLiteStorage(tmp_path / "data")) as host:
        group = (await host.ok("POST", "identity/group", {"name": "g", "type": "external"}))["data"]["id"]
        accessor = (await host.ok("GET", "sys/auth/a"))["accessor"]
        alias = {"name": "devs", "mount_accessor": accessor, "canonical_id": group}
        await host.ok("POST", "identity/group-alias", alias)
        await asyncio.gather(*(host.login(alias=f"user{n}", groups=["devs"]) for n in range(20)))
        members = (await host.ok("GET", f"identity/group/id/{group}"))["data"]["member_entity_ids"]
        assert len(members) == 20


async def test_no_plugin_sees_the_token() -> None:
    """Whatever the header that brought it is passed to, and however many blanks are around it."""
    async with running() as host:
        await host.ok("POST", "sys/auth/a/tune", {"passthrough_request_headers": ["Authorization"]})
        for value, seen in (("Bearer root", []), ("Bearer   root ", []), ("Bearer other", ["Bearer other"])):
            headers = {"Authorization": [value]}
            body = await host.ok("POST", "auth/a/do", {"echo": True}, headers=headers)
            assert body["data"]["headers"].get("Authorization", []) == seen


@pytest.mark.parametrize("is_in_body", [True, False])
async def test_nothing_is_unwrapped_twice(tmp_path: Path, is_in_body: bool) -> None:
    """Of several who unwrap at once one gets what is inside, whoever the token belongs to."""
    async with running(storage=SQLiteStorage(tmp_path / "data")) as host:
        wrapped = await host.ok("POST", "sys/wrapping/wrap", {"a": 1}, wrap_ttl="5m")
        text = wrapped["wrap_info"]["token"]
        body, token = ({"token": text}, "root") if is_in_body else ({}, text)
        asked = [host.ask("POST", "sys/wrapping/unwrap", body, token=token) for _ in range(10)]
        assert [response.status for response in await asyncio.gather(*asked)].count(200) == 1


async def test_a_plugin_that_never_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is given up in the end, and the mount can be disabled."""
    monkeypatch.setattr("authkit.host.server.mount_requests.REQUEST_TIMEOUT", timedelta(milliseconds=20))

    async def hang(self: Answers, request: Request) -> None:
        await asyncio.Event().wait()

    async with running(broken(handle_request=hang)) as host:
        response = await host.ask("GET", "auth/a/x")
        assert response.status == 500
        assert "context deadline exceeded" in json.dumps(response.body)
        await host.ok("DELETE", "sys/auth/a")


async def test_storage_that_cannot_be_read(tmp_path: Path) -> None:
    """A host does not start on what it does not understand, and leaves it as it is."""
    storage = SQLiteStorage(tmp_path / "data")
    await storage.apply({"core/token/x": b"[1]"})
    with pytest.raises(OSError, match="cannot read"):
        await Core(storage=storage).start()
    again = SQLiteStorage(tmp_path / "data")
    assert await again.get("core/token/x") == b"[1]"
    await again.close()


# --- the host's own backends -------------------------------------------------------------------


async def test_own_backends_on_the_framework_describe_themselves() -> None:
    """In the document of all mounts, twice alike, and on help pages."""
    async with running() as host:
        first = await host.ok("GET", "sys/internal/specs/openapi")
        item = first["paths"]["/identity/entity/id/{id}"]
        assert item["post"]["tags"] == ["identity"]
        assert (
            "policies" in item["post"]["requestBody"]["content"]["application/json"]["schema"]["properties"]
        )
        assert await host.ok("GET", "sys/internal/specs/openapi") == first
        page = await host.ok("HELP", "identity/entity/id/x")
        assert "Return the entity" in page["help"]
        assert "    disabled (bool" in page["help"]


# --- callers -----------------------------------------------------------------------------------


async def test_revoking_as_orphan_needs_sudo() -> None:
    """No path below it is served, which no list of special paths would have."""
    async with running(mounted=False) as host:
        await host.ok("POST", "sys/policies/acl/all", {"policy": 'path "*" { capabilities = ["update"] }'})
        made = [await host.ok("POST", "auth/token/create", {"policies": ["all"]}) for _ in range(2)]
        caller, victim = (each["auth"]["client_token"] for each in made)
        for path, status in (("auth/token/revoke-orphan", 403), ("auth/token/revoke-orphan/x", 404)):
            assert (await host.ask("POST", path, {"token": victim}, caller)).status == status
        assert host.core.state.tokens.find(victim) is not None


async def test_an_unwrapped_answer_can_be_wrapped_again() -> None:
    """The first token is used up then: what it stood for is in the second."""
    async with running(mounted=False) as host:
        path, ttl = "sys/wrapping/unwrap", "5m"
        first = await host.ok("POST", "sys/wrapping/wrap", {"a": 1}, wrap_ttl=ttl)
        again = await host.ok("POST", path, {"token": first["wrap_info"]["token"]}, wrap_ttl=ttl)
        answer = await host.ok("POST", path, {"token": again["wrap_info"]["token"]})
        assert answer["data"] == {"a": 1}
