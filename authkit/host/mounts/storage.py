"""The storage of one mount, cut out of the host's: `logical.Storage` with the words of a Vault server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
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
    before: Callable[[str, str], Awaitable[None]] | None = None
    """Awaited before each call, with its name and the key in the host's storage: a test may hold it."""


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
        await self._enter("list", prefix)
        if self._gate.fail_lists:
            raise StorageError("storage does not list: switched off by a test")
        start = self._prefix + prefix
        return children(await self._physical.keys(start), start)

    async def get(self, key: str) -> StorageEntry | None:
        """Return the entry, `None` when there is none."""
        await self._enter("get", key)
        if self._gate.fail_gets:
            raise StorageError("storage does not read: switched off by a test")
        value = await self._physical.get(self._prefix + key)
        return None if value is None else StorageEntry(key, value[1:], value[:1] == _SEAL_WRAPPED)

    async def put(self, entry: StorageEntry) -> None:
        """Store the entry."""
        await self._enter("put", entry.key)
        self._verify_writable()
        if self._gate.fail_puts:
            raise StorageError("storage does not write: switched off by a test")
        value = (_SEAL_WRAPPED if entry.seal_wrap else _PLAIN) + entry.value
        await self._physical.apply({self._prefix + entry.key: value})

    async def delete(self, key: str) -> None:
        """Remove the entry, if there."""
        await self._enter("delete", key)
        self._verify_writable()
        if self._gate.fail_deletes:
            raise StorageError("storage does not delete: switched off by a test")
        await self._physical.apply({self._prefix + key: None})

    async def _enter(self, call: str, key: str) -> None:
        if ".." in key:
            raise StorageError("relative paths not supported")
        if self._gate.before is not None:
            await self._gate.before(call, self._prefix + key)

    def _verify_writable(self) -> None:
        if self.is_in_setup:
            raise StorageError("cannot write to storage during setup")
        if self._gate.read_only:
            raise ReadOnlyError(ReadOnlyError.TEXT)


async def remove_all(physical: PhysicalStorage, prefix: str) -> None:
    """Remove everything below `prefix`, in one transaction."""
    await physical.apply(dict.fromkeys(await physical.keys(prefix)))
