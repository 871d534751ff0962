"""The engine `database`: one backend out of the parts that serve it.

Paths, fields and texts are those of Vault 1.21 (builtin/logical/database).
"""

from __future__ import annotations

from authkit.host.backends.database.root_rotation import RootRotation
from authkit.host.store.catalog import Catalog
from authkit.host.store.plugins import VAULT_VERSION
from authkit.logical import BackendConfig, BackendFactory

__all__ = ["DatabaseEngine", "database_engine"]


class DatabaseEngine(RootRotation, name="database"):
    """Users of databases, made and deleted by the host's database plugins."""


def database_engine(catalog: Catalog) -> BackendFactory:
    """Return what serves the engine, with the database plugins of a catalog."""

    def build(config: BackendConfig) -> DatabaseEngine:
        return DatabaseEngine(config, catalog)

    return BackendFactory(
        build=build, backend_type=DatabaseEngine.backend_type, version=f"v{VAULT_VERSION}+builtin.vault"
    )
