"""Checks of the start: magic cookie, output before the handshake, handshake and protocol."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from authkit.database.serving import PROTOCOL_VERSIONS
from authkit.doctor.findings import Finding, failed, passed, warning
from authkit.errors import PluginStartError
from authkit.host.supervisor.child import Child, start_child
from authkit.host.supervisor.directories import lend_directory
from authkit.host.supervisor.environment import (
    BACKEND_COOKIE,
    DATABASE_COOKIE,
    Cookie,
    plugin_environment,
)
from authkit.host.supervisor.executable import file_sum
from authkit.host.supervisor.hints import explain
from authkit.host.supervisor.logs import PluginLog
from authkit.host.supervisor.run import ProcessOptions, ProcessRun, start_process
from authkit.host.supervisor.security import AutoMTLS, Metadata, Security
from authkit.masking import mask_logged
from authkit.printable import to_printable
from authkit.values import Value, replace

__all__ = ["Candidate", "Watched", "inspect_cookie", "serves_database", "start_or_explain"]

ASKING_TIMEOUT: Final = timedelta(seconds=20)
"""For a file that is asked whether it is a database plugin: a packed one unpacks itself first."""

SLOW_START = timedelta(seconds=10)
"""A slower start gets a warning. A server waits for a minute, and delays other plugins meanwhile."""

NOISE_WAIT = timedelta(seconds=5)

_SHOWN_CHARACTERS = 200
_SHOWN_LINES = 5


@dataclass(slots=True)
class Watched:
    """Observations of one start. Filled while the process runs."""

    printed: list[str] = field(default_factory=list)
    """Lines on standard output, the handshake line among them."""
    logged: list[PluginLog] = field(default_factory=list)
    began: float = 0.0
    first_line_after: float | None = None

    def on_stdout(self, line: bytes, is_piece: bool) -> None:
        """Take a line of standard output."""
        if self.first_line_after is None:
            self.first_line_after = asyncio.get_running_loop().time() - self.began
        self.printed.append(_shown(line))

    @property
    def faults(self) -> list[PluginLog]:
        """The log lines that a server would misread."""
        return [record for record in self.logged if record.fault]


class Candidate(Value, frozen=True, kw_only=True):
    """The plugin under inspection. Set by the inspector."""

    path: Path
    sha256: str
    arguments: Sequence[str]
    registered: dict[str, str]
    timeout: timedelta
    temporary: str
    """A private directory, passed as TMPDIR."""
    is_database: bool = False
    """Whether it is a database plugin."""

    @property
    def cookie(self) -> Cookie:
        """The cookie of its kind of plugin."""
        return DATABASE_COOKIE if self.is_database else BACKEND_COOKIE

    def auto_mtls(self) -> AutoMTLS:
        """Return the security that a server offers its kind of plugin first."""
        return AutoMTLS(versions=PROTOCOL_VERSIONS) if self.is_database else AutoMTLS()

    def plan(self, security: Security, watched: Watched) -> ProcessOptions:
        """Return the parameters of one start."""
        environment = plugin_environment(
            security, inherited=os.environ, registered=self.registered, cookie=self.cookie
        )
        return ProcessOptions(
            path=str(self.path),
            arguments=self.arguments,
            environment=environment | {"TMPDIR": self.temporary},
            sha256=self.sha256,
            security=security,
            timeout=self.timeout,
            on_stdout=watched.on_stdout,
            on_log=watched.logged.append,
        )

    async def start(self, security: Security, watched: Watched) -> ProcessRun:
        """Start the plugin.

        Raises:
            PluginStartError: the plugin did not start.
        """
        watched.began = asyncio.get_running_loop().time()
        return await start_process(self.plan(security, watched))


def _shown(line: bytes) -> str:
    return to_printable(mask_logged(line[:_SHOWN_CHARACTERS].decode(errors="replace")))


async def start_or_explain(candidate: Candidate, watched: Watched) -> tuple[ProcessRun | None, list[Finding]]:
    """Start a plugin on protocol 5, else on 4, and check the handshake; a database plugin on 6 or 5."""
    try:
        run = await candidate.start(candidate.auto_mtls(), watched)
    except PluginStartError as error:
        if candidate.is_database:
            return None, [failed("handshake", _start_of(str(error)), error.hint)]
        return await _start_on_4(candidate, watched, error)
    seconds = watched.first_line_after or 0.0
    slow = seconds > SLOW_START.total_seconds()
    handshake = (
        warning("handshake", f"after {seconds:.1f} s", "Import and prepare less before serving.")
        if slow
        else passed("handshake", f"after {seconds:.2f} s")
    )
    return run, [handshake, passed("protocol version", f"{run.protocol}")]


async def _start_on_4(
    candidate: Candidate, watched: Watched, first: PluginStartError
) -> tuple[ProcessRun | None, list[Finding]]:
    findings = []
    noise = await _noise(candidate) if "Unrecognized remote plugin message" in str(first) else []
    if noise:
        findings.append(
            failed(
                "stdout before the handshake",
                "\n".join(noise),
                "Print nothing to standard output before serving has begun; log to standard error.",
            )
        )
    try:
        run = await candidate.start(Metadata(), watched)
    except PluginStartError:
        return None, [*findings, failed("handshake", _start_of(str(first)), first.hint)]
    old = warning(
        "protocol version",
        f"{run.protocol} only ({_start_of(str(first))})",
        "Speak protocol 5: 4 needs a call back to the server's API for its certificate, "
        "and a process per mount.",
    )
    return run, [*findings, passed("handshake", "on protocol 4"), old]


async def _noise(candidate: Candidate) -> list[str]:
    """Return lines printed before the handshake line; empty if that line never comes."""
    lines: list[str] = []
    found: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def on_stdout(line: bytes, is_piece: bool) -> None:
        text = _shown(line)
        if found.done():
            return
        if text.startswith("1|") and text.count("|") >= 4:
            found.set_result(None)
        else:
            lines.append(text)

    with lend_directory() as temporary:  # a killed process leaves files behind
        plan = replace(candidate, temporary=temporary).plan(AutoMTLS(), Watched())
        child = await start_child(plan.path, plan.arguments, plan.environment, _unheard, on_stdout)
        waited: set[asyncio.Future[Any]] = {found, child.ended}
        seconds = NOISE_WAIT.total_seconds()
        await asyncio.wait(waited, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        is_noise = found.done()
        child.kill()
        await child.ended
    found.cancel()
    return lines[:_SHOWN_LINES] if is_noise else []


def _unheard(line: bytes, is_piece: bool) -> None:
    """Ignore a log line."""


def _start_of(text: str) -> str:
    """Return an error without the notes about the file. Other checks report those."""
    return text.partition("\nThis usually means")[0].strip()


async def inspect_cookie(candidate: Candidate) -> tuple[Candidate, Finding]:
    """Check that the plugin exits when it is started with the cookie of another kind; return what it is.

    One that serves under the cookie of database plugins alone is one of them.
    """
    check, as_database = "cookie", replace(candidate, is_database=True)
    try:
        line, status = await _start_as(as_database)
        if _is_handshake(line):
            under_other = await _start_as(candidate)
            if not _is_handshake(under_other[0]):
                return as_database, _judge_cookie(check, *under_other)
    except PluginStartError as error:
        return candidate, failed(check, str(error), explain(str(error)))
    return candidate, _judge_cookie(check, line, status)


async def serves_database(path: Path) -> bool:
    """Start a file with the cookie of a database plugin, and return whether it serves. Kills it.

    A file that cannot be started here, such as one for another machine, does not.
    """
    candidate = Candidate(
        path=path,
        sha256=file_sum(path),
        arguments=(),
        registered={},
        timeout=ASKING_TIMEOUT,
        temporary="",
        is_database=True,
    )
    try:
        line, _ = await _start_as(candidate)
    except PluginStartError:
        return False
    return _is_handshake(line)


async def _start_as(candidate: Candidate) -> tuple[str, int | None]:
    """Return what the plugin prints first under a cookie, and its exit status."""
    with lend_directory() as temporary:  # a killed process leaves files behind
        plan = replace(candidate, temporary=temporary).plan(candidate.auto_mtls(), Watched())
        child = await start_child(plan.path, plan.arguments, plan.environment, _unheard)
        return await _first_line_and_status(child, candidate.timeout)


async def _first_line_and_status(child: Child, timeout: timedelta) -> tuple[str, int | None]:
    """Return what the process prints first, and its exit status if it ended without being killed. Kill it."""
    await asyncio.wait({child.first_line}, timeout=timeout.total_seconds())
    line = (child.first_line.result() or "") if child.first_line.done() else ""
    await asyncio.wait({child.ended}, timeout=0 if _is_handshake(line) else timeout.total_seconds())
    status = child.status
    child.kill()
    await child.ended
    return line, status


def _is_handshake(line: str) -> bool:
    """Whether a line says where a plugin serves: `1|5|unix|/tmp/x|grpc|...` (go-plugin 1.8, client.go)."""
    return line.count("|") >= 3


def _judge_cookie(check: str, line: str, status: int | None) -> Finding:
    advice = "Look at the cookie before all else, and end with status 1: a server asks every plugin this way."
    if _is_handshake(line):
        return failed(
            check,
            "it serves under the cookie of database plugins as well, and a server catalogues it as one",
            advice,
        )
    if line:
        return failed(
            check,
            f"it prints to standard output before it looks at the cookie: {_shown(line.encode())}",
            "Print nothing before `serve`, nor in modules that are imported: a server reads the first line "
            "as the handshake. Use `logging`, which authkit sends to the server's log.",
        )
    if status is None:
        return failed(check, "it neither serves nor ends under another plugin type's cookie", advice)
    if status == 0:
        return warning(check, "it ends with status 0 under another plugin type's cookie", advice)
    return passed(check, f"it ends with status {status} under another plugin type's cookie")
