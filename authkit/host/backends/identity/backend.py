"""`identity/`: one backend out of entities and groups."""

from __future__ import annotations

from authkit.host.backends.identity.entities import Entities
from authkit.host.backends.identity.groups import Groups

__all__ = ["IdentityBackend"]


class IdentityBackend(Entities, Groups, name="identity"):
    """Entities, groups and their aliases."""
