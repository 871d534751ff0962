"""A plugin's process: start it, read its output, kill it. See `handshake` for the first line.

Standard output gives one line and is drained afterwards. Each line of standard error goes to the log.
A plugin has ended when the process has exited and both pipes are closed, as on a Vault server. Unlike
that server, this host does not wait for ever for a descendant that holds a pipe open.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from typing import cast

from authkit.errors import PluginStartError

__all__ = ["MAX_LINE_BYTES", "Child", "LineCutter", "start_child"]

MAX_LINE_BYTES = 64 * 1024
"""What go-plugin reads of a line at once (1.8, client.go)."""

PIPES_CLOSE_SECONDS = 1.0
"""How long its pipes may stay open after the process exits."""

OnLine = Callable[[bytes, bool], None]
"""Called with each line, without its end, and whether it is only a piece of a long one."""

_STDOUT, _STDERR = 1, 2


def _drop(line: bytes, is_piece: bool) -> None:
    """Ignore the line."""


class LineCutter:
    """Cuts a stream into lines, and long lines into pieces. No I/O."""

    def __init__(self, on_line: OnLine) -> None:
        self._on_line = on_line
        self._rest = b""
        self._is_inside = False
        """Whether a piece of the current line has been emitted."""

    def feed(self, data: bytes) -> None:
        """Take received bytes."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._emit(line)
        while len(self._rest) >= MAX_LINE_BYTES:
            piece, self._rest = self._rest[:MAX_LINE_BYTES], self._rest[MAX_LINE_BYTES:]
            self._on_line(piece, True)
            self._is_inside = True

    def finish(self) -> None:
        """Emit the last line, which has no line end."""
        if self._rest:
            rest, self._rest = self._rest, b""
            self._emit(rest)

    def _emit(self, line: bytes) -> None:
        while len(line) > MAX_LINE_BYTES:
            self._on_line(line[:MAX_LINE_BYTES], True)
            line, self._is_inside = line[MAX_LINE_BYTES:], True
        self._on_line(line.removesuffix(b"\r"), self._is_inside)
        self._is_inside = False


class Child(asyncio.SubprocessProtocol):
    """One process."""

    def __init__(self, on_log_line: OnLine, on_stdout: OnLine) -> None:
        self._on_stdout = on_stdout
        loop = asyncio.get_running_loop()
        self.first_line: asyncio.Future[str | None] = loop.create_future()
        """The first line of standard output; `None` when there is none, or one that is too long."""
        self.ended: asyncio.Future[str] = loop.create_future()
        """How it ended, for a human. Done when the process has exited and both pipes are closed."""
        self._transport: asyncio.SubprocessTransport
        self._cutters = {_STDOUT: LineCutter(self._on_output), _STDERR: LineCutter(on_log_line)}
        self._open = {_STDOUT, _STDERR}
        self._timer: asyncio.TimerHandle | None = None

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._transport.get_pid()

    @property
    def status(self) -> int | None:
        """Its exit status, negative for a signal; `None` while it runs."""
        return self._transport.get_returncode()

    @property
    def has_closed_output(self) -> bool:
        """Whether its standard output is closed."""
        return _STDOUT not in self._open

    def kill(self) -> None:
        """Kill the process if it still runs, but not its descendants."""
        if self.status is None:
            self._transport.kill()

    def abandon(self) -> None:
        """Kill the process and close the pipes."""
        self.kill()
        self._transport.close()

    # --- events --------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember the transport."""
        self._transport = cast(asyncio.SubprocessTransport, transport)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """Take output."""
        self._cutters[fd].feed(data)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        """Note that the plugin has closed a pipe."""
        if fd in self._open:
            self._cutters[fd].finish()
            self._open.discard(fd)
        if fd == _STDOUT and not self.first_line.done():
            self.first_line.set_result(None)
        self._check_end()

    def process_exited(self) -> None:
        """Note that the process has exited. Its pipes may still be open."""
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(PIPES_CLOSE_SECONDS, self._give_up_on_pipes)
        self._check_end()

    def _on_output(self, line: bytes, is_piece: bool) -> None:
        self._on_stdout(line, is_piece)
        if not self.first_line.done():
            self.first_line.set_result(None if is_piece else line.decode(errors="replace"))

    def _check_end(self) -> None:
        if self.status is not None and not self._open and not self.ended.done():
            self._end("")

    def _give_up_on_pipes(self) -> None:
        if not self.ended.done():
            self._end(
                " A process that it started still holds its standard output or error: a Vault server "
                "would wait for that one and not start the plugin again."
            )

    def _end(self, more: str) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if not self.first_line.done():
            self.first_line.set_result(None)
        self._transport.close()
        self.ended.set_result(f"The plugin's process {self.pid} ended {_how(self.status or 0)}.{more}")


async def start_child(
    path: str | os.PathLike[str],
    arguments: Sequence[str],
    environment: Mapping[str, str],
    on_log_line: OnLine,
    on_stdout: OnLine = _drop,
) -> Child:
    """Execute a file with an empty standard input.

    `on_stdout` is called with each line of standard output. A Vault server reads only the first.

    Raises:
        PluginStartError: the file cannot be executed. The text is a Vault server's.
    """
    loop = asyncio.get_running_loop()
    name = os.fspath(path)
    try:
        _, child = await loop.subprocess_exec(
            lambda: Child(on_log_line, on_stdout),
            name,
            *arguments,
            env=dict(environment),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
    except OSError as error:
        reason = os.strerror(error.errno or 0).lower()
        raise PluginStartError(f"fork/exec {name}: {reason}") from error
    return child


def _how(status: int) -> str:
    if status >= 0:
        return f"with exit status {status}"
    try:
        return f"by signal {-status} ({signal.Signals(-status).name})"
    except ValueError:
        return f"by signal {-status}"
