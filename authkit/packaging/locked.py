"""The lines of a lock: each is a distribution with its hashes, or an error.

pip checks versions and hashes when it installs. Here nothing is dropped in silence, unless a lock of another
tool has it and it brings no distribution: comments, options of the index, and the project itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from authkit.packaging.errors import PackagingError
from authkit.packaging.project import Project
from authkit.values import Value

__all__ = ["Locked", "normalize", "read_lock"]

_COMMENT = re.compile(r"(^|\s)#.*")
_DISTRIBUTION = re.compile(r"([A-Za-z0-9][\w.-]*)\s*(\[[^\]]*\])?\s*(===?|@\s+(?P<url>\S+))")
_HASH = re.compile(r"\s--hash[\s=]|#sha256=")
_WEAK_HASH = re.compile(r"[#&](md5|sha1|sha224)=")
"""In a URL. pip takes a file that has any one of a line's hashes: this one would do instead of the others."""
_PROJECT = re.compile(r"(?:(?:-e|--editable)[\s=]\s*|[A-Za-z0-9][\w.-]*\s*@\s*)?(?P<path>\S+)")
"""A path of a project as uv, pip and pip-tools write it: `-e .`, `.`, or `NAME @ file:///path`."""

_IGNORED = re.compile(
    r"(-i|-f|--index-url|--extra-index-url|--find-links|--no-index|--trusted-host|--require-hashes|--pre"
    r"|--prefer-binary|--only-binary|--no-binary)(\s|=|$)"
)
"""pip's options of the index: a build has its own, and the hashes decide what goes in."""


class Locked(Value, frozen=True):
    """A distribution of the lock."""

    name: str
    """Normalized."""
    text: str
    """The requirement with its hashes, in one line."""


def read_lock(project: Project) -> list[Locked]:
    """Return what the lock of a project lists.

    Raises:
        PackagingError: it cannot be read, or a line that cannot be ignored is not a distribution with a hash,
            or a URL of something else than a wheel; the text names the line.
    """
    lock = project.lock
    try:
        text = lock.read_text()
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise PackagingError(
            f"{lock.name} can't be read ({reason}): authkit build --lock writes one"
        ) from None
    return [
        _read(line, f"{lock.name}:{number}")
        for number, line in _joined(text)
        if line and not _IGNORED.match(line) and not _is_project(line, project.folder)
    ]


def normalize(name: str) -> str:
    """Return the name of a distribution as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _read(line: str, where: str) -> Locked:
    found = _DISTRIBUTION.match(line)
    if found is None:
        raise PackagingError(
            f"{where}: {line!r} is not locked: list each distribution in this file, as NAME==VERSION or "
            "NAME @ URL with --hash=sha256:..."
        )
    if not _HASH.search(line):
        raise PackagingError(
            f"{where}: {found[1]} has no hash: add --hash=sha256:..., "
            "or write the lock with hashes (authkit build --lock, uv export, pip-compile --generate-hashes)"
        )
    if weak := _WEAK_HASH.search(line):
        raise PackagingError(
            f"{where}: {found[1]} has a hash of {weak[1]}, which would do instead of the others: "
            "remove it from the URL"
        )
    # --only-binary is for what an index offers: pip builds sources from a URL, with tools that nothing locks.
    if found["url"] and not urlsplit(found["url"]).path.endswith(".whl"):
        raise PackagingError(f"{where}: {found[1]} is no wheel: name the URL of a file that ends in .whl")
    return Locked(normalize(found[1]), line)


def _joined(text: str) -> Iterator[tuple[int, str]]:
    """Yield lines without comments, joined with those that continue them, each with its first number."""
    parts: list[str] = []
    first = 1
    for number, line in enumerate(text.splitlines(), 1):
        if not parts:
            first = number
        is_continued = line.endswith("\\") and not line.lstrip().startswith("#")
        parts.append((line.removesuffix("\\") if is_continued else line).strip())
        if not is_continued:
            yield first, _COMMENT.sub("", " ".join(parts)).strip()
            parts = []
    if parts:
        yield first, _COMMENT.sub("", " ".join(parts)).strip()


def _is_project(line: str, folder: Path) -> bool:
    """Whether a line without a hash is the path of the project itself, which is built beside its lock."""
    found = _PROJECT.fullmatch(line)
    if found is None:
        return False
    url = urlsplit(found["path"])
    path = unquote(url.path) if url.scheme == "file" else found["path"]
    return (folder / path).resolve() == folder.resolve()
