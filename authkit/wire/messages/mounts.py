"""What concerns a mount as a whole: its setup, special paths, storage entries, the host's version."""

from __future__ import annotations

from collections.abc import Mapping

from authkit.logical import PluginEnvironment, SpecialPaths, StorageEntry
from authkit.values import Value, field
from authkit.wire.messages._values import decode_time, encode_time, texts
from authkit.wire.pb import backend_pb2 as pb
from authkit.wire.pb import logical_plugin_pb2

__all__ = [
    "MountSetup",
    "decode_plugin_environment",
    "decode_setup",
    "decode_special_paths",
    "decode_storage_entry",
    "encode_plugin_environment",
    "encode_setup",
    "encode_special_paths",
    "encode_storage_entry",
]

_PATH_LISTS = (
    "root",
    "unauthenticated",
    "local_storage",
    "seal_wrap_storage",
    "write_forwarded_storage",
    "binary",
    "limited",
    "allow_snapshot_read",
)


class MountSetup(Value, frozen=True, kw_only=True):
    """How a host sets a mount up (`pb.SetupArgs`). Set by the host."""

    broker_id: int
    """Under which the broker announces the host's services for this mount."""
    options: Mapping[str, str] = field(default_factory=dict)
    """Empty while the plugin is registered."""
    backend_uuid: str = ""
    """Stays with the mount; empty while the plugin is registered."""


def encode_setup(setup: MountSetup) -> pb.SetupArgs:
    """Return the message for a setup."""
    return pb.SetupArgs(broker_id=setup.broker_id, Config=setup.options, backendUUID=setup.backend_uuid)


def decode_setup(message: pb.SetupArgs) -> MountSetup:
    """Return the setup in a message."""
    return MountSetup(
        broker_id=message.broker_id, options=dict(message.Config), backend_uuid=message.backendUUID
    )


def encode_special_paths(paths: SpecialPaths) -> pb.Paths:
    """Return the message for special paths.

    Raises:
        InternalError: one of them is not a list of texts. Sent letter by letter, `login` would
            open other paths without a token.
    """
    return pb.Paths(**{name: texts(getattr(paths, name), name) for name in _PATH_LISTS})


def decode_special_paths(message: pb.Paths) -> SpecialPaths:
    """Return the special paths in a message."""
    return SpecialPaths(**{name: tuple(getattr(message, name)) for name in _PATH_LISTS})


def encode_storage_entry(entry: StorageEntry) -> pb.StorageEntry:
    """Return the message for a storage entry."""
    return pb.StorageEntry(key=entry.key, value=entry.value, seal_wrap=entry.seal_wrap)


def decode_storage_entry(message: pb.StorageEntry) -> StorageEntry:
    """Return the storage entry in a message."""
    return StorageEntry(key=message.key, value=message.value, seal_wrap=message.seal_wrap)


def encode_plugin_environment(environment: PluginEnvironment) -> logical_plugin_pb2.PluginEnvironment:
    """Return the message for the host's version. An unknown build date is left out."""
    built = environment.vault_build_date
    return logical_plugin_pb2.PluginEnvironment(
        vault_version=environment.vault_version,
        vault_version_prerelease=environment.vault_version_prerelease,
        vault_version_metadata=environment.vault_version_metadata,
        vault_build_date=None if built is None else encode_time(built),
    )


def decode_plugin_environment(message: logical_plugin_pb2.PluginEnvironment) -> PluginEnvironment:
    """Return the host's version in a message."""
    is_dated = message.HasField("vault_build_date")
    return PluginEnvironment(
        vault_version=message.vault_version,
        vault_version_prerelease=message.vault_version_prerelease,
        vault_version_metadata=message.vault_version_metadata,
        vault_build_date=decode_time(message.vault_build_date) if is_dated else None,
    )
