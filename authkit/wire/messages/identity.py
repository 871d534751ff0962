"""Aliases, entities and groups (`logical.Alias`, `logical.Entity`, `logical.Group`)."""

from __future__ import annotations

from authkit.logical import Alias, Entity, Group
from authkit.wire.messages._values import fill_map
from authkit.wire.pb import logical_identity_pb2 as pb

__all__ = [
    "decode_alias",
    "decode_entity",
    "decode_group",
    "encode_alias",
    "encode_entity",
    "encode_group",
]


def encode_alias(alias: Alias) -> pb.Alias:
    """Return the message for an alias."""
    message = pb.Alias(
        mount_type=alias.mount_type,
        mount_accessor=alias.mount_accessor,
        name=alias.name,
        ID=alias.id,
        namespace_id=alias.namespace_id,
        local=alias.local,
    )
    fill_map(message.metadata, alias.metadata)
    fill_map(message.custom_metadata, alias.custom_metadata)
    return message


def decode_alias(message: pb.Alias) -> Alias:
    """Return the alias in a message."""
    return Alias(
        mount_type=message.mount_type,
        mount_accessor=message.mount_accessor,
        name=message.name,
        metadata=dict(message.metadata),
        id=message.ID,
        namespace_id=message.namespace_id,
        custom_metadata=dict(message.custom_metadata),
        local=message.local,
    )


def encode_entity(entity: Entity) -> pb.Entity:
    """Return the message for an entity."""
    return pb.Entity(
        ID=entity.id,
        name=entity.name,
        aliases=[encode_alias(alias) for alias in entity.aliases],
        metadata=entity.metadata,
        disabled=entity.disabled,
        namespace_id=entity.namespace_id,
    )


def decode_entity(message: pb.Entity) -> Entity:
    """Return the entity in a message."""
    return Entity(
        id=message.ID,
        name=message.name,
        aliases=tuple(decode_alias(alias) for alias in message.aliases),
        metadata=dict(message.metadata),
        disabled=message.disabled,
        namespace_id=message.namespace_id,
    )


def encode_group(group: Group) -> pb.Group:
    """Return the message for a group."""
    return pb.Group(ID=group.id, name=group.name, metadata=group.metadata, namespace_id=group.namespace_id)


def decode_group(message: pb.Group) -> Group:
    """Return the group in a message."""
    return Group(
        id=message.ID,
        name=message.name,
        metadata=dict(message.metadata),
        namespace_id=message.namespace_id,
    )
