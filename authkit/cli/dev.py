"""`authkit dev`: the development server with plugins enabled, reloaded when their source changes.

The server is `authkit.host.dev_server`; here are its options, what is printed, and its end.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import signal
import socket
import sqlite3
import tempfile
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import click

from authkit.cli.console import CommandError, console
from authkit.cli.hints import OWN, make_database_hints, make_hints
from authkit.cli.logs import show_logs
from authkit.cli.sources import Source, find_source, write_launcher
from authkit.cli.watching import Snapshot, changes, snapshot
from authkit.host.api_client import APIError
from authkit.host.dev_server import DATABASE_ROUTE, DevelopmentServer, development_server
from authkit.host.http.server import NotLoopbackError, listen
from authkit.host.store.catalog import DATABASE
from authkit.host.store.private_files import NotPrivateError, make_private_folder, private_path
from authkit.host.store.storage import InMemoryPhysicalStorage, PhysicalStorage, SQLiteStorage
from authkit.values import Value

__all__ = ["Options", "dev", "reload_on_change", "until_signalled"]

BANNER = "A development server: nothing is sealed or audited, and connections are not encrypted."
Say = Callable[[str], None]


class Options(Value, frozen=True):
    """Options of the server. Set from the command line."""

    host: str
    port: int
    insecure: bool
    """The address may be reachable from other machines."""
    data: Path | None
    """The SQLite file; `None` for storage in memory."""
    root_token: str
    with_page: bool
    watch: bool


@click.command()
@click.argument("plugins", nargs=-1, metavar="[[NAME=]PLUGIN]...", type=click.Path())  # completed as paths
@click.option(
    "--port", default=8200, show_default=True, type=click.IntRange(0, 65535), help="0 takes a free one."
)
@click.option(
    "--data", type=click.Path(dir_okay=False, path_type=Path), help="Keep everything in this SQLite file."
)
@click.option(
    "--root-token",
    default="",
    help="The token that may do everything; one made up by default. A short one is easily guessed.",
)
@click.option("--ui/--no-ui", default=True, help="Serve the page at /ui/.")
@click.option("--watch/--no-watch", default=True, help="Reload plugins when their source changes.")
@click.option(
    "--listen-insecure",
    metavar="ADDRESS",
    help="Listen on this address instead of 127.0.0.1, without encryption, for everybody who can reach it.",
)
def dev(
    plugins: tuple[str, ...],
    port: int,
    data: Path | None,
    root_token: str,
    ui: bool,
    watch: bool,
    listen_insecure: str | None,
) -> None:
    """Run a development server with PLUGINs enabled.

    A PLUGIN is an executable, a .py file, a project's folder, or module:Class. It is enabled under its own
    name, or under NAME.
    """
    sources = [find_source(plugin) for plugin in plugins]
    names = [source.name for source in sources]
    for name in names:
        if names.count(name) > 1:
            raise CommandError(f"two plugins are named {name}: give one another with NAME=PLUGIN")
    options = Options(
        host=listen_insecure or "127.0.0.1",
        port=port,
        insecure=listen_insecure is not None,
        data=data,
        root_token=root_token or f"hvs.{secrets.token_urlsafe(18)}",
        with_page=ui,
        watch=watch,
    )
    show_logs()
    until_signalled(lambda: _run(options, sources, console().print))


def until_signalled(run: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run until it ends or the first SIGINT or SIGTERM cancels it. Later signals are ignored."""

    async def main() -> None:
        task = asyncio.ensure_future(run())
        loop = asyncio.get_running_loop()
        signalled = False

        def stop() -> None:
            nonlocal signalled
            if not signalled:
                signalled = True
                task.cancel()

        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop)
        try:
            await task
        except asyncio.CancelledError:
            if not signalled:
                raise

    asyncio.run(main())


async def _run(options: Options, sources: list[Source], say: Say) -> None:
    with _plugin_directory(options.data) as directory, _listener(options) as listener:
        storage = _storage(options.data)
        names = [socket.gethostname()] if options.insecure else []
        async with development_server(
            listener,
            storage,
            plugin_directory=directory,
            root_token=options.root_token,
            names=names,
            with_page=options.with_page,
        ) as server:
            _greet(server, options, say)
            before = [snapshot(source.watched) for source in sources]
            for source in sources:
                write_launcher(source, directory)
                await _enable(server, source, say)
            say("Ready. Ctrl-C ends the server and its plugins.")
            async with asyncio.TaskGroup() as group:
                for source, known in zip(sources, before, strict=True) if options.watch else []:
                    group.create_task(reload_on_change(server, source, known, say))
                await asyncio.get_running_loop().create_future()


def _greet(server: DevelopmentServer, options: Options, say: Say) -> None:
    """Print the server's address and root token. The token is printed only here, and never logged."""
    say(BANNER)
    if options.insecure:
        say(f"WARNING: everybody who can reach {options.host} can read what is sent, tokens included.")
    say("")
    say(f"    export VAULT_ADDR={server.address}")
    say(f"    export VAULT_TOKEN={options.root_token}")
    say("")
    if options.with_page:
        say(f"The page: {server.address}/ui/ (it asks for the token)")
    say(f"Storage: {options.data or 'in memory'}")


async def _enable(server: DevelopmentServer, source: Source, say: Say) -> None:
    """Enable a plugin and print how to use it. If it can't start, wait for a change of its source."""
    try:
        route = await server.enable(source.name, type=_type_of(source))
    except APIError as error:
        say(f"{source.name}: not enabled: {_in_short(error)}")
        say(f"    authkit doctor {source.executable or server.plugin_directory / source.name} says more")
        return
    if route == DATABASE_ROUTE:
        say(f"{source.name}: registered for the database engine at {route}/. Try:")
        hints = make_database_hints(route, source.name)
    else:
        say(f"{source.name}: enabled at {route}/. Try:")
        hints = make_hints(route, await server.describe(route))
    for command in hints.ready:
        say(f"    {command}")
    if hints.to_complete:
        say(f"and, with a value of your own in place of each {OWN}:")
    for command in hints.to_complete:
        say(f"    {command}")


async def reload_on_change(server: DevelopmentServer, source: Source, known: Snapshot, say: Say) -> None:
    """Reload a plugin whenever its source differs from `known`, and report it. Never returns."""
    async for file in changes(source.watched, known):
        try:
            await server.enable(source.name, type=_type_of(source))
        except APIError as error:
            say(f"{source.name}: {Path(file).name} changed, but: {_in_short(error)}")
        else:
            say(f"{source.name}: {Path(file).name} changed, reloaded")


def _type_of(source: Source) -> str:
    """Return the type of a plugin in the catalog, empty if it is to be asked."""
    return DATABASE if source.is_database else ""


def _in_short(error: APIError) -> str:
    """Return the first of the errors that a server lists. The log has all of them."""
    lines = str(error).splitlines()
    listed = (line.strip("\t* ") for line in lines if line.startswith("\t* ") and "occurred:" not in line)
    return next(listed, lines[0] if lines else f"HTTP {error.status}")


@contextlib.contextmanager
def _plugin_directory(data: Path | None) -> Iterator[Path]:
    """Lend the launchers' folder: beside the data file, or a temporary one without a file."""
    if data is None:
        with tempfile.TemporaryDirectory(prefix="authkit-dev-") as temporary:
            yield Path(temporary).resolve()
        return
    folder = data.with_name(data.name + ".plugins")
    try:
        folder = private_path(folder)
        make_private_folder(folder)
    except NotPrivateError as error:
        raise CommandError(f"{data} can't be used: {error}") from None
    except OSError as error:
        raise CommandError(f"{folder} can't be made: {error.strerror}") from None
    yield folder


def _listener(options: Options) -> socket.socket:
    try:
        return listen(options.host, options.port, allow_insecure_address=options.insecure)
    except (NotLoopbackError, ValueError):
        raise CommandError(f"cannot listen on {options.host}: use an IP address") from None
    except OSError as error:
        hint = "choose another with --port, or 0 for a free one"
        raise CommandError(f"{options.host}:{options.port}: {error.strerror}: {hint}") from None


def _storage(data: Path | None) -> PhysicalStorage:
    if data is None:
        return InMemoryPhysicalStorage()
    try:
        return SQLiteStorage(data)
    except (OSError, sqlite3.Error) as error:
        raise CommandError(f"{data} can't be used: {error}") from None
