"""The commands of a deployment: what they refuse before they ask a server."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from authkit.cli import deploy
from authkit.cli.deploy import rollback
from authkit.database.cookie import COOKIE_KEY


@pytest.mark.parametrize("mount", [[], ["--mount", "database"]])
def test_a_database_plugin_is_not_rolled_back_by_its_mount(mount: list[str]) -> None:
    """It has none: the text says what to do in its place, whether a mount is given or not."""
    result = CliRunner().invoke(rollback, ["--kind", "database", *mount])
    assert result.exit_code != 0
    shown = " ".join(f"{result.output} {result.exception}".split())
    assert "a database plugin has no mount" in shown
    assert "vault write database/config/NAME plugin_version=vX.Y.Z" in shown


def test_a_mount_is_rolled_back_by_its_path() -> None:
    """Which is told before a server is asked."""
    result = CliRunner().invoke(rollback, ["--kind", "secret"])
    assert "give --mount, the path of the mount" in f"{result.output} {result.exception}"


@pytest.mark.parametrize(
    ("cookie", "text", "hint"),
    [
        (
            COOKIE_KEY,
            "Failed to read any lines from plugin's stdout",
            "; acl-0.1.0 is a database plugin: use --kind database",
        ),
        ("ANOTHER_COOKIE", "Failed to read any lines from plugin's stdout", ""),
        (COOKIE_KEY, "permission denied", ""),
    ],
)
def test_a_file_that_does_not_serve_is_asked_for_its_kind(
    tmp_path: Path, cookie: str, text: str, hint: str
) -> None:
    """It is started with the cookie of database plugins, where a server says that it does not serve."""
    file = tmp_path / "acl-0.1.0"
    file.write_text(
        f'#!/bin/sh\n[ -n "${cookie}" ] || exit 1\necho "1|5|unix|/nowhere|grpc|"\nexec sleep 60\n'
    )
    file.chmod(0o755)
    assert deploy._explain_kind(text, file) == hint
