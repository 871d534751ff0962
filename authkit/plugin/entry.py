"""What every plugin's executable runs: check the cookie, set up logs and streams, serve.

Importing this module costs next to nothing, and a wrong cookie is refused before anything else is
imported: a server probes every plugin of unknown type with the cookies of other types. What is special
about a kind of plugin is handed in.
"""

from __future__ import annotations

import os
import sys

from authkit.plugin.handshake import is_cookie_right, notice

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Any, NoReturn

    from authkit.plugin.ending import Ending
    from authkit.plugin.environment import HostEnvironment
    from authkit.plugin.server import Plan
    from authkit.plugin.streams import StandardStreams

__all__ = ["Kind", "engine_name", "serve_plugin"]


class Kind:
    """What is special about a kind of plugin. Only the cookie is looked at before it is right."""

    cookie_key: str
    cookie_value: str
    enabling: str
    """What an operator does with a registered plugin, as the end of a sentence."""

    def verify(self, loaded: Any) -> None:
        """Raise what would keep a loaded class from being served."""
        raise NotImplementedError

    def plan(self, environment: HostEnvironment, load: Callable[[], Any]) -> Plan:
        """Return how to serve. `load` imports the author's code, which comes last.

        Raises:
            HandshakeError: the environment does not allow a start.
        """
        raise NotImplementedError


def serve_plugin(kind: Kind, plugin: type | str) -> NoReturn:
    """Serve a class to the host that started this process, and end the process.

    `plugin` is a class, or its name as `package.module:Class`. By name it is imported after the cookie
    was checked and the log set up: start-up costs less when a server probes, and an error in its code
    reaches the server's log.

    The exit status is 0 after an orderly end, 1 when the process was not started by a host of this kind
    of plugin, when the host's environment or the arguments do not allow a start, or when the class could not
    be loaded.
    """
    if not is_cookie_right(os.environ, kind.cookie_key, kind.cookie_value):
        sys.stderr.write(notice(os.path.basename(sys.argv[0]) or "this program", kind.enabling))
        if sys.stderr.isatty():  # somebody, and not a server that tries the cookies of other types
            sys.stderr.write(_try_to_load(kind, plugin))
        sys.exit(1)

    import gc
    import signal

    # Until serving begins, next to nothing becomes garbage: collecting would only cost start-up time.
    gc.disable()
    from authkit.plugin import logs
    from authkit.plugin.ending import CLOSING_SECONDS, Ending
    from authkit.plugin.security.core_dumps import forbid_core_dumps
    from authkit.plugin.streams import StandardStreams

    forbid_core_dumps()
    # Ctrl-C at the server's terminal reaches the whole process group; the server alone decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    streams = StandardStreams()
    logs.install(streams.log_descriptor)
    ending = Ending(streams.log_descriptor)
    ending.at_end(streams.finish)
    ending.start()
    status = _serve(kind, plugin, streams, ending)
    ending.within(CLOSING_SECONDS)
    streams.finish()
    # Threads of the author's code must not hold the process.
    os._exit(status)


def engine_name() -> str:
    """Return the name of the gRPC engine that the environment asks for, empty for the default one.

    Raises:
        HandshakeError: there is no such engine.
    """
    from authkit.errors import HandshakeError
    from authkit.rpc import ENGINES

    name = os.environ.get("AUTHKIT_RPC", "")
    if name not in ("", *ENGINES):
        raise HandshakeError(f"AUTHKIT_RPC: no engine {name!r}, use one of: {', '.join(ENGINES)}")
    return name


def _serve(kind: Kind, plugin: type | str, streams: StandardStreams, ending: Ending) -> int:
    import logging

    from authkit.errors import PluginError

    log = logging.getLogger("authkit")
    try:
        # The environment first: what is wrong there is told before the author's code is touched.
        from authkit.plugin.environment import HostEnvironment
        from authkit.plugin.server import run

        plan = kind.plan(HostEnvironment.parse(os.environ), lambda: _load(plugin))
        run(plan, streams, ending)
    except PluginError as error:
        log.error("%s", error)  # the text says it all, a traceback would hide it
        return 1
    except BaseException as error:
        # SystemExit too: whatever an author's module raises while it is imported is told, not lost.
        shown = error.with_traceback(_without_import(error.__traceback__))
        log.error("the plugin could not be served", exc_info=shown)
        return 1
    return 0


def _try_to_load(kind: Kind, plugin: type | str) -> str:
    """Return, for somebody at a terminal, whether the class would load."""
    from authkit.errors import HandshakeError

    try:
        loaded = _load(plugin)
        kind.verify(loaded)
    except HandshakeError as error:
        return f"It would not be served: {error}\n"
    except BaseException as error:
        from traceback import format_exception

        shown = error.with_traceback(_without_import(error.__traceback__))
        return f"It would not be served:\n{''.join(format_exception(shown))}"
    return f"It would be served: {loaded.__module__}:{loaded.__qualname__} loads.\n"


def _without_import(frames: TracebackType | None) -> TracebackType | None:
    """Return a traceback from where the author's code begins: what imports it says nothing about it."""
    while frames is not None:
        module = str(frames.tb_frame.f_globals.get("__name__"))
        is_ours = module == __name__ or (module.startswith("authkit.") and module.endswith(".serving"))
        if not is_ours and "importlib" not in frames.tb_frame.f_code.co_filename:
            return frames
        frames = frames.tb_next
    return None


def _load(plugin: type | str) -> Any:
    from authkit.plugin.logs import send_all

    if isinstance(plugin, str):
        from importlib import import_module

        module, _, name = plugin.partition(":")
        plugin = getattr(import_module(module), name)
    send_all(plugin.__module__.partition(".")[0])
    return plugin
