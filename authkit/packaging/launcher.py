"""The launcher of a packed plugin, compiled from `launcher/`: a static executable."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

from authkit.packaging.errors import PackagingError
from authkit.packaging.kinds import KINDS
from authkit.packaging.programs import find_program, run
from authkit.plugin.handshake import notice

__all__ = ["build_launcher", "find_go_version"]

_SETTING = re.compile(r"GO(?!ROOT|CACHE|TMPDIR|PATH)\w+")
"""A variable that changes what the compiler makes, unlike those that name its folders."""

_SOURCES = Path(__file__).parent / "launcher"


def build_launcher(folder: Path, kind: str) -> Path:
    """Compile the launcher of a kind of plugin in an empty folder, and return its path.

    The same compiler makes the same bytes.

    Raises:
        PackagingError: there is no Go compiler, or it fails.
    """
    go = _find_go()
    shutil.copytree(_SOURCES, folder, dirs_exist_ok=True)
    found = KINDS[kind]
    settings = {
        "cookieKey": found.cookie_key,
        "cookieValue": found.cookie_value,
        "notice": notice("%s", found.enabling),
    }
    constants = "\n".join(f"const {name} = {json.dumps(value)}" for name, value in settings.items())
    (folder / "settings.go").write_text(f"package main\n\n{constants}\n")
    output = folder / "launcher"
    # Neither C, nor modules, nor another compiler from the network; for any processor of this architecture.
    inherited = {name: value for name, value in os.environ.items() if not _SETTING.fullmatch(name)}
    environment = inherited | {
        "CGO_ENABLED": "0",
        "GO111MODULE": "on",
        "GOENV": "off",
        "GOPROXY": "off",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
    }
    options = ["-trimpath", "-buildvcs=false", "-ldflags=-s -w -buildid="]
    run([go, "build", "-C", folder, *options, "-o", output, "."], "the launcher", environment=environment)
    return output


def find_go_version() -> str:
    """Return the version of the compiler, and so of the library in the launcher, such as `1.25.4`.

    Raises:
        PackagingError: there is no Go compiler, or it fails.
    """
    environment = os.environ | {"GOTOOLCHAIN": "local"}
    told = run([_find_go(), "env", "GOVERSION"], "the version of Go", environment=environment)
    return told.strip().removeprefix("go")


def _find_go() -> Path:
    go = find_program("go")
    if go is None:
        raise PackagingError("the launcher is compiled by Go: install vault-authkit with its extra `build`")
    return go
