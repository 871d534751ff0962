"""Checks of the shutdown: exit status, output, log lines and files left behind."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator

from authkit.doctor.findings import Finding, failed, passed, warning
from authkit.doctor.starts import Candidate, Watched
from authkit.host.supervisor.run import SHUTDOWN_TIMEOUT, ProcessRun

__all__ = ["inspect_end"]

_SHOWN = 5


async def inspect_end(candidate: Candidate, run: ProcessRun, watched: Watched) -> list[Finding]:
    """Stop the plugin, and check its shutdown."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    await run.stop()
    seconds, status = loop.time() - begun, run.child.status
    return [_judge_end(seconds, status), *_judge_output(watched), *_judge_files(candidate)]


def _judge_end(seconds: float, status: int | None) -> Finding:
    check = "shutdown"
    if status == 0:
        return passed(check, f"ended {seconds:.2f} s after Shutdown with status 0")
    if status is not None and status > 0:
        advice = "End with status 0 after Shutdown: a server logs anything else as an error."
        return warning(check, f"ended {seconds:.2f} s after Shutdown with status {status}", advice)
    limit = SHUTDOWN_TIMEOUT.total_seconds()
    advice = "Stop at plugin.GRPCController/Shutdown, threads included; a server kills after two seconds."
    return warning(check, f"did not end within {limit:.0f} s of Shutdown and was killed", advice)


def _judge_output(watched: Watched) -> Iterator[Finding]:
    later = watched.printed[1:]
    if later:
        yield warning(
            "stdout after the handshake",
            "\n".join(later[:_SHOWN]),
            "Log to standard error: a server drops it, and a line beyond 64 KiB blocks the plugin for ever.",
        )
    if watched.faults:
        deadly = [record for record in watched.faults if "dies" in record.fault]
        record = (deadly or watched.faults)[0]
        seen = f"{len(watched.faults)} lines, such as {record.message[:200]!r}: {record.fault}"
        advice = "Write hclog's JSON: @level, @message and @timestamp as text, one line below 64 KiB each."
        yield (failed if deadly else warning)("log lines", seen, advice)
    else:
        yield passed("log lines", f"{len(watched.logged)}, all readable")


def _judge_files(candidate: Candidate) -> Iterator[Finding]:
    left = sorted(os.listdir(candidate.temporary))
    if left:
        advice = "Remove sockets and files of its own at the end: a server starts it many times."
        yield warning("temporary files", f"left behind: {', '.join(left[:_SHOWN])}", advice)
    else:
        yield passed("temporary files", "none left behind")
