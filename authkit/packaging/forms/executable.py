"""The executable of a plugin: the launcher, and behind it everything that it unpacks.

    launcher | archive (tar, gzip) | manifest (JSON) | length of the archive | length of the manifest | magic

`launcher/file.go` reads it. A server verifies the SHA-256 of the whole file, the launcher what it unpacks.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from authkit.packaging.archives import Member, compress, tar
from authkit.packaging.contents.checksums import add_checksums
from authkit.packaging.contents.sbom import write_sbom
from authkit.packaging.launcher import build_launcher
from authkit.packaging.tree import Tree
from authkit.packaging.whole_files import write_whole
from authkit.values import Value

__all__ = ["Executable", "write_executable"]

_MAGIC = b"authkit1"


class Executable(Value, frozen=True, kw_only=True):
    """One file that was built."""

    name: str
    """Of the plugin."""
    version: str
    """Of the plugin, as it reports it."""
    kind: str
    """Of the plugin, as catalogs call it."""
    file: Path
    size: int
    """Bytes of the file."""
    unpacked: int
    """Bytes of what it unpacks."""
    sha256: str
    needs: str
    """What the machine must have, such as `glibc 2.34 or later`."""
    has_interpreter: bool
    """Whether it runs on a machine that has no Python."""
    sbom: Path
    """The list of what is in it, beside it."""


def write_executable(tree: Tree, output: Path) -> Executable:
    """Write `NAME-VERSION` and the lists beside it into the folder `output`, over those of that name.

    Raises:
        PackagingError: the launcher can't be compiled.
    """
    files = {
        str(path.relative_to(tree.folder)): path for path in sorted(tree.folder.rglob("*")) if path.is_file()
    }
    archive = compress(tar(Member(name, path) for name, path in files.items()))
    manifest = {
        "name": tree.name,
        "key": hashlib.sha256(archive).hexdigest(),
        "glibc": tree.glibc,
        "python": tree.python,
        "program": tree.program,
        "main": tree.main,
        "files": {name: _record(path) for name, path in files.items()},
    }
    with tempfile.TemporaryDirectory(prefix="authkit-launcher-") as folder:
        launcher = build_launcher(Path(folder), tree.kind).read_bytes()
    content = _join(launcher, archive, manifest)
    sha256 = hashlib.sha256(content).hexdigest()
    version = tree.version.removeprefix("v") or "0"
    output.mkdir(parents=True, exist_ok=True)
    file = output / f"{tree.name}-{version}"
    write_whole(file, content, mode=0o755)
    sbom = write_sbom(file, sha256=sha256, version=version, tree=tree)
    add_checksums(output, [file, sbom])
    return Executable(
        name=tree.name,
        version=tree.version,
        kind=tree.kind,
        file=file,
        size=len(content),
        unpacked=sum(path.stat().st_size for path in files.values()),
        sha256=sha256,
        needs=tree.needs,
        has_interpreter=bool(tree.program),
        sbom=sbom,
    )


def _join(launcher: bytes, archive: bytes, manifest: Mapping[str, object]) -> bytes:
    text = json.dumps(manifest, separators=(",", ":")).encode()
    lengths = len(archive).to_bytes(8, "big") + len(text).to_bytes(8, "big")
    return b"".join([launcher, archive, text, lengths, _MAGIC])


def _record(path: Path) -> dict[str, object]:
    content = path.read_bytes()
    return {
        "sha256": hashlib.sha256(content).hexdigest(),
        "size": len(content),
        "executable": os.access(path, os.X_OK),
    }
