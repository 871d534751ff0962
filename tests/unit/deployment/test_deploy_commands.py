"""The commands of a deployment: what they refuse before they ask a server."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from authkit.cli.deploy import rollback


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
