"""Whether the node that a mount runs on may write, and whether another one has to serve a request."""

from __future__ import annotations

from typing import Final

from authkit.errors import ReadOnlyError, SystemViewError
from authkit.logical import ReplicationState, Storage, SystemView

__all__ = ["PROBE_KEY", "Node", "verify_serves_writes"]

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


async def verify_serves_writes(system: SystemView) -> None:
    """Raise if another node has to serve a request that is marked for forwarding.

    A host that cannot say is not asked twice: storage refuses the write itself where it must. The
    rule is that of Vault SDK 0.21 (framework/backend.go, HandleRequest): performance standbys, and
    performance secondaries unless the mount is local.

    Raises:
        ReadOnlyError: this node may not write; a host that can forward the request does.
    """
    try:
        state = await system.replication_state()
        if ReplicationState.PERFORMANCE_STANDBY in state:
            raise ReadOnlyError(ReadOnlyError.TEXT)
        if ReplicationState.PERFORMANCE_SECONDARY not in state or await system.local_mount():
            return
    except SystemViewError:
        return
    raise ReadOnlyError(ReadOnlyError.TEXT)
