"""A terminal: a shell that stays, with its folder and its variables."""

from __future__ import annotations

import contextlib
import os
import select
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path

__all__ = ["Terminal", "TerminalError"]

END_SECONDS = 30.0
CHUNK = 65536


class TerminalError(Exception):
    """A command has not ended, or not shown what it should, in its time."""


class Terminal:
    """A shell; one command runs at a time."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            ["sh"],
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # so that Ctrl-C reaches what runs in it, and nothing else
        )
        self._mark = f"--end-{os.urandom(8).hex()}--"
        self._output = ""
        self._partial = b""
        self.is_busy = False
        self._type("trap : INT")  # Ctrl-C ends the command; the shell stays

    @property
    def folder(self) -> Path:
        """Where it is."""
        return Path(os.readlink(f"/proc/{self._process.pid}/cwd"))

    def start(self, command: str) -> None:
        """Type a command, and don't wait for its end."""
        self._output = ""
        self.is_busy = True
        self._type(f"eval {shlex.quote(command)} < /dev/null; printf '%s %s\\n' {self._mark} $?")

    def finish(self, seconds: float) -> tuple[int, str]:
        """Wait for the end of the command; return its exit status and its output.

        Raises:
            TerminalError: it has not ended in that time.
        """
        if not self._read_until(lambda text: self._mark in text, seconds):
            raise TerminalError(f"it has not ended after {seconds:.0f} s:\n{self._output}")
        self.is_busy = False
        output, _, status = self._output.partition(self._mark)
        return int(status), output

    def wait_for(self, has_appeared: Callable[[str], int], seconds: float) -> str:
        """Wait until the running command has shown something; return that. The next wait begins after it.

        `has_appeared` says of an output how many of its lines that are; 0: not all is there yet.

        Raises:
            TerminalError: it has ended, or has not shown it in that time.
        """
        if not self._read_until(lambda text: bool(has_appeared(text)) or self._mark in text, seconds):
            raise TerminalError(f"after {seconds:.0f} s there is only:\n{self._output}")
        count = has_appeared(self._output)
        if not count:
            raise TerminalError(f"it has ended:\n{self._output.partition(self._mark)[0]}")
        lines = self._output.splitlines(keepends=True)
        self._output = "".join(lines[count:])
        return "".join(lines[:count])

    def interrupt(self) -> None:
        """Press Ctrl-C, and wait for the end of the command."""
        os.killpg(self._process.pid, signal.SIGINT)
        self.finish(END_SECONDS)

    def close(self) -> None:
        """End what runs, and the shell."""
        with contextlib.suppress(TerminalError, BrokenPipeError):
            if self.is_busy:
                self.interrupt()
            self._type("exit")
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.stdout.close()

    def _type(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n".encode())
        self._process.stdin.flush()

    def _read_until(self, is_there: Callable[[str], bool], seconds: float) -> bool:
        assert self._process.stdout is not None
        descriptor = self._process.stdout.fileno()
        deadline = time.monotonic() + seconds
        while not is_there(self._output):
            ready, _, _ = select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))
            chunk = os.read(descriptor, CHUNK) if ready else b""
            if not chunk:
                return False
            whole, newline, self._partial = (self._partial + chunk).rpartition(b"\n")
            self._output += (whole + newline).decode(errors="replace")
        return True
