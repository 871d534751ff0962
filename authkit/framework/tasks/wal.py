"""The write-ahead log: what to undo when a change outside the host breaks off half-way.

::

    async def rotate(self) -> None:
        entry = await self.wal.put("rotate", {"user": "app", "started": True})
        ...                              # change the world, then store what came of it
        await self.wal.commit(entry)

    @rollback("rotate")
    async def undo(self, entry: WALEntry) -> None: ...

`@rollback` is declared in `authkit.framework.tasks.rollbacks`. Entries have the SDK's shape (Vault SDK 0.21,
framework/wal.go), so that a method in place of an older plugin finds what that has left.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Final

from authkit.clock import MAX_SKEW
from authkit.errors import InternalError, ReadOnlyError, StorageError
from authkit.framework.handler_threads import Exclusive, invoke
from authkit.framework.replication import PROBE_KEY
from authkit.framework.routing.declarations import MountContext
from authkit.framework.stored.codec import decode_entry, encode_entry
from authkit.framework.stored.storage_keys import WAL_PREFIX
from authkit.framework.stored.views import StorageView
from authkit.framework.tasks.rollbacks import Rollback
from authkit.logical import Request, Storage, StorageEntry
from authkit.values import Value

__all__ = ["WALEntry", "WriteAheadLog"]

if TYPE_CHECKING:
    import asyncio

log = logging.getLogger(__name__)

_IDs = list[str]

TICK_SECONDS: Final = 30.0
"""A tick begins no further entry after this time. It has about 90 s (Vault 1.21); the next one goes on.
Clients who ask for credentials and leave bring thousands of entries in minutes."""

MAX_FAILURES: Final = 100
"""A tick begins no further entry after so many failures: each is logged with its traceback."""

SETTLE_SECONDS: Final = 10.0
"""From an answer on its way to the deletion of its entry: time for the host to act on the answer. A busy one
may take seconds to store a lease."""

UNREADABLE: Final = "unreadable"
"""In place of a kind: the entry cannot be read."""


class WALEntry(Value, frozen=True, kw_only=True):
    """One entry of the log."""

    id: str
    kind: str
    data: Any
    """As it was put: JSON."""
    created_at: datetime
    """In whole seconds."""

    unshown: ClassVar = ("data",)


class WriteAheadLog:
    """The log of one mount: `self.wal`. `mount` is its stable id."""

    def __init__(
        self,
        storage: Storage,
        handlers: Iterable[Rollback[..., Any]],
        clock: Callable[[], float] = time.time,
        *,
        mount: str = "",
    ) -> None:
        self._view = StorageView(storage, WAL_PREFIX)
        self._handlers: Mapping[str, Rollback[..., Any]] = {handler.kind: handler for handler in handlers}
        self._clock = clock
        self._last = ""
        self._settled: dict[str, asyncio.TimerHandle] = {}
        self._held: set[str] = set()
        self._committing: set[asyncio.Task[None]] = set()
        self._run = Exclusive.of(mount, "rolling back")
        self.listed = 0
        """Entries that the last tick found, those of requests at work included."""

    async def put(self, kind: str, data: Any) -> str:
        """Store an entry before the change that it is about, and return its id for `commit`.

        Secrets that undoing needs go in as text; the host encrypts them like everything it stores.

        Raises:
            ValueError: nobody undoes entries of this kind, or `data` is not JSON.
            StorageError: the host refused the write; then do not change anything.
        """
        if kind not in self._handlers:
            raise ValueError(f"no method is a @rollback({kind!r})")
        from uuid import uuid4

        entry_id = str(uuid4())
        value = {"type": kind, "data": data, "created_at": int(self._clock())}
        await self._view.put(StorageEntry(entry_id, encode_entry(value)))
        return entry_id

    async def commit(self, entry_id: str) -> None:
        """Delete an entry: what it is about is done, or was never begun.

        Raises:
            StorageError: the host refused it; the entry will be rolled back.
        """
        await self._view.delete(entry_id)

    def hold(self, entry_id: str) -> None:
        """Have no tick roll an entry back, however old it is, until `release`: its request is at work."""
        self._held.add(entry_id)

    def release(self, entry_id: str) -> None:
        """End `hold`."""
        self._held.discard(entry_id)

    def commit_later(self, entry_id: str) -> None:
        """Delete an entry `SETTLE_SECONDS` from now, for what the host does after this request.

        If the deletion fails the next tick does it. If the process ends before, the entry is rolled back.
        """
        import asyncio

        loop = asyncio.get_running_loop()
        self._settled[entry_id] = loop.call_later(SETTLE_SECONDS, self._start_commit, entry_id)

    def cancel_commit(self, entry_id: str) -> None:
        """Take `commit_later` back: the host does not act on the answer. The entry is rolled back later."""
        timer = self._settled.pop(entry_id, None)
        if timer is not None:
            timer.cancel()

    async def commit_settled(self) -> None:
        """Delete what `commit_later` was given, now: at the end.

        Raises:
            StorageError: the host refused it; what is left will be deleted at the next tick.
        """
        for entry_id in list(self._settled):
            await self._commit_settled(entry_id)

    def _start_commit(self, entry_id: str) -> None:
        import asyncio

        task = asyncio.get_running_loop().create_task(self._try_commit(entry_id))
        self._committing.add(task)
        task.add_done_callback(self._committing.discard)

    async def _try_commit(self, entry_id: str) -> None:
        try:
            await self._commit_settled(entry_id)
        except StorageError as error:
            log.warning("an entry of the write-ahead log stays until the next tick: %s", error)

    async def _commit_if_settled(self, entry_id: str) -> None:
        import asyncio

        if self._settled[entry_id].when() <= asyncio.get_running_loop().time():
            await self._commit_settled(entry_id)

    async def _commit_settled(self, entry_id: str) -> None:
        timer = self._settled.get(entry_id)
        if timer is None:
            return
        timer.cancel()
        await self.commit(entry_id)
        self._settled.pop(entry_id, None)

    async def list(self) -> _IDs:
        """Return the ids of all entries."""
        return await self._view.list()

    async def find(self, entry_id: str) -> WALEntry | None:
        """Return an entry, `None` when there is none.

        Raises:
            InternalError: what is stored cannot be read.
        """
        stored = await self._view.get(entry_id)
        if stored is None:
            return None
        try:
            value = decode_entry(stored.value)
            created_at = datetime.fromtimestamp(value["created_at"], UTC)
            return WALEntry(
                id=entry_id, kind=str(value["type"]), data=value.get("data"), created_at=created_at
            )
        except (ValueError, TypeError, KeyError, OverflowError, OSError) as error:
            raise InternalError("an entry of the write-ahead log cannot be read") from error

    async def roll_back(self, backend: MountContext, request: Request) -> None:
        """Undo what is due, for one tick of the host. The key `immediate` in its data ignores the age.

        Raises:
            InternalError: entries could not be undone; the text names their kinds, and nothing of their
                data. They stay.
            ReadOnlyError: nothing failed but that this node may not write what it needed to.
        """
        # A tick that takes longer than the host waits must not be joined by the next one.
        if not self._handlers or not self._run.may_begin():
            return
        with self._run.run():
            entries = await self._next_entries()
            if entries and await self._can_commit():
                await self._undo(entries, backend, immediate="immediate" in request.data)

    async def _undo(self, entries: _IDs, backend: MountContext, *, immediate: bool) -> None:
        import asyncio

        loop = asyncio.get_running_loop()
        end = loop.time() + TICK_SECONDS
        failures = 0
        failed: dict[str, Exception | None] = {}
        for turn, entry_id in enumerate(entries):
            if turn and (loop.time() >= end or failures >= MAX_FAILURES):
                break
            self._last = entry_id
            kind = UNREADABLE
            try:
                # Before it is read: its own timer may delete it meanwhile.
                if entry_id in self._settled:
                    await self._commit_if_settled(entry_id)
                    continue
                if entry_id in self._held:
                    continue
                entry = await self.find(entry_id)
                if entry is None:
                    continue
                kind = entry.kind
                if entry_id in self._settled:  # since it was read
                    continue
                if kind not in self._handlers:
                    failed.setdefault(kind, None)
                elif immediate or self._is_due(entry):
                    await invoke(self._handlers[kind].handler, backend, entry)
                    await self.commit(entry_id)
            except ReadOnlyError as error:
                # On a secondary a method may lack the storage of the primary; the log is its own.
                if not await self._can_commit():
                    raise
                failed.setdefault(kind, error)
            except Exception as error:
                failures += 1
                backend.log.exception("rolling back an entry of kind %s failed", kind)
                failed.setdefault(kind, error)
        _raise_failures(failed)

    async def _can_commit(self) -> bool:
        """Return whether entries can be deleted here: no other node may touch the world outside."""
        try:
            await self._view.delete(PROBE_KEY)
        except ReadOnlyError:
            return False
        return True

    async def _next_entries(self) -> _IDs:
        """Return the entries in the order of their turns: those after the last one come first."""
        listed = await self.list()
        self.listed = len(listed)
        # Entries of running requests do not count: many of them must not hold up what is due.
        entries = [name for name in listed if not name.endswith("/") and not self._is_at_work(name)]
        later = [name for name in entries if name > self._last]
        return later + entries[: len(entries) - len(later)]

    def _is_at_work(self, entry_id: str) -> bool:
        """Whether a running request or a timer will still commit or release the entry."""
        import asyncio

        timer = self._settled.get(entry_id)
        is_waiting = timer is not None and timer.when() > asyncio.get_running_loop().time()
        return is_waiting or entry_id in self._held

    def _is_due(self, entry: WALEntry) -> bool:
        age = timedelta(seconds=self._clock() - entry.created_at.timestamp())
        # The age of an entry from the future is unknown: waiting for it could take for ever.
        return age >= self._handlers[entry.kind].min_age or age < -MAX_SKEW


def _raise_failures(failed: Mapping[str, Exception | None]) -> None:
    read_only = [error for error in failed.values() if isinstance(error, ReadOnlyError)]
    if read_only and len(read_only) == len(failed):
        raise read_only[0]
    if failed:
        cause = next((error for error in failed.values() if error is not None), None)
        kinds = ", ".join(f'"{kind}"' for kind in sorted(failed))
        raise InternalError(f"error rolling back entries: {kinds}") from cause
