"""The command line's entry: which commands there are, and what a failure looks like."""

from __future__ import annotations

import sys

import click

from authkit.cli.build import build
from authkit.cli.console import fail
from authkit.cli.deploy import install, rollback, upgrade
from authkit.cli.dev import dev
from authkit.cli.doctor import doctor
from authkit.cli.explain import explain
from authkit.cli.new import new

__all__ = ["cli", "main"]


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="vault-authkit", prog_name="authkit")
def cli() -> None:
    """Write auth methods for HashiCorp Vault and OpenBao in Python."""


for command in (new, dev, doctor, explain, build, install, upgrade, rollback):
    cli.add_command(command)


def main() -> None:
    """Run the command line, and end the process."""
    try:
        cli(prog_name="authkit")
    except BrokenPipeError:
        sys.exit(1)  # the reader of the output has closed it
    except Exception as error:
        fail(error)
