"""What `authkit dev` prints for a mount runs as it is printed, with the `vault` command in a shell."""

from __future__ import annotations

from pathlib import Path

import pytest
from livebed.binaries import ServerProgram
from livebed.devserver import JWT_PROJECT, SHARED_PIN, DevServer
from livebed.shell import run_script

from authkit.cli.new import write_project

BY_NAME = '''
from authkit import AuthMethod, Identity, Str, login, serve

class ByName(AuthMethod, name="by_name"):
    """Log in on a path with the user's name."""

    @login("login/{user}")
    async def log_in(self, user: Str) -> Identity:
        """Log in by name."""
        return Identity(name=user)

serve(ByName)
'''


def test_every_hint_runs_as_it_is_printed(program: ServerProgram, tmp_path: Path) -> None:
    """From the address on: no line between the exports and those to complete may fail."""
    if program.is_bao:
        pytest.skip("the hints say `vault`")
    (tmp_path / "vault").symlink_to(program.path)
    (tmp_path / "by_name.py").write_text(BY_NAME)
    write_project("team-key", tmp_path / "team-key")
    plugins = [SHARED_PIN, f"jwt={JWT_PROJECT}", str(tmp_path / "team-key"), str(tmp_path / "by_name.py")]
    with DevServer(program, *plugins) as dev:
        commands = [line.strip() for line in dev.printed if line.startswith("    ") and "..." not in line]
        assert len(commands) >= 2 + 5 + 4 + 4 + 2
        environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "HOME": str(tmp_path)}
        done = run_script("\n".join(["set -eux", *commands]), environment, tmp_path)
    assert done.stdout.count("token_accessor") == 3
