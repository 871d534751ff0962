"""`authkit doctor`: what a server would find about a plugin executable, as a table.

Arguments and checks are `authkit.doctor`; here the findings are printed.
"""

from __future__ import annotations

from collections.abc import Sequence

import click
from rich.table import Table

from authkit.cli.console import cell, console
from authkit.doctor import Finding, Verdict
from authkit.doctor.command import run, show_lines, verdict_line

__all__ = ["doctor"]

STYLES = {Verdict.PASSED: "green", Verdict.WARNING: "yellow", Verdict.FAILED: "bold red"}


@click.command(
    context_settings={"ignore_unknown_options": True, "help_option_names": []},
    short_help="Check a plugin executable the way a server would.",
)
@click.argument("arguments", nargs=-1, type=click.Path())  # completed as paths
@click.pass_context
def doctor(context: click.Context, arguments: tuple[str, ...]) -> None:
    """Check a plugin executable; `authkit.doctor.command` reads the arguments."""
    context.exit(run(arguments, _show))


def _show(findings: Sequence[Finding]) -> None:
    """Print a table on a terminal, else one line per finding."""
    out = console()
    if not out.is_terminal:
        show_lines(findings)
        return
    table = Table("check", "verdict", box=None, pad_edge=False)
    table.add_column("seen, and what to do", overflow="fold")
    for finding in findings:
        text = cell(finding.seen)
        if finding.advice:
            text.append(cell(f"\n→ {finding.advice}", "bold"))
        table.add_row(cell(finding.check), cell(finding.verdict, STYLES[finding.verdict]), text)
    out.print(table, soft_wrap=False)
    out.print(verdict_line(findings))
