"""Metrics of plugin processes under a host: what an operator reads, and what happens around a reload."""

from __future__ import annotations

import asyncio
import socket
import stat
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from database_servers import free_port
from factories import mount_config
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from authkit.database import NewUser, UserDeletion
from authkit.errors import PermissionDeniedError, RPCError
from authkit.host.supervisor.databases.process import DatabaseProcess
from authkit.host.supervisor.environment import DATABASE_COOKIE
from authkit.host.supervisor.executable import file_sum
from authkit.host.supervisor.logs import PluginLog
from authkit.host.supervisor.plugin_process import PluginFile, PluginProcess
from authkit.logical import Connection, Operation, Request
from authkit.masking import Secret

OPEN_METRICS = "application/openmetrics-text; version=1.0.0"
START = timedelta(seconds=20)

TEAM = f"""#!{sys.executable} -I
from authkit import AuthMethod, Collection, Identity, LoginCall, PermissionDeniedError, Role, Secret
from authkit import field, login, serve

class Team(Role):
    pin: Secret = field(required=True, help="The PIN.")

class Teams(AuthMethod, name="teams", version="1.2.0"):
    teams = Collection(Team, "role/{{name}}")

    @login("login")
    async def log_in(self, call: LoginCall, team: Team, pin: Secret) -> Identity:
        if pin != team.pin:
            raise PermissionDeniedError
        return Identity(name=call.role_name)

serve(Teams)
"""

Lines = list[PluginLog]
Make = Callable[..., PluginProcess]


@pytest.fixture
async def make(short_directory: Path) -> AsyncIterator[Make]:
    """Makes hosted plugins whose environment asks for metrics; their log goes into `lines`."""
    plugins: list[PluginProcess] = []
    path = short_directory / "teams"
    path.write_text(TEAM)
    path.chmod(0o755)

    def plugin(where: str, lines: Lines | None = None) -> PluginProcess:
        options: dict[str, Any] = {} if lines is None else {"on_log": lines.append}
        plugins.append(
            PluginProcess(
                PluginFile(
                    path,
                    sha256=file_sum(path),
                    environment={"AUTHKIT_METRICS": where},
                    start_timeout=START,
                    **options,
                )
            )
        )
        return plugins[-1]

    yield plugin
    for made in plugins:
        await made.close()


def request(path: str, operation: Operation = Operation.UPDATE, **data: Any) -> Request:
    """A request at the mount `auth/teams/`."""
    return Request(
        operation=operation,
        path=path,
        data=data,
        has_data=True,
        id="r-1",
        mount_point="auth/teams/",
        unauthenticated=path == "login",
        connection=Connection(remote_addr="127.0.0.1"),
    )


async def scrape(where: str, accept: str = OPEN_METRICS) -> httpx.Response:
    """Read the metrics at an endpoint, once somebody is there."""
    path = where.removeprefix("unix:") if where.startswith("unix:") else None
    url = "http://localhost/metrics" if path else f"http://{where}/metrics"
    transport = httpx.AsyncHTTPTransport(uds=path)
    async with asyncio.timeout(20), httpx.AsyncClient(transport=transport, trust_env=False) as client:
        while True:
            try:
                return await client.get(url, headers={"Accept": accept})
            except (httpx.ConnectError, httpx.ReadError, httpx.RemoteProtocolError):
                await asyncio.sleep(0.02)


def samples(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """The samples of an OpenMetrics text, by name and labels."""
    found = [each for family in text_string_to_metric_families(text) for each in family.samples]
    return {(each.name, tuple(sorted(each.labels.items()))): each.value for each in found}


async def value(where: str, name: str, **labels: str) -> float | None:
    """The figure of this name and these labels, if there is one."""
    key = (name, tuple(sorted(labels.items())))
    return samples((await scrape(where)).text).get(key)


async def until_value(where: str, wanted: float, name: str, **labels: str) -> None:
    """Wait for a figure: a text that is a few milliseconds old may be sent once more."""
    async with asyncio.timeout(20):
        while await value(where, name, **labels) != wanted:
            await asyncio.sleep(0.02)


async def set_up(plugin: PluginProcess) -> Any:
    """A mount with one team."""
    mount = await plugin.set_up(mount_config(plugin_name="teams"))
    await mount.initialize()
    await mount.handle_request(request("role/red", Operation.CREATE, pin="1234"))
    return mount


@pytest.mark.parametrize("kind", ["unix", "tcp"])
async def test_an_operator_sees_logins(make: Make, short_directory: Path, kind: str) -> None:
    """Granted, denied and invalid ones apart, with the time they took, and what a mount stores."""
    where = f"unix:{short_directory}/m.sock" if kind == "unix" else f"127.0.0.1:{free_port()}"
    mount = await set_up(make(where))
    for _ in range(3):
        await mount.handle_request(request("login", role="red", pin="1234"))
    with pytest.raises(PermissionDeniedError):
        await mount.handle_request(request("login", role="red", pin="4321"))
    await mount.handle_request(request("login", role="stranger-chosen", pin="4321"))
    at = {"mount": "auth/teams/", "operation": "login"}
    await until_value(where, 3.0, "authkit_requests_total", **at, outcome="granted")
    found = samples((await scrape(where)).text)

    def figure(name: str, **labels: str) -> float:
        return found[name, tuple(sorted(labels.items()))]

    assert figure("authkit_requests_total", **at, outcome="denied") == 1
    assert figure("authkit_requests_total", **at, outcome="invalid") == 1
    assert figure("authkit_requests_total", **at | {"operation": "create"}, outcome="ok") == 1
    assert figure("authkit_request_duration_seconds_count", operation="login") == 5
    assert figure("authkit_storage_call_duration_seconds_count", call="put", outcome="ok") >= 1
    assert figure("authkit_mounts") == 1
    assert figure("authkit_cached_objects") == 1
    info = next(dict(labels) for name, labels in found if name == "authkit_build_info")
    assert (info["plugin"], info["version"]) == ("teams", "v1.2.0")
    assert "stranger-chosen" not in str(found)
    assert "red" not in {value for _, labels in found for _, value in labels}


async def test_the_socket_is_for_its_owner_and_goes_with_the_process(
    make: Make, short_directory: Path
) -> None:
    """Mode 0600 from the first moment that it answers; an orderly end removes it."""
    path = short_directory / "m.sock"
    plugin = make(f"unix:{path}")
    mount = await set_up(plugin)
    await scrape(f"unix:{path}")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    await mount.cleanup()
    await plugin.close()
    assert not path.exists()


@pytest.mark.parametrize("kind", ["unix", "tcp"])
async def test_at_a_reload_the_new_process_gets_the_place(
    make: Make, short_directory: Path, kind: str
) -> None:
    """It serves logins meanwhile, and offers its own metrics once the one before has ended."""
    where = f"unix:{short_directory}/m.sock" if kind == "unix" else f"127.0.0.1:{free_port()}"
    before = make(where)
    await set_up(before)
    old = await value(where, "authkit_process_start_time_seconds")
    mount = await set_up(make(where))
    await mount.handle_request(request("login", role="red", pin="1234"))
    assert await value(where, "authkit_process_start_time_seconds") == old
    await before.close()
    at = {"mount": "auth/teams/", "operation": "login", "outcome": "granted"}
    await until_value(where, 1.0, "authkit_requests_total", **at)


async def test_the_socket_of_a_killed_process_is_replaced(make: Make, short_directory: Path) -> None:
    """What `kill -9` leaves behind keeps nobody out."""
    path = short_directory / "m.sock"
    with closing(socket.socket(socket.AF_UNIX)) as abandoned:
        abandoned.bind(str(path))
    assert path.is_socket()
    await set_up(make(f"unix:{path}"))
    assert (await scrape(f"unix:{path}")).status_code == 200


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("0.0.0.0:9102", "is not a loopback address"),
        ("metrics.sock", "is not a place for metrics"),
        ("unix:/no-such-directory/m.sock", "No such file or directory"),
    ],
)
async def test_a_wrong_place_ends_no_login(make: Make, where: str, said: str) -> None:
    """It is one error in the log, at every start, that says what to write."""
    lines: Lines = []
    mount = await set_up(make(where, lines))
    response = await mount.handle_request(request("login", role="red", pin="1234"))
    assert response is not None
    assert response.auth is not None
    async with asyncio.timeout(10):
        while not (told := [each for each in lines if "no metrics" in each.message]):
            await asyncio.sleep(0.01)
    assert said in told[0].message
    assert len(told) == 1


async def test_a_place_of_another_plugin_is_left_alone(make: Make, short_directory: Path) -> None:
    """A file, and a socket that somebody listens on, stay what they are, and logins go on."""
    path = short_directory / "m.sock"
    path.write_text("of somebody else")
    lines: Lines = []
    await set_up(make(f"unix:{path}", lines))
    async with asyncio.timeout(10):
        while not any("stays" in each.message for each in lines):
            await asyncio.sleep(0.01)
    assert path.read_text() == "of somebody else"


async def test_scrapers_that_hang_hold_nobody_up(make: Make, short_directory: Path) -> None:
    """Connections that say nothing neither keep another scraper out nor the process from ending."""
    where = f"unix:{short_directory}/m.sock"
    plugin = make(where)
    mount = await set_up(plugin)
    await scrape(where)
    silent = [await asyncio.open_unix_connection(where.removeprefix("unix:")) for _ in range(40)]
    try:
        assert (await scrape(where)).status_code == 200
        await mount.handle_request(request("login", role="red", pin="1234"))
        async with asyncio.timeout(5):
            await plugin.close()
    finally:
        for _, writer in silent:
            writer.close()


async def test_without_the_variable_nothing_is_measured(make: Make) -> None:
    """An empty value is none."""
    mount = await set_up(make(""))
    response = await mount.handle_request(request("login", role="red", pin="1234"))
    assert response is not None
    assert response.auth is not None


SHELF = f"""#!{sys.executable} -I
from authkit.database import Database, DatabaseSettings, serve

class Shelf(Database[DatabaseSettings, object], name="shelf", version="1.2.0"):
    async def connect(self): return object()
    async def ping(self, connection): pass
    async def disconnect(self, connection): pass
    async def create_user(self, connection, user): pass
    async def change_password(self, connection, change): pass
    async def delete_user(self, connection, user): raise OSError("the shelf is down")

serve(Shelf)
"""


async def test_calls_of_a_database_plugin_are_seen(short_directory: Path) -> None:
    """What its users went through, whatever it came to."""
    path, where = short_directory / "shelf", f"unix:{short_directory}/m.sock"
    path.write_text(SHELF)
    path.chmod(0o755)
    file = PluginFile(
        path,
        sha256=file_sum(path),
        environment={"AUTHKIT_METRICS": where},
        start_timeout=START,
        cookie=DATABASE_COOKIE,
    )
    plugin = DatabaseProcess(file)
    try:
        connection, _ = await plugin.connect({}, verify=True)
        user = NewUser(username="", display_name="d", role_name="r", password=Secret("p" * 20))
        name = await connection.create_user(user)
        with pytest.raises(RPCError):
            await connection.delete_user(UserDeletion(username=name))
        counted = "authkit_database_call_duration_seconds_count"
        await until_value(where, 1.0, counted, call="delete_user", outcome="failed")
        assert await value(where, counted, call="initialize", outcome="ok") == 1
        assert await value(where, counted, call="new_user", outcome="ok") == 1
    finally:
        await plugin.close()
    assert not (short_directory / "m.sock").exists()
