"""The server's identity store as an operator sees it: entities, their aliases, and external groups."""

from __future__ import annotations

from itertools import count
from typing import Any

from livebed.client import Client
from livebed.mounts import Mount

__all__ = ["entity_of", "find_alias", "group_names", "write_external_group"]

numbers = count(1)


def write_external_group(mount: Mount, alias: str, *policies: str, accessor: str = "") -> str:
    """Make a group of those whose logins report `alias`, at this mount or another; return its name."""
    name = f"group{next(numbers)}"
    group = {"name": name, "type": "external", "policies": list(policies)}
    canonical_id = mount.client.write("identity/group", **group)["data"]["id"]
    mapping = {"name": alias, "mount_accessor": accessor or mount.accessor, "canonical_id": canonical_id}
    mount.client.write("identity/group-alias", **mapping)
    return name


def entity_of(client: Client, auth: dict[str, Any]) -> dict[str, Any]:
    """Return the entity behind a login."""
    return client.read(f"identity/entity/id/{auth['entity_id']}")


def group_names(client: Client, auth: dict[str, Any]) -> set[str]:
    """Return the names of the groups in which the entity of a login is now."""
    ids = entity_of(client, auth)["group_ids"] or []
    return {client.read(f"identity/group/id/{each}")["name"] for each in ids}


def find_alias(mount: Mount, auth: dict[str, Any]) -> dict[str, Any]:
    """Return the one alias that the entity of a login has at the mount."""
    aliases = entity_of(mount.client, auth)["aliases"]
    (alias,) = (each for each in aliases if each["mount_accessor"] == mount.accessor)
    found: dict[str, Any] = alias
    return found
