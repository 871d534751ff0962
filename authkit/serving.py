"""`serve`: the wire layer and the plugin process joined. What a plugin's executable calls.

Importing this module costs next to nothing, and a wrong cookie is refused before anything else is
imported: a server probes every plugin of unknown type with the cookies of other types.
"""

from __future__ import annotations

import os
import sys

from authkit.plugin.handshake import is_cookie_right, notice
from authkit.wire.cookie import COOKIE_KEY, COOKIE_VALUE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import NoReturn

    from authkit.logical import Servable
    from authkit.plugin.ending import Ending
    from authkit.plugin.environment import HostEnvironment
    from authkit.plugin.security.tls import TransportSecurity
    from authkit.plugin.server import Application, Dial, Plan
    from authkit.plugin.streams import StandardStreams
    from authkit.wire.api_flags import APIFlags

AUTO_MTLS_VERSION = 5

__all__ = ["COOKIE_KEY", "COOKIE_VALUE", "PROTOCOL_VERSIONS", "serve"]

PROTOCOL_VERSIONS = (5, 4)
"""Application protocols spoken: 5 is AutoMTLS with many mounts in one process (Vault 1.12 and later,
every OpenBao); 4 is for what is older."""


def serve(backend: type[Servable] | str) -> NoReturn:
    """Serve a backend to the host that started this process, and end the process.

    `backend` is a backend class, or its name as `package.module:Class`. By name it is imported after
    the cookie was checked and the log set up: start-up costs less when a server probes, and an error
    in its code reaches the server's log.

    The arguments of the process are those that it was registered with: the flags of a Go plugin
    (docs/hosts.md) and no others.

    The exit status is 0 after an orderly end, 1 when the process was not started by a host, when the
    host's environment or the arguments do not allow a start, or when the backend could not be loaded.
    """
    if not is_cookie_right(os.environ, COOKIE_KEY, COOKIE_VALUE):
        sys.stderr.write(notice(os.path.basename(sys.argv[0]) or "this program"))
        if sys.stderr.isatty():  # somebody, and not a server that tries the cookies of other types
            sys.stderr.write(_try_to_load(backend))
        sys.exit(1)

    import gc
    import signal

    # Until serving begins, next to nothing becomes garbage: collecting would only cost start-up time.
    gc.disable()
    from authkit.plugin import logs
    from authkit.plugin.ending import CLOSING_SECONDS, Ending
    from authkit.plugin.streams import StandardStreams

    # Ctrl-C at the server's terminal reaches the whole process group; the server alone decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    streams = StandardStreams()
    logs.install(streams.log_descriptor)
    ending = Ending(streams.log_descriptor)
    ending.at_end(streams.finish)
    ending.start()
    status = _serve(backend, streams, ending)
    ending.within(CLOSING_SECONDS)
    streams.finish()
    # Threads of the author's code must not hold the process.
    os._exit(status)


def _serve(backend: type[Servable] | str, streams: StandardStreams, ending: Ending) -> int:
    import logging

    from authkit.errors import PluginError

    log = logging.getLogger("authkit")
    try:
        # The environment first: what is wrong there is told before the author's code is touched.
        from authkit.plugin.server import run

        plan = _plan(backend, _environment())
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


def _try_to_load(backend: type[Servable] | str) -> str:
    """Return, for somebody at a terminal, whether the backend would load."""
    from authkit.errors import HandshakeError

    try:
        _flags()
        loaded = _load(backend)
        loaded.factory()
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
        file = frames.tb_frame.f_code.co_filename
        if file != __file__ and "importlib" not in file:
            return frames
        frames = frames.tb_next
    return None


def _environment() -> HostEnvironment:
    from authkit.plugin.environment import HostEnvironment

    return HostEnvironment.parse(os.environ)


def _plan(backend: type[Servable] | str, environment: HostEnvironment) -> Plan:
    from authkit.plugin.logs import send_all
    from authkit.plugin.server import Plan, agree_on_version

    version = agree_on_version(environment, PROTOCOL_VERSIONS)
    flags = _flags()
    engine = _engine_name()
    secure, metadata_mode = _security(environment, version, flags)
    loaded = _load(backend)
    send_all(loaded.__module__.partition(".")[0])
    factory = loaded.factory()

    def application(dial: Dial) -> Application:
        from authkit.wire.backend import BackendService

        return BackendService(factory, dial, metadata_mode=metadata_mode)

    return Plan(
        environment=environment,
        version=version,
        secure=secure,
        application=application,
        engine=engine,
    )


def _flags() -> APIFlags:
    from authkit.wire.api_flags import APIFlags

    return APIFlags.parse(sys.argv[1:])


def _security(
    environment: HostEnvironment, version: int, flags: APIFlags
) -> tuple[Callable[[str], TransportSecurity], bool]:
    """Return what makes the TLS contexts, and whether the host only asks what the plugin is."""
    from functools import partial

    if version == AUTO_MTLS_VERSION:
        from authkit.plugin.security.tls import auto_mtls

        return partial(auto_mtls, environment.client_certificate), False
    from authkit.wire.vault_tls import is_metadata_mode, secure_protocol_4

    secure = partial(secure_protocol_4, environment, environ=os.environ, flags=flags)
    return secure, is_metadata_mode(os.environ)


def _engine_name() -> str:
    from authkit.errors import HandshakeError
    from authkit.rpc import ENGINES

    name = os.environ.get("AUTHKIT_RPC", "")
    if name not in ("", *ENGINES):
        raise HandshakeError(f"AUTHKIT_RPC: no engine {name!r}, use one of: {', '.join(ENGINES)}")
    return name


def _load(backend: type[Servable] | str) -> type[Servable]:
    if not isinstance(backend, str):
        return backend
    from importlib import import_module

    module, _, name = backend.partition(":")
    loaded: type[Servable] = getattr(import_module(module), name)
    return loaded
