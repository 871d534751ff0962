"""Whether a request has to be served by another node: before a handler changes the world outside."""

from __future__ import annotations

from authkit.errors import ReadOnlyError, SystemViewError
from authkit.logical import ReplicationState, SystemView

__all__ = ["verify_serves_writes"]


async def verify_serves_writes(system: SystemView) -> None:
    """Return if this node may serve a request that is marked for forwarding.

    A host that cannot say is not asked twice: storage refuses the write itself where it must. The
    rule is that of Vault SDK 0.21 (framework/backend.go, HandleRequest): performance standbys, and
    performance secondaries unless the mount is local.

    Raises:
        ReadOnlyError: it may not; a host that can forward does.
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
