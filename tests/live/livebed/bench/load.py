"""One run of the load generator, and the CPU time that each process used meanwhile."""

from __future__ import annotations

import json
import resource
import subprocess
import tempfile
from collections.abc import Mapping
from typing import Any

from livebed.bench.traffic import Traffic
from livebed.binaries import find_built
from livebed.processes import cpu_seconds

__all__ = ["Figures", "run_load"]

LIMIT_SECONDS = 120

Figures = dict[str, float]
"""Of one run, by name: `per_second`, `p50_ms`, `cpu_ms_plugin` and others."""


def run_load(
    address: str, traffic: Traffic, processes: Mapping[str, int], *, clients: int, count: int
) -> Figures:
    """Send `count` requests from so many clients.

    `processes` are names and process ids: `cpu_ms_<name>` is what one request cost there.

    Raises:
        AssertionError: an answer was not as expected.
    """
    load = find_built("load")
    assert load is not None
    with tempfile.NamedTemporaryFile("w") as file:
        file.writelines(request.line + "\n" for request in traffic.take(count))
        file.flush()
        command = [
            str(load),
            f"-address={address}",
            f"-requests={file.name}",
            f"-member={'' if traffic.is_refused else traffic.member}",
            f"-refused={json.dumps(traffic.is_refused)}",
            f"-clients={clients}",
            f"-count={count}",
            f"-limit={LIMIT_SECONDS}s",
        ]
        before = {name: cpu_seconds(pid) for name, pid in processes.items()}
        before_children = children_seconds()
        output = subprocess.run(
            command,
            env={"LOAD_TOKEN": traffic.token},
            check=True,
            stdout=subprocess.PIPE,
            text=True,
            timeout=2 * LIMIT_SECONDS,
        ).stdout
        used = {name: cpu_seconds(pid) - before[name] for name, pid in processes.items()}
    used["load"] = children_seconds() - before_children
    result: dict[str, Any] = json.loads(output)
    assert result["errors"] == 0 and result["requests"] == count, result  # noqa: PT018 - shown together
    return result | {f"cpu_ms_{name}": 1000 * seconds / count for name, seconds in used.items()}


def children_seconds() -> float:
    """Return the CPU time of the child processes that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
