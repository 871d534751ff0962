"""What `authkit dev` can be asked to run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from authkit.cli import sources
from authkit.cli.console import CommandError
from authkit.cli.sources import find_source, write_launcher


def test_an_executable_is_started_as_it_is(tmp_path: Path) -> None:
    """The launcher becomes the file, whatever is in its path."""
    file = tmp_path / "it's a plugin"
    file.write_text('#!/bin/sh\necho started "$@"\n')
    file.chmod(0o755)
    source = find_source(str(file))
    assert source.name == "it_s_a_plugin"
    assert source.watched == (file,)
    assert source.executable == file
    launcher = write_launcher(source, tmp_path)
    done = subprocess.run([launcher, "a", "b c"], capture_output=True, text=True, check=True)
    assert done.stdout == "started a b c\n"


def test_a_python_file_is_run_as_a_program(tmp_path: Path) -> None:
    """It sees its own folder, although the interpreter is isolated."""
    (tmp_path / "beside.py").write_text("WORD = 'beside'\n")
    file = tmp_path / "my_plugin.py"
    file.write_text("import beside\nif __name__ == '__main__':\n    print(beside.WORD)\n")
    launcher = write_launcher(find_source(f"own={file}"), tmp_path)
    done = subprocess.run([launcher], capture_output=True, text=True, check=True)
    assert (launcher.name, done.stdout) == ("own", "beside\n")
    assert launcher.stat().st_mode & 0o777 == 0o700


def test_a_class_is_served_from_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its package is watched."""
    (tmp_path / "acme").mkdir()
    monkeypatch.chdir(tmp_path)
    source = find_source("acme.method:Acme")
    assert (source.name, source.watched) == ("method", (tmp_path / "acme",))
    assert "serve('acme.method:Acme')" in source.launcher
    assert source.launcher.startswith(f"#!{sys.executable} -I\n")


def test_a_project_names_its_plugin(tmp_path: Path) -> None:
    """The folder `src`, if there is one, is where its package is."""
    (tmp_path / "pyproject.toml").write_text('[tool.authkit]\nplugin = "acme.method:Acme"\n')
    assert find_source(str(tmp_path)).name == "acme"
    (tmp_path / "src" / "acme").mkdir(parents=True)
    assert find_source(str(tmp_path)).watched == (tmp_path / "src" / "acme",)


@pytest.mark.parametrize(
    ("argument", "advice"),
    [
        ("nowhere", "give an executable, a .py file, a project's folder, or module:Class"),
        ("plain.txt", "chmod [+]x"),
        (".", "authkit new writes one"),
        ("broken", "can't be read"),
        ("other", r"add plugin = .package.module:Class. to \[tool.authkit\]"),
        ("a/b=acme:Acme", "choose one with NAME=acme:Acme"),
    ],
)
def test_what_is_no_plugin_is_refused(
    argument: str, advice: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line says what to do."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plain.txt").touch()
    for name, text in (("broken", "["), ("other", "[tool.other]\n")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "pyproject.toml").write_text(text)
    with pytest.raises(CommandError, match=advice):
        find_source(argument)


def test_an_interpreter_that_no_first_line_can_name_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Linux would cut the line, and start something else."""
    monkeypatch.setattr(sources.sys, "executable", "/" + "x" * 300)
    with pytest.raises(CommandError, match="too long"):
        find_source("acme:Acme")
