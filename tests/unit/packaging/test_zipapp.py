"""What an interpreter of the machine says about itself, and forms of a package that do not go together."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from authkit.cli.build import build
from authkit.packaging.errors import PackagingError
from authkit.packaging.forms import machine
from authkit.packaging.forms.executable import Executable
from authkit.packaging.forms.machine import describe_interpreter, find_fault, find_open_folder, find_suffix
from authkit.packaging.oci import write_image

VERSION = f"{sys.version_info[0]}.{sys.version_info[1]}"
SOURCE = Path(machine.__file__).read_text()

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="plugins are packed on Linux")


@pytest.fixture(autouse=True)
def _roots_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a developer's interpreter imports from may be open to a group."""
    monkeypatch.setattr(sys, "path", ["/"])


def test_the_interpreter_that_built_is_right() -> None:
    """With any version of glibc, or none."""
    assert find_fault(VERSION, find_suffix(), "2.17") == find_fault(VERSION, find_suffix(), "") == ""


@pytest.mark.parametrize("version", ["3.6", "3.99", "4.11"])
def test_another_version_is_told(version: str) -> None:
    """What is needed, what was found, what to do."""
    assert find_fault(version, find_suffix(), "") == (
        f"this plugin needs CPython {version}, and {sys.executable} is {describe_interpreter()}: install "
        f"python{version}, or name one in AUTHKIT_PYTHON by its absolute path"
    )


def test_another_kind_is_told() -> None:
    """Extension modules for musl, another processor, or free threads are not those that were packed."""
    said = find_fault(VERSION, "cpython-311-x86_64-linux-musl", "")
    assert f"needs CPython {VERSION} of the kind cpython-311-x86_64-linux-musl, and " in said
    assert find_suffix() in said


def test_another_implementation_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the same version of Python."""
    values = vars(sys.implementation) | {"name": "pypy", "version": (7, 3, 17, "final", 0)}
    monkeypatch.setattr(sys, "implementation", type(sys.implementation)(**values))
    assert " is PyPy 7.3.17 (" in find_fault(VERSION, find_suffix(), "")


def test_an_older_glibc_is_told() -> None:
    """Its version is compared by numbers."""
    assert "needs glibc 2.999 or later, and this machine has 2." in find_fault(
        VERSION, find_suffix(), "2.999"
    )
    assert find_fault(VERSION, find_suffix(), "2.4") == ""


def test_a_folder_that_others_may_change_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or one above it. One that does not exist is not made by others, if they can't write above it."""
    shared = tmp_path / "shared"
    (shared / "lib").mkdir(parents=True)
    os.chmod(shared, 0o770)
    assert (
        find_open_folder([str(shared / "lib")]) == find_open_folder([str(shared / "nothing")]) == str(shared)
    )
    assert find_open_folder(["/", "/nothing/at/all"]) == ""
    monkeypatch.setattr(sys, "path", [str(shared)])
    assert f"it imports from {shared}, which others may change" in find_fault(VERSION, find_suffix(), "")


def test_a_wrong_interpreter_ends_with_a_line_for_the_log() -> None:
    """In the form that servers read; nothing comes after it."""
    code = f"{SOURCE}\nrequire('3.6', 'x', '')\nprint('begun')\n"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    line = json.loads(done.stderr)
    assert (line["@level"], line["@module"]) == ("error", "launcher")
    assert line["@message"].startswith("this plugin needs CPython 3.6, and ")


def test_old_versions_of_python_can_say_that_they_are_old() -> None:
    """Python 3.6, of Red Hat Enterprise Linux 8, reads the source; what it can't evaluate is quoted."""
    tree = ast.parse(SOURCE, feature_version=(3, 6))
    annotations = [
        annotation
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
        for annotation in (node.returns, *(each.annotation for each in node.args.args))
    ]
    assert all(isinstance(each, ast.Name | ast.Constant) for each in annotations)


def test_an_image_without_an_interpreter_is_refused(tmp_path: Path) -> None:
    """It has nothing but the executable and glibc."""
    result = CliRunner().invoke(build, ["--zipapp", "--oci", str(tmp_path)])
    assert result.exit_code == 2
    assert "--zipapp leaves the interpreter out, and an image has no other" in result.output
    built = Executable(
        name="a",
        version="v1.0.0",
        kind="auth",
        file=tmp_path / "a-1.0.0",
        size=1,
        unpacked=1,
        sha256="",
        needs="",
        has_interpreter=False,
        sbom=tmp_path / "a",
    )
    with pytest.raises(PackagingError, match=r"a-1\.0\.0 has no interpreter in it"):
        write_image(built, tmp_path)
