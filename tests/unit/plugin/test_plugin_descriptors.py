"""Descriptors: the limit of a plugin's process, and those that are not for new mounts."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Callable

import pytest

from authkit.plugin.descriptors import RESERVED, find_shortage

RAISED = """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (100, 200))
from authkit.plugin.descriptors import raise_limit
raise_limit()
raise_limit()
print(resource.getrlimit(resource.RLIMIT_NOFILE))
"""


@pytest.fixture
def allow(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Set what the process seems to be allowed."""
    return lambda limit: monkeypatch.setattr(resource, "getrlimit", lambda _: (limit, limit))


def lowest_free() -> int:
    """Return the number of the next descriptor."""
    descriptor = os.open(os.devnull, os.O_RDONLY)
    os.close(descriptor)
    return descriptor


def test_the_limit_is_raised_as_far_as_it_may_be() -> None:
    """A server in Go starts plugins with the soft limit that it was started with: often 1,024."""
    shown = subprocess.run(
        [sys.executable, "-c", RAISED], capture_output=True, text=True, check=True, timeout=60
    )
    assert shown.stdout.strip() == "(200, 200)"


def test_the_last_descriptors_are_kept(allow: Callable[[int], None]) -> None:
    """The mount that would take one of them is refused, and the text says what to do."""
    allow(lowest_free() + RESERVED + 1)
    assert find_shortage() == ""
    limit = lowest_free() + RESERVED
    allow(limit)
    assert find_shortage().startswith(
        f"this process may have {limit} file descriptors, and the last 16 are kept"
    )
    assert "ulimit -n, LimitNOFILE=" in find_shortage()


def test_no_limit(allow: Callable[[int], None]) -> None:
    """Without one there is always room."""
    allow(resource.RLIM_INFINITY)
    assert find_shortage() == ""


def test_no_descriptor_at_all(allow: Callable[[int], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even the look at them needs one."""
    monkeypatch.setattr(os, "open", lambda *_: (_ for _ in ()).throw(OSError(24, "Too many open files")))
    allow(1024)
    assert "1024" in find_shortage()
