"""A plugin's file as a server looks at it, with the texts seen on Vault 1.21.1."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from authkit.errors import PluginStartError
from authkit.host.supervisor.executable import (
    check_permissions,
    check_sum,
    describe_file,
    file_sum,
    find_command,
)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A plugin directory with the file `plugin`, as the server sees it: not behind a symlink."""
    home = Path(os.path.realpath(tmp_path)) / "plugins"
    home.mkdir()
    (home / "plugin").write_text("#!/bin/sh\n")
    (home / "plugin").chmod(0o755)
    return home


def test_a_file_of_the_directory_is_found(directory: Path) -> None:
    """Also through a symlink that stays in it."""
    (directory / "link").symlink_to("plugin")
    assert find_command(directory, "plugin") == directory / "plugin"
    assert find_command(str(directory), "link") == directory / "link"


def test_what_lies_elsewhere_is_refused(directory: Path, tmp_path: Path) -> None:
    """Below it, above it, behind a link that leads out, or in a directory behind a link itself."""
    (directory / "sub").mkdir()
    (directory / "sub" / "x").touch()
    (directory / "out").symlink_to("/bin/sh")
    (tmp_path / "alias").symlink_to(directory)
    shell = os.path.dirname(os.path.realpath("/bin/sh"))
    outside = "cannot execute files outside of configured plugin directory"
    for command, text in {
        "sub/x": f"{outside} {directory}: expected {directory}, got {directory}/sub",
        "out": f"{outside} {directory}: expected {directory}, got {shell}",
        "../x": "path cannot contain parent references",
        "none": f"error while validating the command path: lstat {directory}/none: no such file or directory",
    }.items():
        with pytest.raises(PluginStartError) as caught:
            find_command(directory, command)
        assert str(caught.value) == text
    with pytest.raises(PluginStartError, match=outside):
        find_command(tmp_path / "alias", "plugin")
    with pytest.raises(PluginStartError, match="plugin directory is not configured"):
        find_command("", "plugin")


def test_owner_and_mode(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Safe is what this user owns and nobody else may write."""
    path = directory / "plugin"
    check_permissions(path)
    for mode in (0o775, 0o757):
        path.chmod(mode)
        with pytest.raises(PluginStartError, match=f"has insecure permissions {mode:o}. Vault expects"):
            check_permissions(path)
    with pytest.raises(PluginStartError, match="error stating"):
        check_permissions(directory / "none")
    another = os.getuid() + 1
    monkeypatch.setattr(os, "getuid", lambda: another)
    with pytest.raises(PluginStartError, match=f"is not owned by my uid {another}"):
        check_permissions(path)


def test_the_sum_of_the_content(directory: Path) -> None:
    """In either case, through symlinks; one bit more is another file."""
    path = directory / "plugin"
    expected = hashlib.sha256(b"#!/bin/sh\n").hexdigest()
    assert file_sum(path) == expected
    check_sum(path, expected.upper())
    path.write_text("#!/bin/sh\n#")
    with pytest.raises(PluginStartError, match=r"^checksums did not match$") as caught:
        check_sum(path, expected)
    assert file_sum(path) in caught.value.hint
    with pytest.raises(PluginStartError, match="checksums did not match"):
        check_sum(path, "")


def test_a_file_that_cannot_be_summed(directory: Path) -> None:
    """Gone, or a directory."""
    for name, verb, reason in (("none", "open", "no such file or directory"), ("", "read", "is a directory")):
        path = directory / name
        with pytest.raises(PluginStartError) as caught:
            check_sum(path, "00" * 32)
        assert str(caught.value) == f"error verifying checksum: {verb} {path}: {reason}"


def test_notes_about_a_file(directory: Path) -> None:
    """Path, mode and owners; none for a file that is gone."""
    notes = describe_file(directory / "plugin")
    assert notes.startswith(
        f"\nAdditional notes about plugin:\n  Path: {directory}/plugin\n  Mode: -rwxr-xr-x\n"
    )
    assert f"  Owner: {os.getuid()} [" in notes
    assert notes.endswith("])\n")
    assert describe_file(directory / "none") == ""
