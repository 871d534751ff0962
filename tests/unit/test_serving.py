"""What a plugin tells somebody whose code does not load, and somebody who starts it by hand."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

LAUNCHER = "from authkit import serve\nserve({name!r})\n"
GOOD = "from authkit import AuthMethod\nclass Door(AuthMethod, name='door'):\n    '''A door.'''\n"


def start_at_terminal(folder: Path, source: str, *arguments: str) -> str:
    """Start the plugin of a source by hand, and return what the terminal shows."""
    (folder / "door.py").write_text(source)
    launcher = folder / "launcher.py"
    launcher.write_text(LAUNCHER.format(name="door:Door"))
    ours, terminal = pty.openpty()
    try:
        done = subprocess.run(
            [sys.executable, launcher, *arguments],
            stderr=terminal,
            stdin=subprocess.DEVNULL,
            check=False,
            timeout=60,
        )
        os.close(terminal)
        assert done.returncode == 1
        return read_all(ours)
    finally:
        os.close(ours)


def read_all(descriptor: int) -> str:
    """Return what a terminal shows whose other end is closed."""
    shown = b""
    while True:
        try:
            part = os.read(descriptor, 65_536)
        except OSError:  # Linux: nobody has the other end any more
            part = b""
        if not part:
            return shown.decode().replace("\r\n", "\n")
        shown += part


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("class Door(:\n", "SyntaxError: invalid syntax"),
        ("import no_such_module\n", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("door = 1\n", "AttributeError: module 'door' has no attribute 'Door'"),
        (GOOD.replace("name='door'", ""), "TypeError: Door cannot be mounted"),
    ],
)
def test_a_start_by_hand_says_why_a_plugin_would_not_be_served(
    tmp_path: Path, source: str, said: str
) -> None:
    """The error once, and no frame of what imports the author's code."""
    shown = start_at_terminal(tmp_path, source)
    assert "is a plugin: it is started by a Vault or OpenBao server" in shown
    assert "It would not be served:\n" in shown
    assert shown.count(said) == 1
    assert "importlib" not in shown


def test_a_start_by_hand_refuses_unknown_arguments(tmp_path: Path) -> None:
    """They would end a start by a server too: the error is one line."""
    shown = start_at_terminal(tmp_path, GOOD, "-ca-cer=/a")
    assert "It would not be served: the plugin's arguments: a plugin has no flag -ca-cer;" in shown
    assert "Traceback" not in shown


def test_a_start_by_hand_says_that_a_plugin_would_be_served(tmp_path: Path) -> None:
    """The class is named."""
    assert "It would be served: door:Door loads.\n" in start_at_terminal(tmp_path, GOOD)


def test_a_server_without_the_cookie_is_told_nothing_more(tmp_path: Path) -> None:
    """It tries every plugin with the cookies of other types: nothing is imported for that."""
    (tmp_path / "door.py").write_text("raise SystemExit(7)")
    launcher = tmp_path / "launcher.py"
    launcher.write_text(LAUNCHER.format(name="door:Door"))
    done = subprocess.run([sys.executable, launcher], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert "is a plugin" in done.stderr
    assert "served" not in done.stderr
