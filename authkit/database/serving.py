"""`serve`: what the executable of a database plugin calls.

Importing this module costs next to nothing, and a wrong cookie is refused before anything else is imported.
"""

from __future__ import annotations

import os

from authkit.database.cookie import COOKIE_KEY, COOKIE_VALUE, ENABLING
from authkit.plugin.entry import Kind, engine_name, serve_plugin

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

    from authkit.database.plugin import Database
    from authkit.plugin.environment import HostEnvironment
    from authkit.plugin.server import Application, Dial, Plan

__all__ = ["PROTOCOL_VERSIONS", "serve"]

PROTOCOL_VERSIONS = (6, 5)
"""Application protocols spoken, of one service: with 6 a process serves many connections (Vault 1.10 and
later, every OpenBao), with 5 one."""


def serve(database: type[Database[Any, Any]] | str) -> NoReturn:
    """Serve a database plugin to the host that started this process, and end the process.

    `database` is a class that derives from `Database`, or its name as `package.module:Class`. What it does
    and returns: `authkit.plugin.entry.serve_plugin`.
    """
    serve_plugin(_DatabaseKind(), database)


class _DatabaseKind(Kind):
    cookie_key = COOKIE_KEY
    cookie_value = COOKIE_VALUE
    enabling = ENABLING

    def verify(self, loaded: type[Database[Any, Any]]) -> None:
        loaded.verify_servable()

    def plan(self, environment: HostEnvironment, load: Callable[[], type[Database[Any, Any]]]) -> Plan:
        from functools import partial

        from authkit.plugin.security.tls import auto_mtls
        from authkit.plugin.server import Plan, agree_on_version
        from authkit.wire.vault_tls import is_metadata_mode

        version = agree_on_version(environment, PROTOCOL_VERSIONS)
        engine = engine_name()
        metadata_mode = is_metadata_mode(os.environ)
        database = load()
        database.verify_servable()

        def application(dial: Dial) -> Application:
            from authkit.database.service import DatabaseService
            from authkit.plugin.environment import METRICS_VARIABLE

            service = DatabaseService(database, metadata_mode=metadata_mode)
            where = os.environ.get(METRICS_VARIABLE)
            if where and not metadata_mode:
                from authkit.metrics.applications import measured_database

                return measured_database(service, plugin=database.name, version=database.version, where=where)
            return service

        return Plan(
            environment=environment,
            version=version,
            secure=partial(auto_mtls, environment.client_certificate),
            application=application,
            engine=engine,
        )
