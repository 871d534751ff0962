"""The command `doctor`, with what authkit itself needs alone: for servers, without the extra `dev`.

`python -m authkit.doctor FILE`; `authkit doctor` is the same with a table on terminals.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import sys
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path

from authkit.doctor.findings import Finding, Verdict
from authkit.doctor.inspector import inspect_plugin
from authkit.printable import to_printable
from authkit.values import asdict

__all__ = ["run", "show_lines", "verdict_line"]

MAX_TIMEOUT = 600
"""Seconds for one start of a plugin."""


def run(arguments: Sequence[str], show: Callable[[Sequence[Finding]], None] | None = None) -> int:
    """Check a plugin executable, and print the findings: by `show`, or a line each.

    Returns:
        The exit status: 1 when a server would refuse the plugin, 2 for arguments that make no sense.
    """
    try:
        options = _parser().parse_args(arguments)
    except SystemExit as end:
        return int(end.code or 0)
    logging.getLogger().addHandler(logging.NullHandler())  # everything relevant is a finding
    findings = asyncio.run(
        inspect_plugin(
            options.file,
            arguments=options.arguments,
            environment=dict(options.variables),
            sha256=options.sha256,
            start_timeout=timedelta(seconds=options.timeout),
        )
    )
    if options.json:
        print(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        (show or show_lines)(findings)
    return int(any(finding.verdict is Verdict.FAILED for finding in findings))


def show_lines(findings: Sequence[Finding]) -> None:
    """Print one line for each finding, and what a server would do."""
    for finding in findings:
        advice = f" -> {finding.advice}" if finding.advice else ""
        text = " ".join((finding.seen + advice).split())
        print(to_printable(f"{finding.verdict:<8} {finding.check}: {text}"))
    print(verdict_line(findings))


def verdict_line(findings: Sequence[Finding]) -> str:
    """Return what a server would do with the plugin."""
    failed = sum(finding.verdict is Verdict.FAILED for finding in findings)
    return f"A server would refuse it: {failed} failed." if failed else "A server would take it."


class _Parser(argparse.ArgumentParser):
    """Reports mistakes on one line."""

    def error(self, message: str) -> None:  # type: ignore[override]
        """End the process."""
        print(f"authkit: {to_printable(' '.join(message.split()))}", file=sys.stderr)
        raise SystemExit(2)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="authkit doctor",
        description="Check the plugin executable FILE the way a server would. It is started several times. "
        "The exit status is 1 when a server would refuse it.",
        allow_abbrev=False,
    )
    parser.add_argument("file", metavar="FILE", type=Path)
    parser.add_argument(
        "--arg",
        dest="arguments",
        action="append",
        default=[],
        help="A registered argument: --arg=--verbose.",
    )
    parser.add_argument(
        "--env",
        dest="variables",
        action="append",
        default=[],
        type=_variable,
        metavar="NAME=VALUE",
        help="A variable that is registered.",
    )
    parser.add_argument(
        "--sha256", default="", help="The registered checksum; whatever the file has by default."
    )
    parser.add_argument(
        "--timeout", default=60, type=_seconds, help=f"Seconds per start, 1 to {MAX_TIMEOUT}; 60 by default."
    )
    parser.add_argument("--json", action="store_true", help="Print the findings as JSON.")
    return parser


def _variable(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not a variable: write --env NAME=VALUE")
    return name, value


def _seconds(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text[:4]) <= MAX_TIMEOUT:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds from 1 to {MAX_TIMEOUT}")
    return int(text)
