"""The command line's entry: which commands there are, and what a failure looks like."""

from __future__ import annotations

import sys
from importlib import import_module
from types import MappingProxyType

import click
from click.shell_completion import CompletionItem

from authkit.cli.console import fail

__all__ = ["cli", "main"]

COMMANDS = MappingProxyType(
    {
        "build": "build",
        "dev": "dev",
        "doctor": "doctor",
        "explain": "explain",
        "install": "deploy",
        "new": "new",
        "rollback": "deploy",
        "upgrade": "deploy",
    }
)
"""The module of each command. The function in it has the name of the command."""


class _Commands(click.Group):
    """Imports a command only to run it or to show its help: completion asks for names at every key."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, `None` if there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"authkit.cli.{COMMANDS[cmd_name]}"), cmd_name)
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the names, or else the options, that begin like this."""
        found = [CompletionItem(name) for name in COMMANDS if name.startswith(incomplete)]
        return found or click.Command.shell_complete(self, ctx, incomplete)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="vault-authkit", prog_name="authkit")
def cli() -> None:
    """Write auth methods for HashiCorp Vault and OpenBao in Python."""


def main() -> None:
    """Run the command line, and end the process."""
    try:
        cli(prog_name="authkit")
    except BrokenPipeError:
        sys.exit(1)  # the reader of the output has closed it
    except Exception as error:
        fail(error)
