"""`authkit doctor`: what a server would find about a plugin executable, as a table.

The checks are `authkit.doctor`; here they are printed.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import click
from msgspec.structs import asdict
from rich.console import Console
from rich.table import Table

from authkit.cli.console import CommandError, cell, console
from authkit.doctor import Finding, Verdict, inspect_plugin

__all__ = ["doctor"]

STYLES = {Verdict.PASSED: "green", Verdict.WARNING: "yellow", Verdict.FAILED: "bold red"}


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--arg", "arguments", multiple=True, help="An argument that is registered.")
@click.option(
    "--env", "variables", multiple=True, metavar="NAME=VALUE", help="A variable that is registered."
)
@click.option("--sha256", default="", help="The registered checksum; whatever the file has by default.")
@click.option(
    "--timeout", default=60, show_default=True, type=click.IntRange(1, 600), help="Seconds per start."
)
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@click.pass_context
def doctor(
    context: click.Context,
    file: Path,
    arguments: tuple[str, ...],
    variables: tuple[str, ...],
    sha256: str,
    timeout: int,
    as_json: bool,
) -> None:
    """Check the plugin executable FILE the way a server would.

    It is started several times. The exit status is 1 when a server would refuse it.
    """
    environment = dict(_pair(variable) for variable in variables)
    inspection = inspect_plugin(
        file,
        arguments=arguments,
        environment=environment,
        sha256=sha256,
        start_timeout=timedelta(seconds=timeout),
    )
    logging.getLogger().addHandler(logging.NullHandler())  # everything relevant is a finding
    findings = asyncio.run(inspection)
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        _print(findings, console())
    if any(finding.verdict is Verdict.FAILED for finding in findings):
        context.exit(1)


def _pair(variable: str) -> tuple[str, str]:
    name, equals, value = variable.partition("=")
    if not name or not equals:
        raise CommandError(f"{variable!r} is not a variable: write --env NAME=VALUE")
    return name, value


def _print(findings: Sequence[Finding], out: Console) -> None:
    """Print a table on a terminal, else one line per finding."""
    if out.is_terminal:
        table = Table("check", "verdict", box=None, pad_edge=False)
        table.add_column("seen, and what to do", overflow="fold")
        for finding in findings:
            text = cell(finding.seen)
            if finding.advice:
                text.append(cell(f"\n→ {finding.advice}", "bold"))
            table.add_row(cell(finding.check), cell(finding.verdict, STYLES[finding.verdict]), text)
        out.print(table, soft_wrap=False)
    else:
        for finding in findings:
            advice = f" -> {finding.advice}" if finding.advice else ""
            out.print(f"{finding.verdict:<8} {finding.check}: {' '.join((finding.seen + advice).split())}")
    failed = sum(finding.verdict is Verdict.FAILED for finding in findings)
    out.print(f"A server would refuse it: {failed} failed." if failed else "A server would take it.")
