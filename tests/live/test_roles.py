"""Roles on a real server: counted as the login has them, gone when they are deleted, nothing else is one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import pytest
from livebed.client import Client, ServerError
from livebed.misbehaviour import PLUGINS
from livebed.plugins import Plugin, python_plugin
from livebed.server import Server

numbers = count(1)
Enable = Callable[[str], str]


def method_plugin(server: Server, expression: str) -> Plugin:
    """Write and register a launcher for what an expression of plugins/roles.py gives."""
    name = f"roles-{next(numbers)}"
    body = f"""
import sys
sys.path.insert(0, {str(PLUGINS)!r})
import roles
from authkit import serve
serve(roles.{expression})
"""
    plugin = python_plugin(server.plugin_directory, name, body)
    plugin.register(server.client)
    return plugin


@pytest.fixture
def enable(server: Server) -> Iterator[Enable]:
    """Return a function that mounts a method with the roles `dear` and `cheap` of each kind."""
    paths = []

    def mount(expression: str) -> str:
        path = method_plugin(server, expression).name
        server.client.write(f"sys/auth/{path}", type=path)
        paths.append(path)
        for kind in ("role", "team") if expression == "TwoKinds" else ("role",):
            for name in ("dear", "cheap"):
                server.client.write(f"auth/{path}/{kind}/{name}", token_ttl="1h")
        return path

    yield mount
    for path in paths:
        server.client.delete(f"sys/auth/{path}")


@contextmanager
def quota(client: Client, path: str, role: str, rate: int) -> Iterator[None]:
    """Limit the requests of one role in a minute."""
    limit = {"path": f"auth/{path}/", "role": role, "rate": rate, "interval": "1m"}
    client.call("POST", f"sys/quotas/rate-limit/{path}", limit)
    try:
        yield
    finally:
        client.delete(f"sys/quotas/rate-limit/{path}")


def test_a_quota_is_counted_for_the_role_of_the_login(server: Server, enable: Enable) -> None:
    """A body that names the role of another login does not get past the quota of its own."""
    path, stranger = enable("TwoKinds"), server.client.with_token("")

    def log_in(at: str, **body: Any) -> int:
        return stranger.raw("POST", f"auth/{path}/{at}", {"user": "ann", **body}).status_code

    with quota(server.client, path, "dear", 2):
        # The server counts `cheap` for it, before and after the quota of `dear` is used up.
        assert log_in("as/team", team="dear", role="cheap") == 400
        honest = [log_in("as/team", team="dear", data={"x": 1}) for _ in range(3)]
        assert honest == [200, 200, 429]
        assert log_in("as/team", team="dear", role="cheap") == 400
        assert log_in("login", role="dear") == log_in("login", role="dear", team="cheap") == 429
        assert log_in("login", role="cheap") == 200
        assert log_in("login", role="nobody") == 400


def test_a_method_with_roles_in_its_paths_takes_no_quota(server: Server, enable: Enable) -> None:
    """A server does not see such a role: it refuses the quota, instead of one that does not hold."""
    path = enable("InThePath")
    refusal = pytest.raises(ServerError, match="does not support use with role-based quotas")
    with refusal, quota(server.client, path, "dear", 1):
        pass
    with pytest.raises(ServerError, match="is not the role in the path"):
        server.client.call("POST", f"auth/{path}/login/dear", {"user": "ann", "role": "cheap"})
    auth = server.client.call("POST", f"auth/{path}/login/dear", {"user": "ann", "role": "Dear"})["auth"]
    assert auth["lease_duration"] == 3600


@pytest.mark.parametrize(
    ("at", "body", "own", "another"),
    [("login", {"role": "dear"}, "role", "team"), ("as/team", {"team": "dear"}, "team", "role")],
)
def test_the_token_of_a_deleted_role_ends(
    server: Server, enable: Enable, at: str, body: dict[str, str], own: str, another: str
) -> None:
    """Though there is a role of that name of another kind, and the renewal looks at neither."""
    path, client = enable("TwoKinds"), server.client
    auth = client.call("POST", f"auth/{path}/{at}", {"user": "ann", **body})["auth"]
    client.secrets.append(auth["client_token"])
    holder = client.with_token(auth["client_token"])
    assert holder.call("POST", "auth/token/renew-self", {})["auth"]["lease_duration"] == 3600
    client.delete(f"auth/{path}/{another}/dear")
    holder.call("POST", "auth/token/renew-self", {})
    client.write(f"auth/{path}/{another}/dear", token_ttl="1h")
    client.delete(f"auth/{path}/{own}/dear")
    with pytest.raises(ServerError, match="role dear does not exist during renewal"):
        holder.call("POST", "auth/token/renew-self", {})


def test_a_configuration_is_no_role(server: Server) -> None:
    """A method whose configuration would be a role as well does not start, so nobody logs in with it."""
    plugin = method_plugin(server, "shared_keys()")
    with pytest.raises(ServerError):
        server.client.write(f"sys/auth/{plugin.name}", type=plugin.name)
    assert f"{plugin.name}/" not in server.client.read("sys/auth")
    answer = server.client.with_token("").raw(
        "POST", f"auth/{plugin.name}/login", {"role": "config", "user": "mallory"}
    )
    assert answer.status_code in (403, 404)


def test_a_login_grants_nothing_to_the_next(server: Server, enable: Enable) -> None:
    """A handler that would add a user to the rules of a team fails, and the user stays out."""
    path, client = enable("TwoKinds"), server.client
    client.call("POST", f"auth/{path}/team/dear", {"rules": {"users": ["ann"]}})
    for data in ({"grow": True}, {}):
        answer = client.raw("POST", f"auth/{path}/as/team", {"team": "dear", "user": "mallory", "data": data})
        assert answer.status_code == 500
    assert client.raw("POST", f"auth/{path}/as/team", {"team": "dear", "user": "ann"}).status_code == 200
