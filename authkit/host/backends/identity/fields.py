"""What entities and groups have in common in the API: fields, checks, the mount of an alias."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from authkit.auth.policies import sanitize_policies
from authkit.errors import InternalError, UserError
from authkit.framework import KV, Listing, Model, Str, field
from authkit.host.backends.base import HostBackend
from authkit.host.mounts.entries import Mount
from authkit.host.store.identity import AliasRecord, IdentityError, IdentityStore, verify_metadata
from authkit.host.store.times import show_time

__all__ = [
    "AliasFields",
    "IdentityPaths",
    "LookupFields",
    "list_aliases",
    "metadata_of_data",
    "policies_of_data",
]


class AliasFields(Model):
    """What an operator writes of an alias."""

    id: Str = field(default="", help="Its id.")
    name: Str = field(default="", help="The name that the mount knows.")
    mount_accessor: Str = field(default="", help="The accessor of the mount.")
    canonical_id: Str = field(default="", help="The entity or group that it belongs to.")
    entity_id: Str = field(default="", help="The entity that it belongs to.", deprecated=True)
    custom_metadata: KV = field(default={}, help="Free key-value pairs.")


class LookupFields(Model):
    """By what an entity or a group is looked up."""

    id: Str = field(default="", help="Its id.")
    name: Str = field(default="", help="Its name.")
    alias_id: Str = field(default="", help="The id of its alias.")
    alias_name: Str = field(default="", help="The name of its alias.")
    alias_mount_accessor: Str = field(default="", help="The mount of its alias.")


_LISTED: Final = (
    "canonical_id",
    "custom_metadata",
    "local",
    "metadata",
    "mount_accessor",
    "mount_path",
    "mount_type",
    "name",
)
"""What a list of aliases tells of each."""


class IdentityPaths(HostBackend):
    """What the paths of entities and of groups have in common."""

    @property
    def identity(self) -> IdentityStore:
        """The entities and groups of the host."""
        return self.state.identity

    def mount_of(self, accessor: str) -> Mount:
        """Return the mount of an accessor, which a client has named."""
        mount = self.state.mounts.by_accessor(accessor)
        if mount is None:
            raise UserError(f'invalid mount accessor "{accessor}"')
        return mount.entry

    def show_alias(self, owner_id: str, alias: AliasRecord) -> dict[str, Any]:
        """Return what is known of the alias of an entity or a group."""
        mount = self.state.mounts.by_accessor(alias.mount_accessor)
        return {
            "canonical_id": owner_id,
            "creation_time": show_time(alias.created),
            "custom_metadata": dict(alias.custom_metadata) or None,
            "id": alias.id,
            "last_update_time": show_time(alias.updated),
            "local": alias.local,
            "merged_from_canonical_ids": None,
            "metadata": dict(alias.metadata) or None,
            "mount_accessor": alias.mount_accessor,
            "mount_path": mount.entry.route if mount else alias.mount_path,
            "mount_type": mount.entry.type if mount else alias.mount_type,
            "name": alias.name,
        }


def policies_of_data(data: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the policies of an entity or a group, cleaned; never root."""
    policies = sanitize_policies(data.get("policies", ()))
    if "root" in policies:
        raise UserError("policies cannot contain root")
    return policies


def metadata_of_data(data: Mapping[str, Any], what: str) -> dict[str, str]:
    """Return the metadata of an entity, a group, or (`custom_metadata`) an alias."""
    name = "custom_metadata" if what == "custom_metadata" else "metadata"
    metadata = dict(data.get(name, {}))
    try:
        verify_metadata(metadata)
    except IdentityError as error:
        raise InternalError(f"invalid {what} metadata: {error}") from error
    return metadata


def list_aliases(aliases: Iterable[Mapping[str, Any]]) -> Listing:
    """Return the list of these aliases, as `IdentityPaths.show_alias` shows them."""
    info = {each["id"]: {name: each[name] for name in _LISTED if name in each} for each in aliases}
    return Listing(sorted(info), info)
