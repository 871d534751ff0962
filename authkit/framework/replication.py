"""What a mount knows about the node that it runs on: whether it may write."""

from __future__ import annotations

from typing import Final

from authkit.errors import ReadOnlyError
from authkit.framework.forwarding import verify_serves_writes
from authkit.logical import Storage, SystemView

__all__ = ["PROBE_KEY", "Node"]

PROBE_KEY: Final = "authkit-probe"
"""Never stored. Deleting it changes nothing, and only a node that may write lets one delete."""


class Node:
    """The node of one mount: `self.node`."""

    def __init__(self, system: SystemView, storage: Storage) -> None:
        self._system = system
        self._storage = storage

    async def can_write(self) -> bool:
        """Return whether storage takes writes here, now: ask before changing anything outside.

        Performance standbys, and performance secondaries unless the mount is local, are known by their
        replication state; OpenBao's read standbys are not, so storage is asked as well, by the
        deletion of a key that is never there. Local storage of a collection does not count.

        Raises:
            StorageError: the host refused the deletion for another reason.
        """
        try:
            await verify_serves_writes(self._system)
            await self._storage.delete(PROBE_KEY)
        except ReadOnlyError:
            return False
        return True
