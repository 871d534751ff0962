"""Checks of the file, without executing it: place, owner, mode, interpreter and checksum."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from authkit.doctor.findings import Finding, Verdict, failed, passed, warning
from authkit.errors import PluginStartError
from authkit.host.supervisor.executable import (
    MAX_FIRST_LINE_BYTES,
    check_permissions,
    check_sum,
    file_sum,
    find_command,
)
from authkit.host.supervisor.hints import explain

__all__ = ["inspect_file"]

_ELF = b"\x7fELF"


def inspect_file(path: Path, sha256: str, environment: Mapping[str, str]) -> Iterator[Finding]:
    """Yield findings. Stop at the first that makes further checks impossible."""
    if not os.path.lexists(path):
        yield failed("exists", f"{path} does not exist", "Name the executable that is to be registered.")
        return
    yield passed("exists", str(path))
    yield (kind := _regular(path))
    if kind.verdict is Verdict.FAILED:
        return
    yield _executable(path)
    yield from _permissions(path)
    yield _place(path)
    yield _file_system(path)
    yield _interpreter(path, environment)
    yield _sum(path, sha256)


def _regular(path: Path) -> Finding:
    check = "regular file"
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        return failed(check, f"{path}: {error.strerror}", "Repair or replace the symlink.")
    if stat.S_ISREG(mode):
        return passed(check, stat.filemode(mode))
    return failed(check, stat.filemode(mode), "A plugin is one executable file, not a directory or device.")


def _executable(path: Path) -> Finding:
    check, mode = "executable", stat.filemode(os.stat(path).st_mode)
    if os.access(path, os.X_OK):
        return passed(check, mode)
    return failed(check, f"{mode}: fork/exec {path}: permission denied", f"chmod 755 {path}")


def _permissions(path: Path) -> Iterator[Finding]:
    for check, place in (("owner and mode", path), ("owner and mode of the directory", path.parent)):
        try:
            check_permissions(place)
        except PluginStartError as error:
            yield warning(check, str(error), explain(str(error)))
        else:
            found = os.stat(place)
            yield passed(check, f"uid {found.st_uid}, {stat.filemode(found.st_mode)}")


def _place(path: Path) -> Finding:
    """Check the path as a server would with the file's directory as `plugin_directory`."""
    check, directory = "symlinks", path.parent
    try:
        find_command(directory, path.name)
    except PluginStartError as error:
        return failed(check, str(error), explain(str(error)))
    leads_to = f" (a symlink to {os.readlink(path)})" if path.is_symlink() else ""
    return passed(check, f"{path.name} is in {directory}{leads_to}")


def _file_system(path: Path) -> Finding:
    check = "file system"
    if os.statvfs(path).f_flag & os.ST_NOEXEC:
        return failed(
            check,
            f"{path.parent} is mounted with noexec: fork/exec {path}: permission denied",
            "Put the plugin directory on a file system that allows execution.",
        )
    return passed(check, "programs may be executed")


def _interpreter(path: Path, environment: Mapping[str, str]) -> Finding:
    check = "interpreter"
    with path.open("rb") as file:
        start = file.read(MAX_FIRST_LINE_BYTES + 1)
    if start.startswith(_ELF):
        return passed(check, "none needed: a binary")
    if not start.startswith(b"#!"):
        text = f"fork/exec {path}: exec format error"
        return failed(check, f"no `#!` at the start, and no binary: {text}", explain(text))
    line = start[2:].partition(b"\n")[0]
    if b"\n" not in start and len(start) > MAX_FIRST_LINE_BYTES:
        return failed(
            check,
            f"the first line is longer than {MAX_FIRST_LINE_BYTES} bytes",
            "Linux cuts it silently: use a shorter path, such as a virtual environment nearer the root.",
        )
    if line.endswith(b"\r"):
        return failed(
            check,
            "the first line ends with a carriage return, which becomes a part of the interpreter's name",
            "Save the file with Unix line ends.",
        )
    return _program(check, path, line.decode(errors="replace").split(), environment)


def _program(check: str, path: Path, words: list[str], environment: Mapping[str, str]) -> Finding:
    name = words[0] if words else ""
    if not os.path.isfile(name):
        text = f"fork/exec {path}: no such file or directory"
        return failed(check, f"{name or 'nothing'} does not exist: {text}", explain(text))
    if not os.access(name, os.X_OK):
        return failed(check, f"{name} is not executable", f"chmod 755 {name}")
    if os.path.basename(name) != "env":
        return passed(check, " ".join(words))
    program = next((word for word in words[1:] if not word.startswith("-") and "=" not in word), "")
    found = shutil.which(program, path=environment.get("PATH", os.defpath)) if program else None
    if found is None:
        return failed(check, f"{program or 'nothing'} is not on PATH", "Name the interpreter by its path.")
    return warning(
        check,
        f"{program} is {found} here",
        "A server's PATH is another one, and so may be the interpreter: name it by its path.",
    )


def _sum(path: Path, sha256: str) -> Finding:
    check = "sha256"
    try:
        if sha256:
            check_sum(path, sha256)
        return passed(check, file_sum(path))
    except PluginStartError as error:
        return failed(check, f"{error}. {error.hint}".strip(), explain(str(error)))
    except OSError as error:
        return failed(check, f"{path}: {error.strerror}", "Let the server's user read the file.")
