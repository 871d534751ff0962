"""Which programs are at hand: servers, the Go plugin, the load generator. scripts/live/build builds them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

__all__ = ["ServerProgram", "find_built", "find_servers"]

BUILD = Path(__file__).resolve().parents[3] / "scripts" / "live" / "build"


@dataclass(frozen=True)
class ServerProgram:
    """A server executable that is its own command line as well."""

    path: Path
    flavour: str
    """`vault` or `bao`."""
    origin: str
    """Where it was found, for the test's name."""

    @property
    def is_bao(self) -> bool:
        """Whether it is OpenBao."""
        return self.flavour == "bao"


@cache
def built() -> dict[str, str | None]:
    """Return the paths of what scripts/live/build has built, `None` for what it has not."""
    result = subprocess.run(
        [sys.executable, str(BUILD), "--where"], capture_output=True, text=True, check=True, timeout=600
    )
    paths: dict[str, str | None] = json.loads(result.stdout)
    return paths


def find_built(name: str) -> Path | None:
    """Return the built program of that name, `None` when it is not built."""
    path = built()[name]
    return Path(path) if path else None


def find_servers() -> list[ServerProgram]:
    """Return each distinct server at hand: the built one, those of the environment, those on PATH."""
    candidates = [
        ("vault", "built", built()["vault"]),
        ("vault", "AUTHKIT_VAULT", os.environ.get("AUTHKIT_VAULT")),
        ("bao", "AUTHKIT_BAO", os.environ.get("AUTHKIT_BAO")),
        ("vault", "PATH", shutil.which("vault")),
        ("bao", "PATH", shutil.which("bao")),
    ]
    servers: dict[Path, ServerProgram] = {}
    for flavour, origin, path in candidates:
        if path:
            resolved = Path(path).resolve()
            servers.setdefault(resolved, ServerProgram(resolved, flavour, origin))
    return list(servers.values())
