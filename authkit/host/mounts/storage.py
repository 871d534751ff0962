"""The storage of one mount, cut out of the host's: `logical.Storage` with the words of a Vault server."""

from __future__ import annotations

from dataclasses import dataclass

from authkit.errors import ReadOnlyError, StorageError
from authkit.host.store.storage import PhysicalStorage, children
from authkit.logical import StorageEntry

__all__ = ["MountStorage", "StorageGate", "remove_all"]

_SEAL_WRAPPED, _PLAIN = b"\1", b"\0"


@dataclass(slots=True, kw_only=True)
class StorageGate:
    """What storage refuses at the moment. One gate for all mounts of a host; tests turn its switches."""

    read_only: bool = False
    """The node is a standby."""
    fail_gets: bool = False
    fail_puts: bool = False
    fail_deletes: bool = False
    fail_lists: bool = False


class MountStorage:
    """Everything below one prefix of the host's storage."""

    def __init__(self, physical: PhysicalStorage, prefix: str, gate: StorageGate) -> None:
        self._physical = physical
        self._prefix = prefix
        self._gate = gate
        self.is_in_setup = True
        """A backend that is being set up may read, but not write (Vault 1.21, vault/auth.go)."""

    async def list(self, prefix: str = "") -> list[str]:
        """Return the direct children of `prefix`, sorted."""
        _verify_path(prefix)
        if self._gate.fail_lists:
            raise StorageError("storage does not list: switched off by a test")
        start = self._prefix + prefix
        return children(await self._physical.keys(start), start)

    async def get(self, key: str) -> StorageEntry | None:
        """Return the entry, `None` when there is none."""
        _verify_path(key)
        if self._gate.fail_gets:
            raise StorageError("storage does not read: switched off by a test")
        value = await self._physical.get(self._prefix + key)
        return None if value is None else StorageEntry(key, value[1:], value[:1] == _SEAL_WRAPPED)

    async def put(self, entry: StorageEntry) -> None:
        """Store the entry."""
        _verify_path(entry.key)
        self._verify_writable()
        if self._gate.fail_puts:
            raise StorageError("storage does not write: switched off by a test")
        value = (_SEAL_WRAPPED if entry.seal_wrap else _PLAIN) + entry.value
        await self._physical.apply({self._prefix + entry.key: value})

    async def delete(self, key: str) -> None:
        """Remove the entry, if there."""
        _verify_path(key)
        self._verify_writable()
        if self._gate.fail_deletes:
            raise StorageError("storage does not delete: switched off by a test")
        await self._physical.apply({self._prefix + key: None})

    def _verify_writable(self) -> None:
        if self.is_in_setup:
            raise StorageError("cannot write to storage during setup")
        if self._gate.read_only:
            raise ReadOnlyError(ReadOnlyError.TEXT)


def _verify_path(path: str) -> None:
    if ".." in path:
        raise StorageError("relative paths not supported")


async def remove_all(physical: PhysicalStorage, prefix: str) -> None:
    """Remove everything below `prefix`, in one transaction."""
    await physical.apply(dict.fromkeys(await physical.keys(prefix)))
