"""Projects that `authkit new` writes, on a real server: the commands of their README, as they stand."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from livebed.factories import MakeServer
from livebed.shell import run_script

from authkit.cli.new import write_project
from authkit.doctor.command import run as inspect


@pytest.mark.parametrize(
    ("kind", "shown"),
    [
        ("auth", r"token_meta_user\s+ann"),
        ("secrets", r"lease_duration\s+1h"),
        ("database", r"lease_duration\s+1h"),
    ],
)
def test_the_commands_of_its_readme_run(
    kind: str, shown: str, make_server: MakeServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The doctor takes its launcher, a server registers it, and the last command shows what it is for."""
    server = make_server()
    project = tmp_path / "team-one"
    write_project("team-one", project, kind)
    launcher = server.plugin_directory / "team_one"
    first, rest = (project / "launcher").read_text().split("\n", 1)
    paths = [*filter(None, sys.path), str(project)]  # in place of an environment in which it is installed
    launcher.write_text(f"{first}\nimport sys\nsys.path[:] = {paths!r}\n{rest}")
    launcher.chmod(0o755)
    assert inspect([str(launcher)]) == 0
    assert capsys.readouterr().out.endswith("A server would take it.\n")

    (server.home / "root.password").write_text("4711-only-the-server-knows")
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "vault").symlink_to(server.program.path)
    environment = {
        "PATH": f"{programs}:/usr/bin:/bin",
        "HOME": str(server.home),
        "PLUGIN_DIRECTORY": str(server.plugin_directory),
    }
    for prefix in ("VAULT", "BAO"):
        environment |= {f"{prefix}_ADDR": server.address, f"{prefix}_TOKEN": server.client.token}
    commands = re.findall(r"^    (vault .+)$", (project / "README.md").read_text(), re.MULTILINE)
    assert len(commands) >= 4
    done = run_script("\n".join(["set -eu", *commands]), environment, server.home)

    assert re.search(shown, done.stdout)
