"""The programs that packaging runs: pip, the Go compiler, tools for executables."""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
from collections.abc import Mapping, Sequence
from pathlib import Path

from authkit.packaging.errors import PackagingError

__all__ = ["find_program", "run"]

SECONDS = 1800.0
LAST_LINES = 15
"""Of a program that failed, in the error."""


def run(command: Sequence[str | Path], what: str, *, environment: Mapping[str, str] | None = None) -> str:
    """Run a program, and return its standard output.

    Raises:
        PackagingError: it failed: `what` could not be done, and what the program says.
    """
    try:
        done = subprocess.run(  # noqa: S603  (the programs and arguments are our own)
            list(map(str, command)),
            env=None if environment is None else dict(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PackagingError(f"{what}: {error}") from None
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()[-LAST_LINES:]
        raise PackagingError("\n".join([f"{what}: {Path(command[0]).name} failed", *said]))
    return done.stdout


def find_program(name: str) -> Path | None:
    """Return a program of this environment, else of `PATH`."""
    path = os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", os.defpath)])
    found = shutil.which(name, path=path)
    return Path(found) if found else None
