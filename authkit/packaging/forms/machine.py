"""What a machine's interpreter runs first: it ends unless it is the one that the plugin needs.

`zipapp.py` packs this source. All versions of Python since 3.6 can run it, so that they say which
one is needed: annotations that they can't evaluate are quoted.
"""

import os
import stat
import sys
from _imp import extension_suffixes

__all__ = ["describe_interpreter", "find_fault", "find_open_folder", "find_suffix", "require"]


def require(version: str, suffix: str, glibc: str) -> None:
    """End the process with a line for the server's log if `find_fault` finds something.

    `version` is such as `3.11`, `suffix` as `cpython-311-x86_64-linux-gnu`, `glibc` as `2.34`, or empty.
    """
    fault = find_fault(version, suffix, glibc)
    if not fault:
        return
    import json
    import time

    # The form of hclog (go-plugin 1.8, client.go, logStderr).
    now = time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime())
    line = {"@level": "error", "@message": fault, "@module": "launcher", "@timestamp": now}
    sys.stderr.write(json.dumps(line) + "\n")
    sys.exit(1)


def find_fault(version: str, suffix: str, glibc: str) -> str:
    """Return what is wrong with this interpreter and what to do, or nothing."""
    major, minor = map(int, version.split("."))
    found = f"{sys.executable} is {describe_interpreter()}"
    advice = f"install python{version}, or name one in AUTHKIT_PYTHON by its absolute path"
    if sys.implementation.name != "cpython" or sys.version_info[:2] != (major, minor):
        return f"this plugin needs CPython {version}, and {found}: {advice}"
    if find_suffix() != suffix:
        return f"this plugin needs CPython {version} of the kind {suffix}, and {found}: {advice}"
    if glibc and _number(_glibc()) < _number(glibc):
        return (
            f"this plugin needs glibc {glibc} or later, and this machine has {_glibc() or 'none'}: "
            "build the plugin on an older distribution"
        )
    folder = find_open_folder(sys.path)
    if folder:
        return f"{sys.executable} can't be used: it imports from {folder}, which others may change: {advice}"
    return ""


def describe_interpreter() -> str:
    """Return implementation, version and kind of this interpreter."""
    names = {"cpython": "CPython", "pypy": "PyPy"}
    name = names.get(sys.implementation.name, sys.implementation.name)
    version = ".".join(map(str, sys.implementation.version[:3]))
    return f"{name} {version} ({find_suffix()})"


def find_suffix() -> str:
    """Return what extension modules are named by: implementation, version, machine and C library."""
    return extension_suffixes()[0].lstrip(".").rpartition(".")[0]


def find_open_folder(paths: "list[str]") -> str:
    """Return the first of the folders, or one above, that others than root and this user may write to."""
    for path in paths:
        folder = os.path.realpath(path)
        while True:
            if os.path.exists(folder) and _is_open(folder):
                return folder
            if folder == os.path.dirname(folder):
                break
            folder = os.path.dirname(folder)
    return ""


def _is_open(folder: str) -> bool:
    status = os.stat(folder)
    others_write = stat.S_IMODE(status.st_mode) & (stat.S_IWGRP | stat.S_IWOTH)
    return bool(others_write) or status.st_uid not in (0, os.geteuid())


def _glibc() -> str:
    """Return the version of glibc, or nothing where there is another library."""
    try:
        return (os.confstr("CS_GNU_LIBC_VERSION") or "").rpartition(" ")[2]
    except (ValueError, OSError):
        return ""


def _number(version: str) -> "tuple[int, ...]":
    return tuple(int(part) for part in version.split(".") if part.isdigit())
