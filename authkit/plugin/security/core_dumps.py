"""Core dumps: none of a plugin's process, whose memory holds tokens, passwords and keys.

A server's limit is inherited, and neither Vault (1.21) nor go-plugin (1.7) sets one. Where a machine pipes
dumps to a program (`/proc/sys/kernel/core_pattern`), Linux heeds no limit but one of a single byte, at
which it makes none at all (fs/coredump.c, do_coredump). `PR_SET_DUMPABLE` would also keep operators from
looking at descriptors and stacks.
"""

from __future__ import annotations

import resource
from contextlib import suppress

__all__ = ["forbid_core_dumps"]


def forbid_core_dumps() -> None:
    """Let no crash write the memory of this process, or of those that it starts, anywhere."""
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0 if hard == 0 else 1, hard))
