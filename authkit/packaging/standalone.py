"""One executable for machines without Python: the launcher, and behind it the plugin with its interpreter.

    launcher | archive (tar, gzip) | manifest (JSON) | length of the archive | length of the manifest | magic

`launcher/file.go` reads it. A server verifies the SHA-256 of the whole file, the launcher what it unpacks.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from authkit.packaging.archives import Member, compress, tar
from authkit.packaging.contents.checksums import add_checksums
from authkit.packaging.contents.sbom import write_sbom
from authkit.packaging.interpreter.libraries import glibc_version
from authkit.packaging.interpreter.program import PROGRAM, site_packages
from authkit.packaging.launcher import build_launcher
from authkit.packaging.project import Project
from authkit.packaging.tree import MAIN, Plugin, build_tree
from authkit.packaging.whole_files import write_whole
from authkit.values import Value

__all__ = ["Standalone", "build_standalone"]

_MAGIC = b"authkit1"


class Standalone(Value, frozen=True, kw_only=True):
    """One file that was built."""

    plugin: Plugin
    file: Path
    size: int
    """Bytes of the file."""
    unpacked: int
    """Bytes of what it unpacks."""
    sha256: str
    glibc: str
    """The oldest version that it runs on."""
    sbom: Path
    """The list of what is in it, beside it."""


def build_standalone(
    project: Project, output: Path, *, keep: Iterable[str] = (), find_links: Iterable[Path] = ()
) -> Standalone:
    """Build the executable `NAME-VERSION` in the folder `output`, in the place of one of that name.

    The same project, lock, interpreter and compiler make the same file, with SOURCE_DATE_EPOCH or without.

    Raises:
        PackagingError: something cannot be had, compiled, or loaded.
    """
    with tempfile.TemporaryDirectory(prefix="authkit-build-") as folder:
        tree = Path(folder) / "tree"
        plugin = build_tree(project, tree, keep=keep, find_links=find_links)
        glibc = glibc_version(tree)
        launcher = build_launcher(Path(folder) / "launcher").read_bytes()
        files = {str(path.relative_to(tree)): path for path in sorted(tree.rglob("*")) if path.is_file()}
        archive = compress(tar(Member(name, path) for name, path in files.items()))
        manifest = {
            "name": plugin.name,
            "key": hashlib.sha256(archive).hexdigest(),
            "glibc": glibc,
            "program": PROGRAM,
            "main": MAIN,
            "files": {name: _record(path) for name, path in files.items()},
        }
        content = _join(launcher, archive, manifest)
        sha256 = hashlib.sha256(content).hexdigest()
        version = plugin.version.removeprefix("v") or "0"
        output.mkdir(parents=True, exist_ok=True)
        file = output / f"{plugin.name}-{version}"
        write_whole(file, content, mode=0o755)
        libraries = (tree / "lib").glob("*.so*")
        sbom = write_sbom(
            file, sha256=sha256, version=version, packages=site_packages(tree), libraries=libraries
        )
        unpacked = sum(path.stat().st_size for path in files.values())
    add_checksums(output, [file, sbom])
    return Standalone(
        plugin=plugin,
        file=file,
        size=len(content),
        unpacked=unpacked,
        sha256=sha256,
        glibc=glibc,
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
