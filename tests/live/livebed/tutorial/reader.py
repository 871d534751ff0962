"""A reader of the tutorial, who takes the steps of a page in an empty folder, up to the first that fails."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from livebed.tutorial.page import FIRST, Check, Commands, File, Shown, Step
from livebed.tutorial.shown import has_appeared, is_as_shown
from livebed.tutorial.terminal import Terminal, TerminalError

__all__ = ["Reader", "StepError"]

COMMAND_SECONDS = 300.0
SERVER_SECONDS = 60.0
TAIL_LINES = 6
LINE_LENGTH = 160


class StepError(Exception):
    """A step does not do what its page says."""


class Reader:
    """Somebody with a folder and terminals. At the end of the context all that runs is stopped."""

    def __init__(
        self, folder: Path, environment: Mapping[str, str], checks: Mapping[str, Callable[[], None]]
    ) -> None:
        self._folder = folder
        self._environment = environment
        self._checks = checks
        self._terminals: dict[str, Terminal] = {}

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *raised: object) -> None:
        for terminal in reversed(self._terminals.values()):
            terminal.close()

    def take(self, step: Step) -> None:
        """Take a step of a page.

        Raises:
            StepError: it does not do what its page says.
        """
        match step:
            case File():
                self._write(step)
            case Commands():
                self._type(step)
            case Shown():
                self._wait_for(self._terminal(step.terminal), step.text)
            case Check():
                self._check(step)

    def _terminal(self, name: str) -> Terminal:
        if name not in self._terminals:
            self._terminals[name] = Terminal(self._folder, self._environment)
        return self._terminals[name]

    def _write(self, step: File) -> None:
        print(f"  write {step.name}", flush=True)
        try:
            (self._terminal(FIRST).folder / step.name).write_text(step.text)
        except OSError as error:
            raise StepError(f"{step.name} can't be written: {error.strerror}") from None

    def _check(self, step: Check) -> None:
        print(f"  check: {step.name}", flush=True)
        try:
            self._checks[step.name]()
        except AssertionError as error:
            raise StepError(str(error)) from None

    def _type(self, step: Commands) -> None:
        terminal = self._terminal(step.terminal)
        if terminal.is_busy:
            print(f"  {step.terminal}: Ctrl-C", flush=True)
            terminal.interrupt()
        *first, last = step.lines
        output = "".join(self._run(step, terminal, command) for command in first)
        if not step.is_server:
            output += self._run(step, terminal, last, must_fail=step.is_refused)
            if step.shown is not None and not is_as_shown(step.shown, output):
                raise StepError(f"the page shows\n{indent(step.shown)}\nhere it is\n{indent(output)}")
            return
        show(step, last)
        terminal.start(last)
        if step.shown is not None:
            self._wait_for(terminal, step.shown)

    def _run(self, step: Commands, terminal: Terminal, command: str, *, must_fail: bool = False) -> str:
        show(step, command)
        began = time.monotonic()
        terminal.start(command)
        try:
            status, output = terminal.finish(COMMAND_SECONDS)
        except TerminalError as error:
            raise StepError(str(error)) from None
        if bool(status) != must_fail:
            wrong = "it was not refused" if must_fail else f"exit status {status}"
            raise StepError(f"{wrong}\n{indent(output)}")
        show_tail(output)
        print(f"      ({time.monotonic() - began:.1f} s)", flush=True)
        return output

    def _wait_for(self, terminal: Terminal, shown: str) -> None:
        try:
            found = terminal.wait_for(lambda output: has_appeared(shown, output), SERVER_SECONDS)
        except TerminalError as error:
            raise StepError(f"the page shows\n{indent(shown)}\n{error}") from None
        show_tail(found)


def show(step: Commands, command: str) -> None:
    """Print a command as it is typed."""
    terminal = "" if step.terminal == FIRST else f"{step.terminal}: "
    print(f"  {terminal}$ {command}", flush=True)


def show_tail(output: str) -> None:
    """Print the last lines of an output."""
    lines = output.strip("\n").splitlines()
    for line in lines[-TAIL_LINES:]:
        print(f"      {line[:LINE_LENGTH]}", flush=True)


def indent(text: str) -> str:
    """Return a text as it is printed below a command."""
    return textwrap.indent(text.strip("\n"), "      ")
