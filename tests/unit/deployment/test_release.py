"""What a file's name says, and the order of versions."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from authkit.deployment.directory import copy_file, is_copied
from authkit.deployment.errors import DeploymentError
from authkit.deployment.release import read_release, version_key


@pytest.mark.parametrize(
    ("name", "release"),
    [
        ("jwt_auth-0.1.0", ("jwt_auth", "v0.1.0")),
        ("my-method-1.2.3-rc.1", ("my-method", "v1.2.3-rc.1")),
        ("a-2-10.0.0+build.5", ("a-2", "v10.0.0+build.5")),
    ],
)
def test_the_name_of_a_file_says_what_it_is(tmp_path: Path, name: str, release: tuple[str, str]) -> None:
    """As `authkit build` names it."""
    (tmp_path / name).write_bytes(b"x")
    found = read_release(tmp_path / name)
    assert (found.name, found.version) == release
    assert found.sha256 == hashlib.sha256(b"x").hexdigest()


@pytest.mark.parametrize("name", ["jwt_auth", "jwt-0.1", "jwt-v0.1.0"])
def test_other_names_need_options(tmp_path: Path, name: str) -> None:
    """Which win over what a name says."""
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(DeploymentError, match="give --name and --plugin-version"):
        read_release(tmp_path / name)
    found = read_release(tmp_path / name, name="jwt", version="v0.2.0")
    assert (found.name, found.version) == ("jwt", "v0.2.0")


def test_a_link_is_no_release(tmp_path: Path) -> None:
    """Servers refuse links that lead out of their plugin directory."""
    (tmp_path / "a").write_bytes(b"x")
    (tmp_path / "b-1.0.0").symlink_to(tmp_path / "a")
    with pytest.raises(DeploymentError, match="not a regular file"):
        read_release(tmp_path / "b-1.0.0")


def test_versions_have_an_order() -> None:
    """By numbers, and a pre-release before its release."""
    versions = ["v0.2.0", "v0.10.0-rc.1", "v0.10.0", "v0.9.9", "v1.0.0+ent"]
    assert sorted(versions, key=version_key) == ["v0.2.0", "v0.9.9", "v0.10.0-rc.1", "v0.10.0", "v1.0.0+ent"]
    with pytest.raises(DeploymentError, match="not a semantic version"):
        version_key("1.0")


def test_a_path_with_two_dots_is_no_link(tmp_path: Path) -> None:
    """A folder that a link leads to is refused, with the path to use."""
    (tmp_path / "m-1.0.0").write_bytes(b"x")
    (tmp_path / "plugins").mkdir()
    release = read_release(tmp_path / "m-1.0.0")
    assert not is_copied(release, tmp_path / "plugins" / ".." / "plugins")
    (tmp_path / "link").symlink_to(tmp_path / "plugins")
    with pytest.raises(DeploymentError, match=f"set plugin_directory to {tmp_path / 'plugins'}$"):
        is_copied(release, tmp_path / "link")


def test_a_copy_is_whole_and_takes_the_place_of_another(tmp_path: Path) -> None:
    """What was there may be a link: it is replaced, and what it leads to is left alone."""
    source, directory, elsewhere = tmp_path / "m-1.0.0", tmp_path / "plugins", tmp_path / "elsewhere"
    source.write_bytes(b"new")
    directory.mkdir()
    elsewhere.write_bytes(b"kept")
    (directory / "m-1.0.0").symlink_to(elsewhere)
    release = read_release(source)
    assert not is_copied(release, directory)
    target = copy_file(release, directory)
    assert is_copied(release, directory)
    assert (target.read_bytes(), target.is_symlink(), elsewhere.read_bytes()) == (b"new", False, b"kept")
    assert [path.name for path in directory.iterdir()] == ["m-1.0.0"]


def test_a_file_that_was_swapped_is_not_copied(tmp_path: Path) -> None:
    """Everybody can read the copy: a link to a file of root's must not become one."""
    secret, file, directory = tmp_path / "shadow", tmp_path / "pin-1.0.0", tmp_path / "plugins"
    secret.write_text("root only")
    file.write_text("the plugin")
    directory.mkdir()
    release = read_release(file)
    file.unlink()
    file.symlink_to(secret)
    with pytest.raises(DeploymentError, match="has changed while it was copied"):
        copy_file(release, directory)
    assert not list(directory.iterdir())
