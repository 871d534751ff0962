"""Servers and plugins for the live tests. Run them by name: `pytest tests/live`, after scripts/live/build."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from canaries import find_leaks
from database_servers import PostgreSQL, run_postgresql, why_no_postgresql
from livebed.binaries import ServerProgram, find_built, find_servers
from livebed.browser import CHROMIUM, open_browser
from livebed.cluster import Cluster
from livebed.devserver import JWT_PROJECT, SHARED_PIN, DevServer
from livebed.factories import MakePlugin, MakeServer, our_plugin
from livebed.misbehaviour import NaughtyMount
from livebed.mounts import Mount, mount_plugin
from livebed.oidc_provider import OIDCProvider, why_no_provider
from livebed.packages import build_wheels, make_project
from livebed.plugins import Plugin, go_peer
from livebed.postgres import PostgresMount, postgres_mount
from livebed.server import Server
from livebed.tokens import Issuer, usual_issuer
from livebed.torture.bed import Bed
from playwright.sync_api import Browser

from authkit.packaging.project import Project


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run everything that needs a server once for each server at hand; skip it visibly when there is none."""
    if "program" not in metafunc.fixturenames:
        return
    programs = find_servers()
    if programs:
        metafunc.parametrize("program", programs, ids=lambda p: f"{p.flavour}-{p.origin}", scope="session")
    else:
        reason = "no server: run scripts/live/build (needs Go), or set AUTHKIT_VAULT or AUTHKIT_BAO"
        metafunc.parametrize("program", [pytest.param(None, marks=pytest.mark.skip(reason=reason))])


@pytest.fixture(scope="session")
def server(program: ServerProgram) -> Iterator[Server]:
    """A dev-mode server that many tests share. It outlives them all, or the run fails."""
    with Server(program) as running:
        yield running
        assert running.is_running, "a test has taken the server down"
        assert not find_leaks(running.log(), running.client.secrets), "the server's log holds secrets"


@pytest.fixture(scope="session")
def dev(program: ServerProgram) -> Iterator[DevServer]:
    """authkit's development server with two plugins, which many tests share."""
    with DevServer(program, SHARED_PIN, f"jwt={JWT_PROJECT}") as running:
        yield running
        assert not find_leaks(running.log(), running.client.secrets), "the server's log holds secrets"


@pytest.fixture(scope="session", params=["dev", "real"])
def any_server(request: pytest.FixtureRequest, dev: DevServer, server: Server) -> DevServer | Server:
    """The development server, and the real one: what they answer is the same."""
    return dev if request.param == "dev" else server


@pytest.fixture
def make_server(program: ServerProgram) -> Iterator[MakeServer]:
    """Return a factory of servers of the test's own."""
    servers: list[Server] = []

    def make(**options: Any) -> Server:
        servers.append(stack.enter_context(Server(program, **options)))
        return servers[-1]

    with ExitStack() as stack:
        yield make
        for each in servers:
            assert not find_leaks(each.log(), each.client.secrets), "the server's log holds secrets"


@pytest.fixture(scope="module", params=["authkit", "peer"])
def make_plugin(request: pytest.FixtureRequest) -> MakePlugin:
    """Return a factory that puts the JWT plugin, ours or the Go one, into a server's plugin directory."""
    if request.param == "authkit":
        return our_plugin
    binary = find_built("jwt-peer")
    if binary is None:
        pytest.skip("the Go plugin is not built: run scripts/live/build jwt-peer")
    return lambda server: go_peer(server.plugin_directory, binary)


@pytest.fixture
def plugin(server: Server, make_plugin: MakePlugin) -> Plugin:
    """The JWT plugin, registered on the shared server."""
    made = make_plugin(server)
    made.register(server.client)
    return made


@pytest.fixture(scope="module")
def issuer() -> Issuer:
    """The issuer whose public key the mounts trust."""
    return usual_issuer()


@pytest.fixture
def mount(server: Server, plugin: Plugin, issuer: Issuer) -> Iterator[Mount]:
    """A mount of the plugin on the shared server, configured, with the role `dev`."""
    with mount_plugin(server, plugin, issuer) as mounted:
        yield mounted


@pytest.fixture(scope="module")
def standing(server: Server, make_plugin: MakePlugin, issuer: Issuer) -> Iterator[Mount]:
    """A mount that the tests of one module share: each brings the roles and users that it needs."""
    made = make_plugin(server)
    made.register(server.client)
    with mount_plugin(server, made, issuer) as mounted:
        yield mounted


@pytest.fixture(scope="module")
def naughty(server: Server) -> Iterator[NaughtyMount]:
    """The naughty plugin, mounted on the shared server."""
    mount = NaughtyMount(server)
    yield mount
    server.client.delete(f"sys/auth/{mount.path}")


@pytest.fixture(scope="module")
def cluster(program: ServerProgram) -> Iterator[Cluster]:
    """Three servers that the tests of one module share, one of them active."""
    with Cluster(program) as running:
        yield running


@pytest.fixture(scope="module")
def oidc_provider() -> Iterator[OIDCProvider]:
    """A certified OpenID provider that the tests of one module share."""
    reason = why_no_provider()
    if reason:
        pytest.skip(reason)
    with OIDCProvider() as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless browser with nothing in it; its contexts are the tests' own."""
    if CHROMIUM is None:
        pytest.skip("no chromium: run scripts/live/browser")
    with open_browser() as started:
        yield started


@pytest.fixture
def bed(program: ServerProgram) -> Iterator[Bed]:
    """What a part of `make torture` starts its servers on; all of it ends with the test."""
    with Bed(program) as made:
        yield made


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a wheel of authkit. From now on pip builds with the hatchling of this environment."""
    with pytest.MonkeyPatch.context() as patch:
        # Otherwise each build installs one of its own first. The value is that of `--build-isolation`.
        patch.setenv("PIP_NO_BUILD_ISOLATION", "0")
        yield build_wheels(tmp_path_factory.mktemp("wheels"))


@pytest.fixture(scope="session")
def packed_project(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The JWT example, locked to the versions of the development environment and the wheel."""
    return make_project(tmp_path_factory.mktemp("project") / "jwt_auth", wheels)


@pytest.fixture(scope="module")
def database() -> Iterator[PostgreSQL]:
    """A PostgreSQL server that the tests of one module share."""
    reason = why_no_postgresql()
    if reason:
        pytest.skip(reason)
    with run_postgresql() as running:
        yield running


@pytest.fixture
def postgres(server: Server, database: PostgreSQL) -> Iterator[PostgresMount]:
    """The engine of examples/postgres_users, mounted and configured, with the role `app`."""
    with postgres_mount(server, database) as mount:
        yield mount
