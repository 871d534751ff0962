"""`authkit install`, `upgrade` and `rollback` on a real server, with its real plugin directory."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from livebed.commands import run_authkit
from livebed.mounts import DEV_ROLE
from livebed.plugins import JWT_LAUNCHER, NEXT_LAUNCHER, python_plugin
from livebed.server import Server
from livebed.tokens import ISSUER, Issuer

BROKEN_LAUNCHER = """
from authkit import serve
serve("jwt_auth:Nothing")
"""
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(server: Server) -> Run:
    """The command line, for this server; the outcome is the test's to look at."""
    return partial(run_authkit, server)


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """Files of three versions, as `authkit build` names them; the last does not load."""
    launchers = {"0.1.0": JWT_LAUNCHER, "0.2.0": NEXT_LAUNCHER, "0.3.0": BROKEN_LAUNCHER}
    return {
        version: python_plugin(tmp_path, f"deployed-{version}", launcher).file
        for version, launcher in launchers.items()
    }


@pytest.fixture
def mount(server: Server) -> Iterator[str]:
    """A path for a mount, free before and after."""
    yield "deployed"
    server.client.call("DELETE", "sys/auth/deployed")
    for version in ("v0.1.0", "v0.2.0", "v0.3.0"):
        server.client.call("DELETE", "sys/plugins/catalog/auth/deployed", params={"version": version})
    for file in server.plugin_directory.glob("deployed-*"):
        file.unlink()


def running(server: Server) -> str:
    """Return the version that the mount runs, empty without a mount."""
    found = server.client.read("sys/auth").get("deployed/")
    return found["running_plugin_version"] if found else ""


def versions(server: Server) -> list[str]:
    """Return the versions in the catalog."""
    listed = server.client.read("sys/plugins/catalog")["detailed"]
    return [each["version"] for each in listed if each["name"] == "deployed"]


def put(run: Run, server: Server, file: Path, *more: object) -> str:
    """Install a file; return what was printed."""
    done = run("install", file, "--plugin-dir", server.plugin_directory, *more)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_plugin_is_installed_once(server: Server, run: Run, files: dict[str, Path], mount: str) -> None:
    """Copied, registered, enabled, verified; a second run has nothing to do."""
    first = put(run, server, files["0.1.0"])
    assert [line.split()[0] for line in first.splitlines()] == [
        "copy",
        "register",
        "enable",
        "auth/deployed/",
        "in",
    ]
    assert running(server) == "v0.1.0"
    copied = server.plugin_directory / "deployed-0.1.0"
    assert copied.stat().st_mode & 0o777 == 0o755
    again = put(run, server, files["0.1.0"])
    assert [line.split()[1] for line in again.splitlines()] == ["is", "runs", "a"]


def test_a_dry_run_changes_nothing(server: Server, run: Run, files: dict[str, Path]) -> None:
    """It tells each step."""
    told = put(run, server, files["0.1.0"], "--dry-run")
    assert re.findall(r"^would (\w+)", told, re.MULTILINE) == ["copy", "register", "enable"]
    assert running(server) == ""
    assert not list(server.plugin_directory.glob("deployed-*"))


def test_a_mount_is_upgraded_and_rolled_back(
    server: Server, run: Run, files: dict[str, Path], mount: str, tmp_path: Path
) -> None:
    """With a login as a probe; its fields may be in files."""
    issuer = Issuer.rsa()
    put(run, server, files["0.1.0"])
    server.client.write(f"auth/{mount}/config", jwt_validation_pubkeys=issuer.public_pem, bound_issuer=ISSUER)
    server.client.write(f"auth/{mount}/role/dev", **DEV_ROLE)
    (tmp_path / "token").write_text(issuer.token() + "\n")
    probe = ("--probe", "role=dev", "--probe", f"jwt=@{tmp_path / 'token'}")
    done = run("upgrade", files["0.2.0"], "--plugin-dir", server.plugin_directory, *probe)
    assert done.returncode == 0, done.stderr
    assert "the probe has logged in" in done.stdout
    assert running(server) == "v0.2.0"
    back = run("rollback", "--mount", f"auth/{mount}/", *probe)
    assert back.returncode == 0, back.stderr
    assert running(server) == "v0.1.0"
    none = run("rollback", "--mount", mount)
    assert (none.returncode, none.stderr) == (
        1,
        "authkit: the catalog has no version of deployed before v0.1.0\n",
    )


def test_a_version_that_does_not_run_is_undone(
    server: Server, run: Run, files: dict[str, Path], mount: str
) -> None:
    """The mount runs what it ran before, and the error says so."""
    put(run, server, files["0.1.0"])
    done = run("upgrade", files["0.3.0"], "--plugin-dir", server.plugin_directory)
    assert done.returncode == 1
    assert "authkit doctor" in done.stderr
    assert "This usually means" not in done.stderr
    assert "auth/deployed/ runs v0.1.0 again" in done.stderr
    assert f"rm {server.plugin_directory}/deployed-0.3.0 removes it\n" in done.stderr
    assert running(server) == "v0.1.0"
    assert versions(server) == ["v0.1.0"]


def test_a_rollback_that_fails_is_undone(
    server: Server, run: Run, files: dict[str, Path], mount: str
) -> None:
    """The older file is gone, or nobody can log in with it: what ran before runs again."""
    put(run, server, files["0.1.0"])
    put(run, server, files["0.2.0"])
    refused = run("rollback", "--mount", mount, "--probe", "jwt=canary-4711")
    assert (refused.returncode, running(server)) == (1, "v0.2.0")
    (server.plugin_directory / "deployed-0.1.0").unlink()
    done = run("rollback", "--mount", mount)
    assert done.returncode == 1
    assert "auth/deployed/ runs v0.2.0 again" in done.stderr
    assert running(server) == "v0.2.0"


def test_a_rebuilt_version_takes_nobody_s_place(
    server: Server, run: Run, files: dict[str, Path], mount: str, tmp_path: Path
) -> None:
    """Not that of a mount, also when it is for another one: the file that it runs stays."""
    put(run, server, files["0.1.0"])
    rebuilt = tmp_path / "rebuilt" / files["0.1.0"].name
    rebuilt.parent.mkdir()
    rebuilt.write_bytes(files["0.3.0"].read_bytes())
    done = run("install", rebuilt, "--plugin-dir", server.plugin_directory, "--mount", "another")
    assert (done.returncode, "auth/deployed/ runs deployed v0.1.0" in done.stderr) == (1, True), done.stderr
    assert (server.plugin_directory / rebuilt.name).read_bytes() == files["0.1.0"].read_bytes()
    put(run, server, files["0.1.0"])


def test_a_version_whose_probe_is_refused_is_undone(
    server: Server, run: Run, files: dict[str, Path], mount: str
) -> None:
    """No secret of the probe is in what is printed."""
    put(run, server, files["0.1.0"])
    done = run(
        "upgrade", files["0.2.0"], "--plugin-dir", server.plugin_directory, "--probe", "jwt=canary-4711"
    )
    assert done.returncode == 1
    assert "auth/deployed/ runs v0.1.0 again" in done.stderr
    assert "canary-4711" not in done.stdout + done.stderr
    assert running(server) == "v0.1.0"


def test_what_a_first_install_cannot_run_is_not_enabled(
    server: Server, run: Run, files: dict[str, Path], mount: str
) -> None:
    """Nothing is left of it but the file, which the error names."""
    done = run("install", files["0.3.0"], "--plugin-dir", server.plugin_directory)
    assert done.returncode == 1
    assert "; the file stays for authkit doctor: rm " in done.stderr
    assert (running(server), versions(server)) == ("", [])


def test_a_version_that_another_mount_runs_stays(
    server: Server, run: Run, files: dict[str, Path], mount: str
) -> None:
    """Also in the catalog, when a login at a new mount of it fails."""
    put(run, server, files["0.1.0"])
    more = ("--plugin-dir", server.plugin_directory, "--mount", "another", "--probe", "jwt=x")
    done = run("install", files["0.1.0"], *more)
    assert (done.returncode, "rm " in done.stderr) == (1, False), done.stderr
    assert (running(server), versions(server)) == ("v0.1.0", ["v0.1.0"])


def test_what_an_operator_gets_wrong_is_told(
    server: Server, run: Run, files: dict[str, Path], tmp_path: Path
) -> None:
    """Each with what to do."""
    link = tmp_path / "link"
    link.symlink_to(server.plugin_directory)
    odd = tmp_path / "odd"
    odd.write_text("#!/bin/sh\n")
    cases = [
        ((files["0.1.0"], "--plugin-dir", link), f"set plugin_directory to {server.plugin_directory}"),
        ((odd, "--plugin-dir", server.plugin_directory), "give --name and --plugin-version"),
        (
            (odd, "--plugin-dir", server.plugin_directory, "--name", "x", "--plugin-version", "one"),
            "'one' is not a semantic version",
        ),
    ]
    for arguments, said in cases:
        done = run("install", *arguments)
        assert (done.returncode, said in done.stderr) == (1, True), done.stderr
    done = run("upgrade", files["0.1.0"], "--plugin-dir", server.plugin_directory)
    assert "there is no mount at auth/deployed/: authkit install enables one" in done.stderr
    assert not (server.plugin_directory / "deployed-0.1.0").exists()


def test_only_the_file_is_copied(run: Run, files: dict[str, Path], tmp_path: Path) -> None:
    """For the other nodes of a cluster; no server is asked."""
    directory = tmp_path / "plugins"
    directory.mkdir()
    done = run("install", files["0.1.0"], "--plugin-dir", directory, "--copy-only")
    assert (done.returncode, done.stderr) == (0, "")
    assert [path.name for path in directory.iterdir()] == ["deployed-0.1.0"]


ENGINE = """
import sys
sys.path.insert(0, {folder!r})
from authkit import serve
from accounts import Accounts

class Deployed(Accounts, name="accounts", version="{version}"):
    \"\"\"A release.\"\"\"

serve(Deployed)
"""


def test_a_secrets_engine_is_installed_upgraded_and_rolled_back(
    server: Server, run: Run, tmp_path: Path
) -> None:
    """At a path beside the server's own engines."""
    folder = str(Path(__file__).parent / "plugins")
    files = {
        version: python_plugin(
            tmp_path, f"accounts-{version}", ENGINE.format(folder=folder, version=version)
        ).file
        for version in ("0.1.0", "0.2.0")
    }

    def runs() -> str:
        found = server.client.read("sys/mounts").get("accounts/")
        return found["running_plugin_version"] if found else ""

    kind = ("--kind", "secret", "--mount", "accounts")
    try:
        assert "enable accounts v0.1.0 at accounts/" in put(run, server, files["0.1.0"], *kind)
        assert runs() == "v0.1.0"
        assert "accounts/ runs accounts v0.2.0" in put(run, server, files["0.2.0"], *kind)
        assert runs() == "v0.2.0"
        done = run("rollback", *kind)
        assert (done.returncode, runs()) == (0, "v0.1.0"), done.stderr
        refused = run("rollback", *kind, "--probe", "role=dev")
        assert (refused.returncode, "--probe is a login" in refused.stderr) == (1, True)
    finally:
        server.client.call("DELETE", "sys/mounts/accounts")
        for version in ("v0.1.0", "v0.2.0"):
            server.client.call("DELETE", "sys/plugins/catalog/secret/accounts", params={"version": version})


def test_a_database_plugin_has_no_mount(server: Server, run: Run, tmp_path: Path) -> None:
    """It is said what to do instead."""
    file = python_plugin(tmp_path, "acl-0.1.0", "").file
    directory = ("--plugin-dir", server.plugin_directory)
    refused = run("upgrade", file, *directory, "--kind", "database")
    assert refused.returncode == 1
    assert "vault write database/config/NAME plugin_version=" in refused.stderr.replace("\n", " ")
    told = run("install", file, *directory, "--kind", "database", "--dry-run")
    assert "would register acl v0.1.0" in told.stdout
    assert "plugin_name=acl plugin_version=v0.1.0" in told.stdout
