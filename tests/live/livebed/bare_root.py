"""A root directory with glibc and a server in it, and nothing else: no shell, no Python. Needs root."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

from livebed.binaries import ServerProgram

__all__ = ["can_make_roots", "in_bare_root"]

GLIBC = re.compile(r"(ld-linux|lib(c|m|dl|pthread|rt|util|resolv|nss_files|nss_dns)\.so)")

ENTER = """\
#!/bin/sh
# Become a server in a root of its own; the folder that it is started in is there under the same path.
set -e
exec unshare --mount /bin/sh -c '
set -e
root=$1; program=$2; shift 2
mkdir -p "$root/proc" "$root/dev" "$root/etc" "$root$PWD"
: > "$root/server"
mount --rbind /proc "$root/proc"
mount --rbind /dev "$root/dev"
mount --bind "$PWD" "$root$PWD"
mount --bind "$program" "$root/server"
exec /usr/sbin/chroot "$root" /server "$@"
' sh {root} {program} "$@"
"""


def can_make_roots() -> bool:
    """Whether this process may make mounts of its own."""
    command = ["unshare", "--mount", "true"]
    return os.geteuid() == 0 and subprocess.run(command, capture_output=True, check=False).returncode == 0


def in_bare_root(program: ServerProgram, folder: Path) -> ServerProgram:
    """Return a server with a root below `folder`. The folder that it is started in is there as well."""
    root = folder / "root"
    libraries = root / "lib/x86_64-linux-gnu"
    libraries.mkdir(parents=True)
    (root / "lib64").symlink_to("lib/x86_64-linux-gnu")
    for path in Path("/lib/x86_64-linux-gnu").iterdir():
        if GLIBC.match(path.name):
            shutil.copy2(path.resolve(), libraries / path.name)
    enter = folder / program.flavour
    enter.write_text(ENTER.format(root=root, program=program.path))
    enter.chmod(0o755)
    return replace(program, path=enter)
