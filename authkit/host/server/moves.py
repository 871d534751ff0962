"""Mounts on their way to another path, moved in the background, as on a server (Vault 1.21, vault/mount.go).

What was issued below the old path is revoked; what the mount has stored, its accessor and the process of
its plugin stay. What an operator may ask for: `authkit.host.backends.sys.remounting`.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from typing import Final

from authkit.host.mounts.table import MountError
from authkit.host.server.leases import Leases
from authkit.host.state import HostState
from authkit.host.store.leases import RevocationError
from authkit.values import Value, replace

__all__ = ["Moves"]

logger = logging.getLogger("authkit.host")

IN_PROGRESS: Final = "in-progress"
SUCCESS: Final = "success"
FAILURE: Final = "failure"

MAX_KEPT: Final = 1000
"""Moves whose status is known. A server keeps all until it restarts."""


class Move(Value, frozen=True, kw_only=True):
    """One move. Set by `Moves`."""

    source: str
    target: str
    status: str = IN_PROGRESS


class Moves:
    """The moves of a host since its start."""

    def __init__(self, state: HostState, leases: Leases) -> None:
        self._state = state
        self._leases = leases
        self._moves: dict[str, Move] = {}
        self._running: set[asyncio.Task[None]] = set()

    def begin(self, source: str, target: str) -> str:
        """Begin to move the mount at a route to another route; return the id of the move."""
        move_id = str(uuid.uuid4())
        self._moves[move_id] = Move(source=source, target=target)
        while len(self._moves) > MAX_KEPT:
            del self._moves[next(iter(self._moves))]
        task = asyncio.get_running_loop().create_task(self._run(move_id, source, target))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return move_id

    def find(self, move_id: str) -> tuple[str, str, str] | None:
        """Return source, target and status of a move."""
        move = self._moves.get(move_id)
        return None if move is None else (move.source, move.target, move.status)

    async def stop(self) -> None:
        """End the moves under way."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _run(self, move_id: str, source: str, target: str) -> None:
        status = FAILURE
        about = {"kv": {"migration_id": move_id, "from_path": source, "to_path": target}}
        try:
            await self._move(source, target)
            status = SUCCESS
            logger.info("remount successful", extra=about)
        except (MountError, RevocationError) as error:
            logger.error("remount failed: %s", error, extra=about)
        except Exception:
            logger.exception("remount failed", extra=about)
        finally:
            if move_id in self._moves:
                self._moves[move_id] = replace(self._moves[move_id], status=status)

    async def _move(self, source: str, target: str) -> None:
        """Move a mount. If that fails it answers nothing until it is moved: so does a server.

        Raises:
            MountError: there is no such mount, or the path is taken.
            RevocationError: what was issued below the old path cannot be revoked.
        """
        mount = self._state.mounts.find(source)
        if mount is None:
            raise MountError(f'no matching mount at "{source}"')
        mount.is_tainted = True
        await self._state.tokens.revoke_below(source)
        await self._leases.end(mount)
        await self._leases.revoke_below(source)  # also without a backend
        await self._state.mounts.move(mount, source, target.removeprefix(mount.entry.prefix))
