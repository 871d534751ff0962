"""What is put on a server: sizes, how long builds take, and how long what they make takes to start."""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from authkit.cli.new import write_project
from authkit.packaging.interpreter.program import original_interpreter
from livebed.bench.bed import GO
from livebed.bench.starts import measure_starts
from livebed.compare.running import AUTHKIT, Size
from livebed.packages import build_wheels, lock_project
from livebed.pin_methods import EXAMPLE, GO_FOLDER, pin_in_python

__all__ = ["Form", "go_build", "measure_forms", "timed"]

NAME = "team-pin"
PACKAGE = "team_pin"
BUILD_SECONDS = 1800
MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Form:
    """One file that a server can start."""

    name: str
    megabytes: float
    build_seconds: float | None
    """With everything in caches; `None` where nothing is built."""
    handshake_ms: float
    refusal_ms: float


def measure_forms(size: Size) -> list[Form]:
    """Build every form and start each in turn."""
    with tempfile.TemporaryDirectory(prefix="authkit-compare-") as temporary:
        folder = Path(os.path.realpath(temporary))
        wheels = build_wheels(folder / "wheels")
        project = write_pin_project(folder / NAME, wheels)
        launcher = pin_in_python(folder, "launcher").file
        forms: dict[str, tuple[Path, float | None]] = {
            f"{AUTHKIT}, in a virtual environment": (launcher, None),
            f"{AUTHKIT} build --zipapp": authkit_build(
                project, folder / "zipapp", wheels, size.builds, "--zipapp"
            ),
            f"{AUTHKIT} build": authkit_build(project, folder / "standalone", wheels, size.builds),
        }
        for name, options in {"go build": (), 'go build -ldflags="-s -w"': ("-ldflags=-s -w",)}.items():
            binary = folder / f"{GO}{len(forms)}"
            for _ in range(size.builds):
                forms[name] = binary, go_build(GO_FOLDER, binary, os.environ, *options)
        files = {name: file for name, (file, _) in forms.items()}
        times = measure_starts(files, size.starts, {"AUTHKIT_PYTHON": str(original_interpreter())})
        return [
            Form(
                name,
                file.stat().st_size / MEGABYTE,
                seconds,
                statistics.median(times["handshake"][name]),
                statistics.median(times["refusal"][name]),
            )
            for name, (file, seconds) in forms.items()
        ]


def write_pin_project(folder: Path, wheels: Path) -> Path:
    """Write a project as `authkit new` does, with the example as its method."""
    write_project(NAME, folder)
    (folder / PACKAGE / "method.py").write_text(EXAMPLE.read_text())
    (folder / PACKAGE / "__init__.py").write_text(f"from {PACKAGE}.method import SharedPIN as SharedPIN\n")
    settings = folder / "pyproject.toml"
    named, count = re.subn(
        rf'plugin = "{PACKAGE}:\w+"', f'plugin = "{PACKAGE}:SharedPIN"', settings.read_text()
    )
    assert count == 1
    settings.write_text(named)
    return lock_project(folder, wheels).folder


def authkit_build(
    project: Path, output: Path, wheels: Path, builds: int, *options: str
) -> tuple[Path, float]:
    """Build `builds` times; return the file and the seconds of the last build, with everything in caches."""
    command = [sys.executable, "-m", "authkit", "build", str(project), "--output", str(output)]
    command += ["--find-links", str(wheels), *options]
    seconds = [timed(command, project, os.environ) for _ in range(builds)]
    return output / "shared_pin-0.1.0", seconds[-1]


def go_build(sources: Path, output: Path, environment: Mapping[str, str], *options: str) -> float:
    """Build the method in Go; return how many seconds that took."""
    return timed(["go", "build", "-buildvcs=false", *options, "-o", str(output), "."], sources, environment)


def timed(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> float:
    """Run a command; return how many seconds that took."""
    began = time.monotonic()
    subprocess.run(
        command,
        cwd=folder,
        env=dict(environment),
        stdout=subprocess.DEVNULL,
        check=True,
        timeout=BUILD_SECONDS,
    )
    return time.monotonic() - began
