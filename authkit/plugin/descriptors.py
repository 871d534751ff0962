"""File descriptors: as many as the system allows; the last ones are not for new mounts.

Each mount keeps a connection to its host. A process without a free descriptor cannot load a module, look a
name up or reach an identity provider: one mount too many would end the logins of all others.
"""

from __future__ import annotations

import os
import resource
from contextlib import suppress
from typing import Final

__all__ = ["RESERVED", "find_shortage", "raise_limit"]

RESERVED: Final = 16
"""Kept for the mounts that are served: enough to import a module, or to ask a few providers at once."""


def raise_limit() -> None:
    """Allow this process as many descriptors as its hard limit, like the runtime of Go (1.19, os/rlimit.go).

    What cannot be raised stays as it is.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def find_shortage() -> str:
    """Return why there is no descriptor for another mount; empty if there is one."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    # A new descriptor is the lowest number that is free (POSIX, open): all below it are in use.
    if limit == resource.RLIM_INFINITY or _lowest_free(limit) + RESERVED < limit:
        return ""
    return (
        f"this process may have {limit} file descriptors, and the last {RESERVED} are kept for its "
        "mounts; raise the limit of the server (ulimit -n, LimitNOFILE=) and restart it"
    )


def _lowest_free(limit: int) -> int:
    try:
        descriptor = os.open(os.devnull, os.O_RDONLY)
    except OSError:
        return limit
    os.close(descriptor)
    return descriptor
