"""The list of what is in a package (SBOM), in the form of CycloneDX 1.6."""

from __future__ import annotations

import hashlib
import os
import platform
import uuid
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from importlib.metadata import Distribution, distributions
from pathlib import Path

from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from authkit.packaging.launcher import find_go_version
from authkit.packaging.whole_files import write_whole

__all__ = ["write_sbom"]

_EPOCH = "315532800"
"""1980: the date of a build that names none."""


def write_sbom(file: Path, *, sha256: str, version: str, packages: Path, libraries: Iterable[Path]) -> Path:
    """Write `FILE.cdx.json` beside a package, and return its path. The same package has the same list.

    `packages` is the folder of what was installed; `libraries` are shared libraries copied from the machine.
    """
    root = Component(
        name=file.name,
        version=version,
        type=ComponentType.APPLICATION,
        bom_ref=file.name,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=sha256)],
    )
    bom = Bom(
        components=[
            *_distributions(packages),
            _package("generic", "cpython", platform.python_version(), ComponentType.PLATFORM),
            _package("golang", "stdlib", find_go_version()),  # in the launcher
            *map(_library, sorted(libraries)),
        ]
    )
    bom.register_dependency(root, bom.components)
    bom.serial_number = uuid.uuid5(uuid.NAMESPACE_URL, f"urn:sha256:{sha256}")
    bom.metadata.timestamp = datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH", _EPOCH)), UTC)
    bom.metadata.component = root
    path = file.with_name(f"{file.name}.cdx.json")
    write_whole(path, (JsonV1Dot6(bom).output_as_string(indent=2) + "\n").encode())
    return path


def _distributions(packages: Path) -> Iterator[Component]:
    for each in sorted(distributions(path=[str(packages)]), key=_name):
        yield _package("pypi", _name(each), each.version)


def _name(distribution: Distribution) -> str:
    return distribution.metadata["Name"].lower()


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


def _library(path: Path) -> Component:
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return Component(
        name=path.name,
        type=ComponentType.FILE,
        bom_ref=f"file:{path.name}",
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=sha256)],
    )
