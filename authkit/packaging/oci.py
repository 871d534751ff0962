"""An OCI image of a standalone plugin, written without a daemon (OCI image specification 1.1).

OpenBao's declarative plugins take the one executable out of it, which is at the root. The image also runs by
itself: glibc, which the interpreter needs, is where it is on the machine that built it. Vault's container
runtime refuses the plugin, which declines brokered multiplexing (Vault 1.21.1, pluginutil/run_config.go).
"""

from __future__ import annotations

import hashlib
import json
import platform
import re
from collections.abc import Mapping
from pathlib import Path

from authkit.packaging.archives import Member, compress, tar
from authkit.packaging.errors import PackagingError
from authkit.packaging.forms.executable import Executable
from authkit.packaging.interpreter.libraries import glibc_files
from authkit.packaging.whole_files import write_whole
from authkit.values import Value

__all__ = ["Image", "write_image"]

USER = "65532:65532"
"""Nobody in particular, and not root."""

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_CREATED = "1980-01-01T00:00:00Z"
_TYPE = "application/vnd.oci.image."
_TAG = re.compile(r"[\w][\w.-]{0,127}")


class Image(Value, frozen=True, kw_only=True):
    """One image that was written."""

    folder: Path
    """An image layout."""
    archive: Path
    """The same as tar."""
    digest: str
    """Of the manifest: `sha256:...`."""


def write_image(built: Executable, output: Path) -> Image:
    """Write the image layout `NAME-VERSION.oci`, and the same as `NAME-VERSION.oci.tar`, over older ones.

    Raises:
        PackagingError: there is no OCI name of this machine's architecture, or no interpreter in the file.
    """
    if not built.has_interpreter:
        raise PackagingError(f"{built.file.name} has no interpreter in it, and an image has none beside it")
    architecture = _ARCHITECTURES.get(platform.machine())
    if architecture is None:
        raise PackagingError(
            f"an image for {platform.machine()} can't be built: {', '.join(_ARCHITECTURES)} can"
        )
    layers = [tar(_machine()), tar([Member(built.file.name, built.file, 0o755)])]
    compressed = [compress(layer) for layer in layers]
    config = _json(
        {
            "created": _CREATED,
            "architecture": architecture,
            "os": "linux",
            "config": {"User": USER, "Entrypoint": [f"/{built.file.name}"], "WorkingDir": "/"},
            "rootfs": {"type": "layers", "diff_ids": [_digest(layer) for layer in layers]},
        }
    )
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": f"{_TYPE}manifest.v1+json",
            "config": _descriptor("config.v1+json", config),
            "layers": [_descriptor("layer.v1.tar+gzip", layer) for layer in compressed],
        }
    )
    described = _descriptor("manifest.v1+json", manifest) | {
        "platform": {"architecture": architecture, "os": "linux"},
        "annotations": {"org.opencontainers.image.ref.name": _tag(built)},
    }
    index = {"schemaVersion": 2, "mediaType": f"{_TYPE}index.v1+json", "manifests": [described]}
    files = {
        "oci-layout": _json({"imageLayoutVersion": "1.0.0"}),
        "index.json": _json(index),
        **{f"blobs/sha256/{_hash(blob)}": blob for blob in (config, manifest, *compressed)},
    }
    return Image(
        folder=_write_folder(output / f"{built.file.name}.oci", files),
        archive=_write_archive(output / f"{built.file.name}.oci.tar", files),
        digest=_digest(manifest),
    )


def _machine() -> list[Member]:
    """Return what the executable needs of a machine: glibc, and a folder for temporary files."""
    libraries = [Member(str(path).lstrip("/"), path, 0o755) for path in glibc_files()]
    return [Member("tmp", mode=0o1777), *libraries]


def _tag(built: Executable) -> str:
    version = built.version
    return version if _TAG.fullmatch(version) else "latest"


def _descriptor(kind: str, blob: bytes) -> dict[str, object]:
    return {"mediaType": f"{_TYPE}{kind}", "digest": _digest(blob), "size": len(blob)}


def _write_folder(folder: Path, files: Mapping[str, bytes]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    for path in (folder / "blobs/sha256").iterdir():  # of an image that was there before
        if f"blobs/sha256/{path.name}" not in files:
            path.unlink()
    return folder


def _write_archive(file: Path, files: Mapping[str, bytes]) -> Path:
    write_whole(file, tar(Member(name, content) for name, content in sorted(files.items())))
    return file


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()


def _digest(blob: bytes) -> str:
    return f"sha256:{_hash(blob)}"


def _hash(blob: bytes) -> str:
    return hashlib.sha256(blob).hexdigest()
