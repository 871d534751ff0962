"""The whole inspection: all checks, in the order in which a server would make them."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path

from authkit.doctor.backend import inspect_mount, inspect_registration
from authkit.doctor.database import inspect_database
from authkit.doctor.ending import inspect_end
from authkit.doctor.file import inspect_file
from authkit.doctor.findings import Finding, Verdict, failed
from authkit.doctor.starts import Candidate, Watched, inspect_cookie, start_or_explain
from authkit.doctor.trust import inspect_certificate, inspect_strangers
from authkit.errors import AuthKitError
from authkit.host.supervisor.directories import lend_directory
from authkit.host.supervisor.executable import file_sum
from authkit.host.supervisor.run import START_TIMEOUT, ProcessRun

__all__ = ["inspect_plugin"]


async def inspect_plugin(
    path: str | os.PathLike[str],
    *,
    arguments: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    sha256: str = "",
    start_timeout: timedelta = START_TIMEOUT,
) -> list[Finding]:
    """Inspect a plugin executable. Checks that an earlier failure makes impossible are skipped.

    The plugin is started several times, as by a server. Its processes and files are removed.

    Args:
        path: the executable. Its directory is taken as the server's plugin directory.
        arguments: as they would be registered.
        environment: as it would be registered.
        sha256: the registered checksum, in hexadecimal; empty for none.
        start_timeout: until the handshake line, for each start.
    """
    found = Path(os.path.abspath(path))  # noqa: ASYNC240 (spells the path, asks no disk)
    findings = list(inspect_file(found, sha256, {**os.environ, **(environment or {})}))
    if any(finding.verdict is Verdict.FAILED for finding in findings):
        return findings
    with lend_directory() as temporary:
        candidate = Candidate(
            path=found,
            sha256=file_sum(found),
            arguments=tuple(arguments),
            registered=dict(environment or {}),
            timeout=start_timeout,
            temporary=temporary,
        )
        findings += [finding async for finding in _inspect_process(candidate)]
    return findings


async def _inspect_process(candidate: Candidate) -> AsyncIterator[Finding]:
    candidate, finding = await inspect_cookie(candidate)
    yield finding
    watched = Watched()
    run, findings = await start_or_explain(candidate, watched)
    for finding in findings:
        yield finding
    if run is None:
        return
    try:
        async for finding in _inspect_run(candidate, run):
            yield finding
    finally:
        end = await inspect_end(candidate, run, watched)
    for finding in end:
        yield finding


async def _inspect_run(candidate: Candidate, run: ProcessRun) -> AsyncIterator[Finding]:
    speaks_tls = run.announcement.certificate is not None
    try:
        if speaks_tls:
            for finding in inspect_certificate(run.announcement.certificate):
                yield finding
            yield await inspect_strangers(candidate, run)
        if candidate.is_database:
            for finding in await inspect_database(run):
                yield finding
            return
        findings, backend_type = await inspect_registration(run)
        for finding in findings:
            yield finding
        if speaks_tls:
            for finding in await inspect_mount(run, candidate.path.name, backend_type):
                yield finding
    except AuthKitError as error:
        seen = run.ended.result() if run.ended.done() else str(error)
        yield failed("process", seen, "It ended, or answered with what cannot be read, while it was asked.")
