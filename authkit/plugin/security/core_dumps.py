"""Core dumps: none of a plugin's process, whose memory holds tokens, passwords and keys.

A server's limit is inherited, and neither Vault (1.21) nor go-plugin (1.7) sets one. What a machine does with
dumps that it pipes to a program (`/proc/sys/kernel/core_pattern`) is up to that program: systemd-coredump
heeds the limit. `PR_SET_DUMPABLE` would also keep operators from looking at descriptors and stacks.
"""

from __future__ import annotations

import resource
from contextlib import suppress

__all__ = ["forbid_core_dumps"]


def forbid_core_dumps() -> None:
    """Let no crash write the memory of this process, or of those that it starts, into a file."""
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, hard))
