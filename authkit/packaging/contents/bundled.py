"""What a wheel has in it beside Python, as its own lists say: libraries that were linked into its extensions.

The lists lie in `*.dist-info/sboms/` (PEP 770). Nothing is guessed: a wheel without lists has nothing here.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, cast

from cyclonedx.exception import CycloneDxException
from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, XsUri
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component
from cyclonedx.schema.deprecation import BaseSchemaDeprecationWarning

__all__ = ["list_bundled", "list_references"]

_MAX_DEPTH = 20
"""Of components in components."""


def list_bundled(metadata: Path, owner: str) -> Iterator[Component]:
    """Yield what the CycloneDX lists of a wheel name; their references begin with that of the wheel, `owner`.

    `metadata` is its `*.dist-info`. Lists in another form are passed over: see `list_references`.
    """
    for file in _lists(metadata):
        try:
            components = list(_read(json.loads(file.read_bytes())["components"]))
            if not all(_is_usable(each, _MAX_DEPTH) for each in components):
                continue
        except (CycloneDxException, ValueError, TypeError, AttributeError, LookupError, RecursionError):
            continue
        _rename(components, f"{owner}/{file.name}")
        yield from components


def list_references(metadata: Path) -> Iterator[ExternalReference]:
    """Yield where each list of a wheel is, below its folder, and its hash."""
    for file in _lists(metadata):
        sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
        yield ExternalReference(
            type=ExternalReferenceType.BOM,
            url=XsUri(file.relative_to(metadata.parent).as_posix()),
            hashes=[HashType(alg=HashAlgorithm.SHA_256, content=sha256)],
        )


def _read(listed: object) -> Iterable[Component]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BaseSchemaDeprecationWarning)  # of lists in an older version
        components: Iterable[Component] = cast(Any, Bom).from_json({"components": listed}).components
    return components


def _is_usable(component: Component, depth: int) -> bool:
    """Whether a component can be sorted among others and written: the library takes what JSON has there."""
    texts: tuple[Any, ...] = (component.name, component.version or "", component.group or "")
    return (
        depth > 0
        and all(isinstance(each, str) for each in texts)
        and all(_is_usable(each, depth - 1) for each in component.components)
    )


def _lists(metadata: Path) -> list[Path]:
    return sorted(file for file in (metadata / "sboms").rglob("*") if file.is_file())


def _rename(components: Iterable[Component], prefix: str) -> None:
    """Make references that are the only ones of their name: those of two lists may be the same."""
    for each in components:
        each.bom_ref.value = f"{prefix}/{each.bom_ref.value or f'{each.name}@{each.version}'}"
        _rename(each.components, prefix)
