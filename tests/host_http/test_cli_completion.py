"""Completion in shells: the lines of the documentation work, and the command has answers."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from authkit.cli.main import COMMANDS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "howto-dev.md"
LINES = {
    shell: line
    for line, shell in re.findall(r"`([^`]*_AUTHKIT_COMPLETE=(\w+)_source[^`]*)`", PAGE.read_text())
}
SECONDS = 60


def run(program: str, script: str, **variables: str) -> str:
    """Run a script where the command `authkit` is that of this interpreter; return what it prints."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        [program, "-c", script],
        env={**os.environ, **variables, "PATH": path},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        ("authkit d", ["dev", "doctor"]),
        ("authkit dev --no", ["--no-ui", "--no-watch"]),
        ("authkit --ver", ["--version"]),
    ],
)
def test_bash_completes_commands_and_options(words: str, completed: list[str]) -> None:
    """After the line of the documentation, as a person's start file has it."""
    place = len(words.split()) - 1
    script = f"""{LINES["bash"]}
    complete -p authkit >&2 || exit 1
    COMP_WORDS=({words}) COMP_CWORD={place}
    _authkit_completion authkit
    printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    assert run("bash", script).split() == completed


@pytest.mark.parametrize("command", ["authkit dev x", "authkit doctor x"])
def test_files_are_completed_as_the_shell_does(command: str) -> None:
    """Plugins are files and folders, nearly always."""
    answer = run("sh", "authkit", _AUTHKIT_COMPLETE="bash_complete", COMP_WORDS=command, COMP_CWORD="2")
    assert answer == "file,x\n"


@pytest.mark.parametrize(
    ("shell", "registers"), [("zsh", "compdef _authkit_completion authkit"), ("fish", "--command authkit")]
)
def test_other_shells_have_their_own(shell: str, registers: str) -> None:
    """What the line of the documentation reads; these shells are not everywhere."""
    assert shell in LINES
    assert registers in run("sh", "authkit", _AUTHKIT_COMPLETE=f"{shell}_source")


def test_every_command_is_there() -> None:
    """Completion knows them without importing one."""
    assert run("sh", "authkit --help").count("\n  ") >= len(COMMANDS)
    for command in COMMANDS:
        assert run("sh", f"authkit {command} --help")
