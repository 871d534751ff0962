"""The list of what is in a package (SBOM), in the form of CycloneDX 1.6."""

from __future__ import annotations

import hashlib
import os
import platform
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import Distribution
from pathlib import Path

from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from authkit.packaging.contents.bundled import list_bundled, list_references
from authkit.packaging.launcher import find_go_version
from authkit.packaging.tree import Tree
from authkit.packaging.whole_files import write_whole

__all__ = ["write_sbom"]

_EPOCH = "315532800"
"""1980: the date of a build that names none."""


def write_sbom(file: Path, *, sha256: str, version: str, tree: Tree) -> Path:
    """Write `FILE.cdx.json` beside a package, and return its path. The same package has the same list."""
    root = Component(
        name=file.name,
        version=version,
        type=ComponentType.APPLICATION,
        bom_ref=file.name,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=sha256)],
    )
    bundled = sorted(path for path in tree.packages.glob("*.libs/*") if path.is_file())  # auditwheel's
    parts = [
        *_interpreter(tree),
        _package("golang", "stdlib", find_go_version()),  # in the launcher
        *(_library(path, path.name) for path in tree.libraries),
        *(_library(path, path.relative_to(tree.packages).as_posix()) for path in bundled),
    ]
    bom = Bom(components=parts)
    for distribution, contents in _distributions(tree.packages):
        parts.append(distribution)
        bom.components.update([distribution, *contents])
        bom.register_dependency(distribution, contents)
    bom.register_dependency(root, parts)
    bom.serial_number = uuid.uuid5(uuid.NAMESPACE_URL, f"urn:sha256:{sha256}")
    bom.metadata.timestamp = datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH", _EPOCH)), UTC)
    bom.metadata.component = root
    path = file.with_name(f"{file.name}.cdx.json")
    write_whole(path, (JsonV1Dot6(bom).output_as_string(indent=2) + "\n").encode())
    return path


def _distributions(packages: Path) -> Iterator[tuple[Component, list[Component]]]:
    """Yield what was installed, each with what it has in it by its own lists."""
    for metadata in sorted(packages.glob("*.dist-info")):
        found = Distribution.at(metadata)
        component = _package("pypi", found.metadata["Name"].lower(), found.version)
        component.external_references.update(list_references(metadata))
        yield component, list(list_bundled(metadata, component.bom_ref.value or ""))


def _interpreter(tree: Tree) -> Iterator[Component]:
    if tree.program:
        yield _package("generic", "cpython", platform.python_version(), ComponentType.PLATFORM)


def _package(
    ecosystem: str, name: str, version: str, kind: ComponentType = ComponentType.LIBRARY
) -> Component:
    """Return a component that has a package URL: `pkg:ECOSYSTEM/NAME@VERSION`."""
    return Component(
        name=name,
        version=version,
        type=kind,
        bom_ref=f"{ecosystem}:{name}",
        purl=PackageURL(ecosystem, name=name, version=version),
    )


def _library(path: Path, reference: str) -> Component:
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return Component(
        name=path.name,
        type=ComponentType.FILE,
        bom_ref=f"file:{reference}",
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=sha256)],
    )
