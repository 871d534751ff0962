"""`serve`: the wire layer and the plugin process joined. What the executable of a backend plugin calls.

Importing this module costs next to nothing, and a wrong cookie is refused before anything else is imported.
"""

from __future__ import annotations

import os
import sys

from authkit.plugin.entry import Kind, engine_name, serve_plugin
from authkit.plugin.handshake import ENABLING
from authkit.wire.cookie import COOKIE_KEY, COOKIE_VALUE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

    from authkit.logical import Servable
    from authkit.plugin.environment import HostEnvironment
    from authkit.plugin.security.tls import TransportSecurity
    from authkit.plugin.server import Application, Dial, Plan
    from authkit.wire.api_flags import APIFlags

AUTO_MTLS_VERSION = 5

__all__ = ["COOKIE_KEY", "COOKIE_VALUE", "PROTOCOL_VERSIONS", "serve"]

PROTOCOL_VERSIONS = (5, 4)
"""Application protocols spoken: 5 is AutoMTLS with many mounts in one process (Vault 1.12 and later,
every OpenBao); 4 is for what is older."""


def serve(backend: type[Servable] | str) -> NoReturn:
    """Serve a backend to the host that started this process, and end the process.

    `backend` is a backend class, or its name as `package.module:Class`. What it does and returns:
    `authkit.plugin.entry.serve_plugin`.

    The arguments of the process are those that it was registered with: the flags of a Go plugin
    (docs/hosts.md) and no others; with others it is not served.
    """
    serve_plugin(_BackendKind(), backend)


class _BackendKind(Kind):
    cookie_key = COOKIE_KEY
    cookie_value = COOKIE_VALUE
    enabling = ENABLING

    def verify(self, loaded: type[Servable]) -> None:
        _flags()
        loaded.factory()

    def plan(self, environment: HostEnvironment, load: Callable[[], type[Servable]]) -> Plan:
        from authkit.plugin.server import Plan, agree_on_version

        version = agree_on_version(environment, PROTOCOL_VERSIONS)
        flags = _flags()
        engine = engine_name()
        secure, metadata_mode = _security(environment, version, flags)
        loaded = load()
        factory = loaded.factory()

        def application(dial: Dial) -> Application:
            from authkit.plugin.environment import METRICS_VARIABLE
            from authkit.wire.backend import BackendService

            where = os.environ.get(METRICS_VARIABLE)
            if where and not metadata_mode:
                from authkit.metrics.applications import measured_backends

                return measured_backends(factory, dial, plugin=getattr(loaded, "name", ""), where=where)
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
