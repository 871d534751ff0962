"""The lock: a requirements file with the version and the hash of everything that goes into a package.

pip reads it (`--require-hashes`), and pip decides what is in a new one. It holds for one platform and one
minor version of Python. A lock that another tool has written will do as well, such as
`uv export --format requirements.txt`.
"""

from __future__ import annotations

import hashlib
import json
import platform
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from authkit.packaging.errors import PackagingError
from authkit.packaging.locked import normalize, read_lock
from authkit.packaging.programs import run
from authkit.packaging.project import Project

__all__ = ["install", "write_lock"]

_PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "--quiet")
_NOT_FOUND = "No matching distribution found"
"""What pip says of a distribution that it finds nowhere."""
_WITHOUT_WHEEL = (
    "The index has no wheel of it: make one with `pip wheel`, and name its folder with --find-links."
)


def write_lock(project: Project, *, find_links: Iterable[Path] = ()) -> int:
    """Write the lock from what the index has today; return how many distributions it lists.

    Raises:
        PackagingError: pip does not find everything as wheels for this interpreter, or has taken from the
            index what a folder of `find_links` has too.
    """
    folders = list(find_links)
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        options: list[str | Path] = [
            "install",
            "--dry-run",
            "--ignore-installed",
            "--only-binary",
            ":all:",
            *_links(folders),
        ]
        _run_pip([*options, "--report", report, project.folder], "the lock can't be written")
        found = json.loads(report.read_text())["install"]
    _verify_origins(found, folders)
    lines = sorted(_entry(each) for each in found if not each["is_direct"])
    header = (
        f"# What the plugin needs, for {platform.python_implementation()} {sys.version_info[0]}."
        f"{sys.version_info[1]} on {platform.machine()}. Written by `authkit build --lock`.\n"
    )
    project.lock.write_text(header + "".join(lines))
    return len(lines)


def _verify_origins(found: Iterable[dict[str, Any]], folders: Iterable[Path]) -> None:
    """Refuse what the index has put in the place of a folder's wheel.

    pip takes the highest version. Of a name that is not on the index, anybody may publish one there. The same
    file may come from either: `pip wheel` puts into a folder what it has taken from the index.
    """
    wheels = [wheel for folder in folders for wheel in folder.glob("*.whl")]
    in_folders = {normalize(wheel.name.partition("-")[0]): wheel.parent for wheel in wheels}
    same = {hashlib.sha256(wheel.read_bytes()).hexdigest() for wheel in wheels}
    for each in found:
        name, version = each["metadata"]["name"], each["metadata"]["version"]
        folder, download = in_folders.get(normalize(name)), each["download_info"]
        if download.get("archive_info", {}).get("hashes", {}).get("sha256") in same:
            continue
        if folder is not None and urlsplit(download["url"]).scheme != "file":
            raise PackagingError(
                f"the lock can't be written: pip would take {name} {version} from the index, and {folder} "
                f"has {name} as well. Take its wheel out of the folder, or forbid that version in "
                "`dependencies`"
            )


def _entry(found: dict[str, Any]) -> str:
    name, version = found["metadata"]["name"], found["metadata"]["version"]
    download = found["download_info"]
    sha256 = download.get("archive_info", {}).get("hashes", {}).get("sha256")
    url = urlsplit(download["url"])
    if sha256 is None and url.scheme == "file":
        sha256 = hashlib.sha256(Path(unquote(url.path)).read_bytes()).hexdigest()
    if sha256 is None:
        raise PackagingError(f"the lock can't be written: the index has no SHA-256 of {name} {version}")
    return f"{name}=={version} --hash=sha256:{sha256}\n"


def install(
    project: Project, target: Path, *, without: Sequence[str], find_links: Iterable[Path] = ()
) -> None:
    """Install the project, and everything in its lock but the distributions `without`, into a folder.

    Raises:
        PackagingError: there is no lock, a line of it is not locked, something has another hash, or there is
            no wheel of it.
    """
    left_out = {normalize(each) for each in without}
    wanted = [each.text for each in read_lock(project) if each.name not in left_out]
    with tempfile.TemporaryDirectory() as folder:
        build = ["wheel", "--no-deps", "--wheel-dir", folder]
        _run_pip([*build, project.folder], "the project can't be built")
        (wheel,) = Path(folder).glob("*.whl")
        name = wheel.name.partition("-")[0]
        sha256 = hashlib.sha256(wheel.read_bytes()).hexdigest()
        wanted.append(f"{name} @ {wheel.as_uri()} --hash=sha256:{sha256}")
        requirements = Path(folder) / "requirements.txt"
        requirements.write_text("\n".join(wanted) + "\n")
        # At once: into a folder that has a package already, pip does not install another part of it.
        options = ["install", "--no-deps", "--no-compile", "--require-hashes", "--only-binary", ":all:"]
        command: list[str | Path] = [*options, "--target", target, *_links(find_links)]
        _run_pip([*command, "--requirement", requirements], f"what {project.lock.name} lists can't be had")


def _run_pip(arguments: Iterable[str | Path], what: str) -> None:
    try:
        run([*_PIP, *arguments], what)
    except PackagingError as error:
        hint = f"\n{_WITHOUT_WHEEL}" if _NOT_FOUND in str(error) else ""
        raise PackagingError(f"{error}{hint}") from None


def _links(folders: Iterable[Path]) -> list[str | Path]:
    return [part for folder in folders for part in ("--find-links", folder)]
