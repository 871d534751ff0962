"""How long it takes from the sources to a login on a running server: a computer's time, not an author's."""

from __future__ import annotations

import os
import re
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from time import monotonic

from livebed.bench.bed import GO
from livebed.binaries import ServerProgram, find_built
from livebed.client import Client
from livebed.compare.packing import go_build, timed
from livebed.compare.running import AUTHKIT, LOGIN, TEAM, Figures, Size
from livebed.pin_methods import EXAMPLE, GO_FOLDER
from livebed.plugins import Plugin, python_plugin
from livebed.server import Server

__all__ = ["measure_first_logins"]

ROOT = Path(__file__).resolve().parents[4]
CHANGED = "too many wrong PINs, try again later"
"""A text of both sources, in whose place others are written."""

Install = Callable[[Path, Path, Mapping[str, str]], Plugin]
"""Makes a plugin: in a folder for its tools, in a plugin directory, with the variables of caches."""


def measure_first_logins(size: Size) -> Figures:
    """Return seconds to a login: with empty caches, with filled ones, and after a change of the source."""
    installs: dict[str, Install] = {AUTHKIT: install_python, GO: install_go}
    found: dict[str, dict[str, list[float]]] = {}
    vault = find_built("vault")
    assert vault is not None
    for _ in range(size.first_logins):
        for label, install in installs.items():
            with (
                tempfile.TemporaryDirectory(prefix="authkit-compare-") as temporary,
                Server(ServerProgram(vault, "vault", "built"), log_level="warn") as server,
            ):
                folder = Path(os.path.realpath(temporary))
                times = first_logins(label, install, folder, server, os.environ | new_caches(folder))
                for name, seconds in times.items():
                    found.setdefault(name, {}).setdefault(label, []).append(seconds)
    return {
        name: {label: statistics.median(times) for label, times in by_label.items()}
        for name, by_label in found.items()
    }


def new_caches(folder: Path) -> dict[str, str]:
    """Return variables that give pip and Go caches of their own: empty ones, in the beginning."""
    return {
        "PIP_CACHE_DIR": str(folder / "caches/pip"),
        "GOCACHE": str(folder / "caches/go"),
        "GOMODCACHE": str(folder / "caches/modules"),
        "GOFLAGS": "-modcacherw",
        "PIP_CONSTRAINT": str(ROOT / "requirements/development.txt"),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }


def first_logins(
    label: str, install: Install, folder: Path, server: Server, environment: Mapping[str, str]
) -> dict[str, float]:
    """Make, register, mount and log in twice, so that caches are filled; then change the source."""
    times = {}
    for caches in ("nothing in caches", "caches filled"):
        began = monotonic()
        plugin = install(folder / caches.replace(" ", "-"), server.plugin_directory, environment)
        enable(server.client, plugin)
        times[f"seconds to the first login, {caches}"] = monotonic() - began
        server.client.delete(f"sys/auth/{plugin.name}")
    enable(server.client, plugin)
    times["seconds from a change to a login"] = change(label, plugin, folder, server, environment)
    return times


def enable(client: Client, plugin: Plugin) -> None:
    """Register and mount it, write a team, and log in."""
    plugin.register(client)
    client.write(f"sys/auth/{plugin.name}", type=plugin.name)
    client.write(f"auth/{plugin.name}/role/dev", **TEAM)
    client.login_answer(plugin.name, **LOGIN)


def install_python(folder: Path, plugins: Path, environment: Mapping[str, str]) -> Plugin:
    """Make a virtual environment with authkit, and a launcher that uses it."""
    timed([sys.executable, "-m", "venv", str(folder)], ROOT, environment)
    timed([str(folder / "bin/pip"), "install", "--quiet", str(ROOT)], ROOT, environment)
    return python_plugin(plugins, "pin_python", EXAMPLE.read_text(), interpreter=str(folder / "bin/python"))


def install_go(folder: Path, plugins: Path, environment: Mapping[str, str]) -> Plugin:
    """Compile a copy of the sources."""
    shutil.copytree(GO_FOLDER, folder)
    go_build(folder, plugins / "pin_go", environment)
    return Plugin("pin_go", plugins / "pin_go")


def change(label: str, plugin: Plugin, folder: Path, server: Server, environment: Mapping[str, str]) -> float:
    """Change a text of the source; return the seconds until a login at what was made of it."""
    sources = folder / "caches-filled"
    source = sources / "path_login.go" if label == GO else plugin.file
    changed, count = re.subn(CHANGED, "not so fast", source.read_text())
    assert count == 1
    began = monotonic()
    source.write_text(changed)
    if label == GO:
        # The server runs the file that is there: one that runs can't be written, but replaced.
        go_build(sources, folder / GO, environment)
        (folder / GO).replace(plugin.file)
    plugin.register(server.client)
    server.client.call("PUT", "sys/plugins/reload/backend", {"mounts": [f"auth/{plugin.name}/"]})
    server.client.login_answer(plugin.name, **LOGIN)
    return monotonic() - began
