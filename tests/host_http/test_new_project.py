"""A project that `authkit new` has written: its own tests, linters and types pass, and it runs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest
from dev_process import dev_process

from authkit.cli.new import write_project
from authkit.doctor.command import run as inspect

SECONDS = 300
KEY = "4711-only-dev-knows"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh project of an auth method."""
    folder = tmp_path_factory.mktemp("new") / "team-key"
    write_project("team-key", folder)
    return folder


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh project of a secrets engine."""
    folder = tmp_path_factory.mktemp("new") / "team-users"
    write_project("team-users", folder, "secrets")
    return folder


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh project of a database plugin."""
    folder = tmp_path_factory.mktemp("new") / "team-db"
    write_project("team-db", folder, "database")
    return folder


def run(project: Path, *module: str) -> None:
    """Run a module in the project, as its Makefile does."""
    done = attempt(project, *module)
    assert done.returncode == 0, done.stdout + done.stderr


def attempt(project: Path, *module: str) -> subprocess.CompletedProcess[str]:
    """Run a module in the project; it may fail."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    return subprocess.run(
        [sys.executable, "-m", *module],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


@pytest.mark.parametrize("kind", ["project", "engine", "database"])
@pytest.mark.parametrize(
    "module",
    [
        ("pytest", "-q", "-W", "error", "-p", "no:cacheprovider"),
        ("ruff", "format", "--check", "."),
        ("ruff", "check", "."),
        ("mypy",),
    ],
    ids=str,
)
def test_it_passes(request: pytest.FixtureRequest, module: tuple[str, ...], kind: str) -> None:
    """What its Makefile calls `test` and `check`, where a warning is an error."""
    run(request.getfixturevalue(kind), *module)


@pytest.mark.skipif(shutil.which("node") is None, reason="pyright needs node on PATH")
def test_its_types_pass_pyright(project: Path) -> None:
    """In the strict mode that its pyproject.toml asks for."""
    run(project, "pyright", "--warnings", "--pythonpath", sys.executable)


def test_its_types_find_a_forgotten_await(tmp_path: Path) -> None:
    """A condition that is a coroutine is always true, and would let everybody in."""
    write_project("team-key", tmp_path / "team-key")
    method = tmp_path / "team-key" / "team_key" / "method.py"
    source = method.read_text().replace("if key != role.key:", "if not self.matches(key, role):")
    signature = "    async def matches(self, key: Secret, role: KeyRole) -> bool:"
    method.write_text(f"{source}\n{signature}\n        return key == role.key\n")
    done = attempt(tmp_path / "team-key", "mypy")
    assert done.returncode == 1
    assert "[truthy-bool]" in done.stdout


def test_a_name_that_its_own_code_uses(tmp_path: Path) -> None:
    """Its class gets another."""
    for name in ("key-role", "identity"):
        write_project(name, tmp_path / name)
        run(tmp_path / name, "pytest", "-q")


def test_its_launcher_is_a_plugin_that_a_server_takes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It names the interpreter that wrote it; the project is installed there."""
    venv.create(tmp_path / "venv")
    python = tmp_path / "venv" / "bin" / "python"
    (packages,) = (tmp_path / "venv").glob("lib/python*/site-packages")
    found_here = [place for place in sys.path if Path(place).is_dir()]
    (packages / "test.pth").write_text("\n".join([*found_here, str(tmp_path / "team-key")]))
    subprocess.run([python, "-m", "authkit", "new", "team-key"], cwd=tmp_path, check=True, timeout=SECONDS)

    assert inspect([str(tmp_path / "team-key" / "launcher")]) == 0

    assert capsys.readouterr().out.endswith("A server would take it.\n")


async def test_a_database_plugin_runs(database: Path, tmp_path: Path) -> None:
    """`authkit dev .` registers it for the database engine; a change of its source restarts its process."""
    folder = tmp_path / "team-db"
    shutil.copytree(database, folder)
    async with dev_process(str(folder)) as dev:
        settings = {"host": "db.example.com", "username": "vault", "password": "root"}
        connection = {"plugin_name": "team_db", "allowed_roles": "*"}
        await dev.call("POST", "database/config/db", **settings, **connection)
        await dev.call("POST", "database/roles/dev", db_name="db")
        made = (await dev.call("GET", "database/creds/dev")).json()
        assert made["data"]["username"].startswith("v-token-dev-")
        await dev.call("PUT", "sys/leases/revoke", lease_id=made["lease_id"], sync=True)
        plugin = folder / "team_db" / "plugin.py"
        plugin.write_text(plugin.read_text().replace('name="team_db"', 'name="team_db_2"'))
        await dev.wait_for("plugin.py changed, reloaded")
        assert (await dev.call("GET", "database/creds/dev")).json()["lease_id"]


def test_the_doctor_knows_a_database_plugin(
    database: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its launcher starts under the cookie of database plugins alone."""
    launcher = tmp_path / "launcher"
    first, rest = (database / "launcher").read_text().split("\n", 1)
    paths = [*filter(None, sys.path), str(database)]
    launcher.write_text(f"{first}\nimport sys\nsys.path[:] = {paths!r}\n{rest}")
    launcher.chmod(0o755)
    assert inspect([str(launcher)]) == 0
    shown = capsys.readouterr().out
    for line in ("type: database plugin", "protocol version: 6", "Type: team_db", "refused: failed to init"):
        assert line in shown


async def test_it_runs(project: Path) -> None:
    """`authkit dev .` enables it under its package's name."""
    async with dev_process(str(project)) as dev:
        await dev.call("POST", "auth/team_key/role/dev", key=KEY, token_policies="dev")
        login = await dev.call("POST", "auth/team_key/login", role="dev", user="Ann", key=KEY)
        assert login.json()["auth"]["metadata"] == {"user": "ann"}


async def test_an_engine_runs(engine: Path) -> None:
    """At a path of its own, and what it issues has a lease."""
    async with dev_process(str(engine)) as dev:
        await dev.call("POST", "team_users/roles/dev", ttl="1h")
        issued = (await dev.call("GET", "team_users/creds/dev")).json()
        assert issued["lease_id"].startswith("team_users/creds/dev/")
        await dev.call("PUT", "sys/leases/revoke", lease_id=issued["lease_id"])
