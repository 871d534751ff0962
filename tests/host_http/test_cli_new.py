"""`authkit new`: which names it takes, and what it leaves alone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from authkit.cli.console import CommandError
from authkit.cli.main import cli
from authkit.cli.new import check_name, write_project


@pytest.mark.parametrize("name", ["acme", "my-auth", "my_auth2", "a" * 40])
def test_good_names(name: str) -> None:
    """Letters, digits and single hyphens or underscores."""
    check_name(name)


@pytest.mark.parametrize(
    "name",
    ["", "Acme", "2fa", "my--auth", "-a", "a-", "a b", "a/b", "../a", "a.b", "ä", "a" * 41, "a\n", "-x"],
)
def test_bad_names(name: str) -> None:
    """Everything else, with the rule."""
    with pytest.raises(CommandError, match="small letters and digits"):
        check_name(name)


@pytest.mark.parametrize("name", ["class", "json", "authkit", "tests", "pytest", "jwt"])
def test_names_that_are_taken(name: str) -> None:
    """Keywords, modules of Python, ourselves, and what is installed."""
    with pytest.raises(CommandError, match="choose another"):
        check_name(name)


def test_a_project_of_a_database_plugin_is_written(tmp_path: Path) -> None:
    """It is served by its own module and says its kind."""
    done = CliRunner().invoke(cli, ["new", "my-db", "--kind", "database", "--into", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert "authkit dev ." in done.output
    folder = tmp_path / "my-db"
    assert "from authkit.database import serve" in (folder / "launcher").read_text()
    assert 'kind = "database"' in (folder / "pyproject.toml").read_text()
    assert "plugin_name=my_db" in (folder / "README.md").read_text()


def test_a_project_is_written(tmp_path: Path) -> None:
    """All names are filled in, and the launcher is executable."""
    done = CliRunner().invoke(cli, ["new", "my-auth", "--into", str(tmp_path)])
    assert done.exit_code == 0, done.output
    folder = tmp_path / "my-auth"
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert files == {
        ".gitignore",
        "Makefile",
        "README.md",
        "launcher",
        "my_auth/__init__.py",
        "my_auth/__main__.py",
        "my_auth/method.py",
        "my_auth/py.typed",
        "pyproject.toml",
        "tests/test_my_auth.py",
    }
    for file in files:
        text = (folder / file).read_text()
        assert "{{" not in text
        assert "{%" not in text
    assert os.access(folder / "launcher", os.X_OK)
    assert 'plugin = "my_auth:MyAuth"' in (folder / "pyproject.toml").read_text()
    assert "authkit dev ." in done.output


def test_a_project_of_an_engine_is_written(tmp_path: Path) -> None:
    """Its own module is another, and its README says how it is enabled."""
    done = CliRunner().invoke(cli, ["new", "my-users", "--kind", "secrets", "--into", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert "a secrets engine, its tests" in done.output
    folder = tmp_path / "my-users"
    assert (folder / "my_users" / "engine.py").exists()
    assert not (folder / "my_users" / "method.py").exists()
    assert 'plugin = "my_users:MyUsersEngine"' in (folder / "pyproject.toml").read_text()
    assert "vault secrets enable my_users" in (folder / "README.md").read_text()


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    """A folder that is there stays as it is, even an empty one."""
    (tmp_path / "acme").mkdir()
    done = CliRunner().invoke(cli, ["new", "acme", "--into", str(tmp_path)])
    assert done.exit_code == 1
    assert list((tmp_path / "acme").iterdir()) == []


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    """The folder can't be made where a file is."""
    (tmp_path / "file").touch()
    with pytest.raises(CommandError, match="can't be made"):
        write_project("acme", tmp_path / "file" / "acme")


def test_without_its_packages_the_command_says_what_to_install() -> None:
    """authkit alone is enough for plugins; the command needs more."""
    code = (
        "import sys; sys.modules['click'] = None; sys.argv = ['authkit', 'new', 'x']; "
        "from authkit.__main__ import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 1
    assert done.stderr == (
        "authkit: the command needs click: it comes with the extra `dev`, see README, Install\n"
    )
