"""`authkit install`, `upgrade` and `rollback`: a plugin's file on a server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from authkit.cli.console import CommandError, console
from authkit.cli.extras import build_extra

__all__ = ["install", "rollback", "upgrade"]

_NOT_SERVED = "Failed to read any lines"
"""What servers say of a plugin that ends before it serves, such as at the cookie of another kind."""

Command = Callable[..., None]


def _with(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Return a decorator that gives a command these options, which its help lists in this order."""

    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


_options = _with(
    click.option(
        "--kind",
        type=click.Choice(["auth", "secret", "database"]),
        default="auth",
        show_default=True,
        help="What the plugin is. A database plugin has no mount: it is copied and registered.",
    ),
    click.option(
        "--mount", default="", help="The path of the mount, without auth/; the plugin's name otherwise."
    ),
    click.option(
        "--probe",
        multiple=True,
        metavar="KEY=VALUE",
        help="A field of a login that must succeed; @FILE as a value is what a file has in it.",
    ),
    click.option("--probe-path", default="login", show_default=True, help="Where the probe logs in."),
    click.option("--dry-run", is_flag=True, help="Tell the steps, and take none."),
)
_file_options = _with(
    click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path)),
    click.option(
        "--plugin-dir",
        "directory",
        required=True,
        type=click.Path(exists=True, file_okay=False, path_type=Path),
        help="The server's plugin_directory.",
    ),
    click.option("--name", default="", help="In the catalog, for a file that is not named NAME-VERSION."),
    click.option("--plugin-version", default="", help="Of a file that is not named NAME-VERSION."),
    click.option(
        "--env",
        multiple=True,
        metavar="KEY=VALUE",
        help="A variable that the server gives the plugin. Give all of them each time: none is taken over.",
    ),
    click.option(
        "--copy-only",
        is_flag=True,
        help="Copy the file, and ask no server: for the other nodes of a cluster.",
    ),
)


def _install(
    file: Path,
    directory: Path,
    name: str,
    plugin_version: str,
    env: tuple[str, ...],
    copy_only: bool,
    kind: str,
    mount: str,
    probe: tuple[str, ...],
    probe_path: str,
    dry_run: bool,
    *,
    must_exist: bool,
) -> None:
    from authkit.deployment import steps
    from authkit.deployment.errors import DeploymentError
    from authkit.deployment.kinds import DATABASE, KINDS
    from authkit.deployment.release import read_release
    from authkit.deployment.server import connect

    report = _reporter(dry_run)
    release = read_release(file, name=name, version=plugin_version, env=env)
    if copy_only:
        steps.copy(release, directory, report=report, dry_run=dry_run)
        return
    login = _read_probe(probe, probe_path, kind)
    server = connect(kind=KINDS[kind])
    if server.kind is DATABASE:
        _require_no_mount(mount, must_exist)
        steps.verify_free(server, release, directory)
        steps.copy(release, directory, report=report, dry_run=dry_run)
        steps.register(server, release, report=report, dry_run=dry_run)
        report(
            f"to use it: vault write database/config/NAME plugin_name={release.name} "
            f"plugin_version={release.version}"
        )
        return
    path = server.kind.mount_path(mount) or release.name
    if must_exist and server.find_mount(path) is None:
        raise CommandError(f"there is no mount at {server.kind.shown(path)}: authkit install enables one")
    steps.verify_unused(server, release)
    steps.verify_free(server, release, directory)
    steps.copy(release, directory, report=report, dry_run=dry_run)
    try:
        steps.install(server, release, path, directory=directory, report=report, probe=login, dry_run=dry_run)
    except DeploymentError as error:
        raise DeploymentError(f"{error}{_explain_kind(str(error), release.file)}") from None
    if not dry_run:
        report("in a cluster, every node needs the file: authkit install --copy-only")


@click.command(short_help="Copy a plugin's file to a server, register it, and enable or upgrade a mount.")
@_file_options
@_options
def install(**arguments: Any) -> None:
    """Copy FILE into the server's plugin directory, register it, enable or upgrade the mount, and verify it.

    The server is that of VAULT_ADDR or BAO_ADDR, asked with VAULT_TOKEN, BAO_TOKEN or what `vault login` has
    kept. If the new version does not run, or the probe cannot log in, the mount gets back what ran before. A
    second run does nothing, unless it has --env.
    """
    with build_extra():
        _install(must_exist=False, **arguments)


@click.command(short_help="Like install, for a mount that exists.")
@_file_options
@_options
def upgrade(**arguments: Any) -> None:
    """Copy FILE into the server's plugin directory, register it, and let a mount run it, as install does."""
    with build_extra():
        _install(must_exist=True, **arguments)


@click.command(short_help="Let a mount run the version before.")
@click.option("--to", "version", default="", help="The version; the next older one in the catalog otherwise.")
@_options
def rollback(**arguments: Any) -> None:
    """Let a mount run an older version that the catalog has, and verify it.

    If it does not run, or the probe cannot log in, the mount gets back what ran before.
    """
    if arguments["kind"] == "database":
        _require_no_mount("", must_exist=True)
    if not arguments["mount"]:
        raise CommandError("give --mount, the path of the mount that is to run the version before")
    with build_extra():
        _roll_back(**arguments)


def _roll_back(
    version: str, kind: str, mount: str, probe: tuple[str, ...], probe_path: str, dry_run: bool
) -> None:
    from authkit.deployment import steps
    from authkit.deployment.kinds import KINDS
    from authkit.deployment.server import connect

    login = _read_probe(probe, probe_path, kind)
    server = connect(kind=KINDS[kind])
    path = server.kind.mount_path(mount)
    report = _reporter(dry_run)
    steps.roll_back(server, path, version=version, report=report, probe=login, dry_run=dry_run)


def _explain_kind(text: str, file: Path) -> str:
    """Return what to do where a file did not serve because it is a plugin of another kind, else nothing."""
    if _NOT_SERVED not in text:
        return ""
    import asyncio

    from authkit.doctor.starts import serves_database

    if not asyncio.run(serves_database(file.resolve())):
        return ""
    return f"; {file.name} is a database plugin: use --kind database"


def _require_no_mount(mount: str, must_exist: bool) -> None:
    if mount or must_exist:
        raise CommandError(
            "a database plugin has no mount: `authkit install --kind database` registers a version, and "
            "`vault write database/config/NAME plugin_version=vX.Y.Z` lets a connection run any of them"
        )


def _reporter(dry_run: bool) -> Callable[[str], None]:
    out = console()
    return lambda step: out.print(f"would {step}" if dry_run else step)


def _read_probe(fields: tuple[str, ...], path: str, kind: str) -> Any:
    from authkit.deployment.steps import Probe

    if not fields:
        return None
    if kind != "auth":
        raise CommandError("--probe is a login: it is for --kind auth")
    body = {}
    for field in fields:
        key, equals, value = field.partition("=")
        if not equals:
            raise CommandError("--probe takes KEY=VALUE, once for each field of the login")
        body[key] = _read_file(value[1:]) if value.startswith("@") else value
    return Probe(path=path.strip("/"), body=body)


def _read_file(name: str) -> str:
    try:
        return Path(name).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{name} can't be read: {error}") from None
