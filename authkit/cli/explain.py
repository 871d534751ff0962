"""`authkit explain`: why a login was denied, or what one would meet, as a table.

It asks a server for what the method's own path `explain` answers; the JWT example has one.
"""

from __future__ import annotations

import json
import ssl
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import httpx
from rich.console import Console
from rich.table import Table

from authkit.cli.console import CommandError, cell, console
from authkit.deployment.environment import ServerEnvironment
from authkit.deployment.errors import DeploymentError
from authkit.deployment.unreachable import explain_unreachable
from authkit.host.formatting import Explained, Step

__all__ = ["explain"]

TIMEOUT_SECONDS = 60.0
"""Long enough for the method to fetch keys first."""

MAX_TOKEN_BYTES = 1024 * 1024
"""A longer file is refused: it can't be a token."""


@click.command()
@click.argument("reference", required=False)
@click.option(
    "--mount", default="jwt", show_default=True, help="The path of the mount, with or without auth/."
)
@click.option("--role", default="", help="The role of a login that is not made.")
@click.option(
    "--jwt",
    "file",
    type=click.Path(allow_dash=True),
    help="The file with its token, or - for standard input.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the server's answer as JSON.")
@click.pass_context
def explain(
    context: click.Context, reference: str | None, mount: str, role: str, file: str | None, as_json: bool
) -> None:
    """Tell why the login with this REFERENCE was denied, or what one with --role and --jwt would meet.

    The server is that of VAULT_ADDR or BAO_ADDR, asked with VAULT_TOKEN, BAO_TOKEN or what `vault login` has
    kept; the token needs `sudo` on the mount's path `explain`. The exit status is 1 for a login that is or
    would be denied.
    """
    if bool(reference) == bool(role and file):
        raise CommandError("give a reference, or --role and --jwt")
    path = f"auth/{mount.strip('/').removeprefix('auth/')}/explain"
    if reference:
        answer = _ask("GET", f"{path}/{reference}")
    else:
        answer = _ask("POST", path, {"role": role, "jwt": _read_token(str(file))})
    if as_json:
        click.echo(json.dumps(answer, indent=2, sort_keys=True))
    else:
        _print(answer, console())
    if not answer.get("allowed"):
        context.exit(1)


def _ask(method: str, path: str, body: Mapping[str, str] | None = None) -> Mapping[str, Any]:
    """Return the data of an answer."""
    try:
        server = ServerEnvironment.read()
    except DeploymentError as error:
        raise CommandError(str(error)) from None
    headers = {"X-Vault-Token": server.token, "X-Vault-Request": "true"}
    if server.namespace:
        headers["X-Vault-Namespace"] = server.namespace
    try:
        # None of httpx's own variables: a proxy has no business with tokens on their way to a server.
        with httpx.Client(verify=_trust(server), trust_env=False, timeout=TIMEOUT_SECONDS) as client:
            url = f"{server.address.rstrip('/')}/v1/{path}"
            answer = client.request(method, url, json=body, headers=headers)
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
        raise CommandError(explain_unreachable(server.address, error)) from None
    try:
        found = answer.json()
        data = found.get("data")
        errors = "; ".join(found.get("errors") or ())
    except (ValueError, AttributeError, TypeError):
        data, errors = None, "the answer is not from a Vault server"
    if answer.is_success and isinstance(data, dict):
        return data
    if answer.status_code == httpx.codes.FORBIDDEN:
        errors += f" (the token needs the capability sudo on {path})"
    raise CommandError(f"HTTP {answer.status_code} for {path}: {errors or 'nothing is explained there'}")


def _trust(server: ServerEnvironment) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=server.ca_file or None, capath=server.ca_folder or None)
    except OSError as error:
        raise CommandError(
            f"the certificates of VAULT_CACERT or VAULT_CAPATH cannot be read: {error}"
        ) from None


def _read_token(file: str) -> str:
    """Return the token to explain, from a file: other users can read a command's arguments."""
    try:
        if file == "-":
            text = sys.stdin.read(MAX_TOKEN_BYTES + 1)
        else:
            with Path(file).open() as opened:
                text = opened.read(MAX_TOKEN_BYTES + 1)
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise CommandError(f"the token in {file} cannot be read: {reason}") from None
    if len(text) > MAX_TOKEN_BYTES:
        raise CommandError(f"{file} is too long for a token")
    return text.strip()


def _print(answer: Mapping[str, Any], out: Console) -> None:
    """Print a table on a terminal, else one line per check. The words are those of the page."""
    explained = Explained.read(answer)
    for name, text in explained.facts:
        out.print(f"{name}: {text}")
    if out.is_terminal:
        out.print(_table(explained.steps), soft_wrap=False)
    else:
        for step in explained.steps:
            facts = ", ".join(f"{name} {text}" for name, text in step.facts)
            out.print(f"{step.verdict} {step.title}: {facts}")
    out.print(explained.verdict)


def _table(steps: Sequence[Step]) -> Table:
    table = Table("check", "", "", box=None, pad_edge=False)
    table.add_column("", overflow="fold")
    for step in steps:
        verdict = cell(step.verdict, "bold red" if step.passed is False else "green")
        title = cell(step.title)
        for name, text in step.facts or [("", "")]:
            table.add_row(title, verdict, cell(name, "dim"), cell(text))
            title = verdict = cell("")
    return table
