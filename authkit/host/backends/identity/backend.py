"""`identity/`: one table out of entities and groups."""

from __future__ import annotations

from authkit.host.backends.identity.entities import add_entity_routes
from authkit.host.backends.identity.groups import add_group_routes
from authkit.host.backends.router import Routes
from authkit.host.state import HostState

__all__ = ["identity_routes"]


def identity_routes(state: HostState) -> Routes:
    """Return the table of `identity/`."""
    routes = Routes()
    add_entity_routes(routes, state)
    add_group_routes(routes, state)
    return routes
