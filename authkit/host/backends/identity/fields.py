"""What entities and groups have in common in the API: fields, checks, the mount of an alias."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from authkit.auth.policies import sanitize_policies
from authkit.host.backends.router import list_of, map_of
from authkit.host.messages import Failure, listed
from authkit.host.mounts.table import RunningMount
from authkit.host.state import HostState
from authkit.host.store.identity import IdentityError, verify_metadata

__all__ = ["ALIAS_FIELDS", "LISTED", "LOOKUP_FIELDS", "metadata_of_data", "mount_of", "policies_of_data"]

ALIAS_FIELDS: Final = "id name mount_accessor canonical_id entity_id custom_metadata"
LOOKUP_FIELDS: Final = "id name alias_id alias_name alias_mount_accessor"

LISTED: Final = (
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


def mount_of(state: HostState, accessor: str) -> RunningMount:
    """Return the mount of an accessor, which a client has named."""
    mount = state.mounts.by_accessor(accessor)
    if mount is None:
        raise Failure(400, f'invalid mount accessor "{accessor}"')
    return mount


def policies_of_data(data: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the policies of an entity or a group, cleaned; never root."""
    policies = sanitize_policies(list_of(data, "policies"))
    if "root" in policies:
        raise Failure(400, "policies cannot contain root")
    return policies


def metadata_of_data(data: Mapping[str, Any], what: str) -> dict[str, str]:
    """Return the metadata of an entity, a group, or (`custom_metadata`) an alias."""
    name = "custom_metadata" if what == "custom_metadata" else "metadata"
    metadata = map_of(data, name)
    try:
        verify_metadata(metadata)
    except IdentityError as error:
        raise Failure(500, listed(f"invalid {what} metadata: {error}")) from error
    return metadata
