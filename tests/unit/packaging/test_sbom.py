"""The list of what is in a package: also what wheels bring beside Python."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from authkit.packaging.contents import sbom
from authkit.packaging.contents.sbom import write_sbom
from authkit.packaging.tree import Tree

OPENSSL = {
    "type": "library",
    "name": "openssl",
    "version": "4.0.3",
    "author": "somebody",  # as of CycloneDX 1.5
    "purl": "pkg:generic/openssl@4.0.3",
    "components": [{"type": "library", "name": "inner", "bom-ref": "same"}],
}
CYCLONEDX = {
    "bomFormat": "CycloneDX",
    "specVersion": "1.5",
    "metadata": {"tools": [{"name": "a tool"}]},
    "components": [OPENSSL],
}


@pytest.fixture(autouse=True)
def without_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """No compiler is asked for its version."""
    monkeypatch.setattr(sbom, "find_go_version", lambda: "1.25")


def install(packages: Path, name: str, **lists: object) -> None:
    """Write what pip leaves of a wheel with lists of its own."""
    metadata = packages / f"{name}-1.0.dist-info"
    (metadata / "sboms").mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    for stem, content in lists.items():
        text = content if isinstance(content, str) else json.dumps(content)
        (metadata / f"sboms/{stem}.json").write_text(text)


def write(folder: Path, packages: Path) -> dict[str, Any]:
    """Write the list of a package; return it."""
    tree = Tree(
        name="pin",
        version="1.0.0",
        kind="auth",
        folder=folder,
        packages=packages,
        program="bin/python",
        main="main.pyc",
        glibc="2.34",
        needs="",
    )
    path = write_sbom(folder / "pin-1.0.0", sha256="0" * 64, version="1.0.0", tree=tree)
    written: dict[str, Any] = json.loads(path.read_text())
    return written


def test_what_the_list_of_a_wheel_names_is_in_ours(tmp_path: Path) -> None:
    """With the words of the wheel, below the wheel; the same reference in two lists is two."""
    packages = tmp_path / "packages"
    for name in ("first", "second"):
        install(packages, name, sbom=CYCLONEDX)
    listed = write(tmp_path, packages)
    found = [each for each in listed["components"] if each["name"] == "openssl"]
    assert [(each["version"], each["purl"]) for each in found] == [("4.0.3", OPENSSL["purl"])] * 2
    references = {each["bom-ref"] for each in found} | {each["components"][0]["bom-ref"] for each in found}
    assert len(references) == 4
    below = {each["ref"]: each.get("dependsOn", []) for each in listed["dependencies"]}
    assert below["pypi:first"] == ["pypi:first/sbom.json/openssl@4.0.3"]
    assert below["pin-1.0.0"] == ["generic:cpython", "golang:stdlib", "pypi:first", "pypi:second"]


@pytest.mark.parametrize(
    "content",
    ["{", "[]", "\xff", {"spdxVersion": "SPDX-2.3"}, {"components": 3}, {"components": [{"type": "odd"}]}],
    ids=repr,
)
def test_a_list_in_another_form_is_referred_to(tmp_path: Path, content: object) -> None:
    """By its path and its hash; nothing is guessed of what it says."""
    packages = tmp_path / "packages"
    install(packages, "first", odd=content)
    (first,) = (each for each in write(tmp_path, packages)["components"] if each["name"] == "first")
    file = packages / "first-1.0.dist-info/sboms/odd.json"
    assert first["externalReferences"] == [
        {
            "type": "bom",
            "url": "first-1.0.dist-info/sboms/odd.json",
            "hashes": [{"alg": "SHA-256", "content": hashlib.sha256(file.read_bytes()).hexdigest()}],
        }
    ]


def test_libraries_that_were_copied_into_wheels_are_listed(tmp_path: Path) -> None:
    """By their hashes: two may have one name."""
    for folder, content in (("a.libs", b"a"), ("b.libs", b"b")):
        (tmp_path / "packages" / folder).mkdir(parents=True)
        (tmp_path / "packages" / folder / "libz.so.1").write_bytes(content)
    found = [
        each for each in write(tmp_path, tmp_path / "packages")["components"] if each["name"] == "libz.so.1"
    ]
    assert [each["bom-ref"] for each in found] == ["file:a.libs/libz.so.1", "file:b.libs/libz.so.1"]
    assert [each["hashes"][0]["content"] for each in found] == [
        hashlib.sha256(content).hexdigest() for content in (b"a", b"b")
    ]


@pytest.mark.parametrize(
    "hostile",
    [
        "[" * 200_000,
        {"components": [{"type": "library", "name": 5}]},
        {"components": [{"type": "library", "name": "a", "version": ["1"]}]},
        '{"components":[' + '{"type":"library","name":"a","components":[' * 300 + "]}" * 301,
    ],
)
def test_a_list_that_cannot_be_written_ends_no_build(tmp_path: Path, hostile: object) -> None:
    """Too deep, or with numbers for names; the others are read."""
    install(tmp_path / "packages", "w", bad=hostile, good=CYCLONEDX)
    assert "openssl" in json.dumps(write(tmp_path, tmp_path / "packages"))
