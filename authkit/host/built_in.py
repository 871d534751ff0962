"""Secrets engines that need no registration: `database`. They are plugins in this process."""

from __future__ import annotations

from authkit.clock import Clock
from authkit.host.backends.database.backend import DatabaseEngine, database_engine
from authkit.host.store.catalog import Catalog
from authkit.host.supervisor.in_process.plugin import InProcessPlugin
from authkit.logical import Backend, BackendConfig
from authkit.values import replace

__all__ = ["add_built_in"]


def add_built_in(catalog: Catalog, clock: Clock | None = None) -> None:
    """Add the built-in secrets engines to a catalog. They read `clock`, by default that of the machine."""
    factory = database_engine(catalog)

    def build(config: BackendConfig) -> Backend:
        return factory.build(config if clock is None else replace(config, clock=clock))

    timed = replace(factory, build=build)
    catalog.add_built_in(DatabaseEngine.name, lambda entry: InProcessPlugin(timed))
