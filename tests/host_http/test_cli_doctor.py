"""`authkit doctor`: what it prints, and its exit status. The checks have tests of their own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from dev_process import SHARED_PIN
from rich.console import Console

from authkit.cli import doctor as doctor_module
from authkit.cli.main import cli
from authkit.doctor import Finding, Verdict, command


def launcher(folder: Path) -> Path:
    """Write a plugin file that a server takes."""
    file = folder / "shared_pin"
    code = f"import runpy; runpy.run_path({str(SHARED_PIN)!r}, run_name='__main__')\n"
    file.write_text(f"#!{sys.executable} -I\n{code}")
    file.chmod(0o755)
    return file


def run(*arguments: str) -> Result:
    """Run the command."""
    return CliRunner().invoke(cli, ["doctor", *arguments])


def test_a_good_plugin(tmp_path: Path) -> None:
    """Every check is a line, and the status is 0."""
    done = run(str(launcher(tmp_path)))
    assert done.exit_code == 0, done.output
    assert "passed   mutual TLS: " in done.output
    assert done.output.endswith("A server would take it.\n")
    assert "\x1b" not in done.output


def test_a_plugin_that_a_server_refuses(tmp_path: Path) -> None:
    """What was seen, what to do, and status 1."""
    file = tmp_path / "chatty"
    file.write_text("#!/bin/sh\necho hello\n")
    file.chmod(0o755)
    done = run(str(file))
    assert done.exit_code == 1
    assert "failed   handshake: Unrecognized remote plugin message: hello -> " in done.output
    assert "A server would refuse it: " in done.output


def test_json_is_for_programs(tmp_path: Path) -> None:
    """The same findings; the checksum that was registered is compared."""
    done = run(str(launcher(tmp_path)), "--json", "--sha256", "00" * 32)
    assert done.exit_code == 1
    findings = json.loads(done.output)
    assert {tuple(finding) for finding in findings} == {("check", "verdict", "seen", "advice")}
    failed = [finding["check"] for finding in findings if finding["verdict"] == "failed"]
    assert failed == ["sha256"]


def test_a_variable_needs_a_value() -> None:
    """One line says how it is written."""
    done = run("file", "--env", "NAME")
    assert done.exit_code == 2
    assert "'NAME' is not a variable: write --env NAME=VALUE" in done.output


@pytest.mark.parametrize("seconds", ["0", "601", "1.5", "-1", "9999999999", "soon", ""])
def test_the_seconds_of_a_start_are_bounded(seconds: str) -> None:
    """One line says how many there may be."""
    done = run("file", "--timeout", seconds)
    assert done.exit_code == 2
    assert "is not a number of seconds from 1 to 600" in done.output or "expected one argument" in done.output


def test_a_server_needs_no_further_packages(tmp_path: Path) -> None:
    """Neither click nor rich: both ways to start it print the lines."""
    file = tmp_path / "chatty"
    file.write_text("#!/bin/sh\necho hello\n")
    file.chmod(0o755)
    hidden = "import sys; sys.modules.update(dict.fromkeys(['click', 'rich', 'jinja2', 'starlette']))"
    for code, arguments in (
        ("from authkit.__main__ import main; main()", ["doctor", str(file)]),
        ("import runpy; runpy.run_module('authkit.doctor', run_name='__main__')", [str(file)]),
    ):
        done = subprocess.run(
            [sys.executable, "-c", f"{hidden}; {code}", *arguments],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 1, done.stderr
        assert "A server would refuse it: " in done.stdout


def test_a_terminal_gets_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """With colours, unless NO_COLOR says otherwise; whatever a plugin printed is text, never markup."""

    async def inspect(*arguments: object, **options: object) -> list[Finding]:
        seen = "a [bold]plugin[/bold] printed [/nonsense]"
        return [Finding(check="handshake", verdict=Verdict.FAILED, seen=seen, advice="log to stderr")]

    monkeypatch.setattr(command, "inspect_plugin", inspect)
    monkeypatch.delenv("NO_COLOR", raising=False)
    for environment, coloured in (({}, True), ({"NO_COLOR": "1"}, False)):
        terminal = Console(
            force_terminal=True, width=80, color_system="standard", markup=False, _environ=environment
        )
        monkeypatch.setattr(doctor_module, "console", lambda terminal=terminal: terminal)
        with terminal.capture() as capture:
            done = run("file")
        assert done.exit_code == 1
        assert "[bold]plugin[/bold] printed [/nonsense]" in capture.get()
        assert "→ log to stderr" in capture.get()
        assert ("\x1b[1;31mfailed" in capture.get()) is coloured
