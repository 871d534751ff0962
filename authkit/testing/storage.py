"""The storage of a simulated mount in the hands of a test: read, change, and hold the backend's calls."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final, Literal

from authkit.host.mounts.storage import MountStorage, StorageGate
from authkit.host.mounts.table import MountTable, RunningMount
from authkit.host.server.core import Core
from authkit.logical import StorageEntry

__all__ = ["HeldCall", "StoredEntries"]

REACH_SECONDS: Final = 30.0
"""A call that has not come by then does not come. Real time: the clock of the simulator stands still."""


class HeldCall:
    """One call of the backend's to its storage that waits for the test. Made by `StoredEntries.hold`."""

    def __init__(self, call: str, prefix: str, mount: str = "") -> None:
        self._call, self._prefix, self._mount = call, prefix, mount
        self._reached, self._released = asyncio.Event(), asyncio.Event()

    async def reached(self) -> None:
        """Return once the backend has made the call, which waits from then on.

        Raises:
            AssertionError: it has not come within `REACH_SECONDS`.
        """
        try:
            async with asyncio.timeout(REACH_SECONDS):
                await self._reached.wait()
        except TimeoutError:
            raise AssertionError(f"the backend made no {self._call} of {self._prefix!r}") from None

    def release(self) -> None:
        """Let the call go on. A second time does nothing."""
        self._released.set()

    async def wait_if_first(self, call: str, key: str) -> None:
        """Be the call that is held, if it is the first that matches."""
        is_meant = call == self._call and key.startswith(self._mount + self._prefix)
        if is_meant and not self._reached.is_set():
            self._reached.set()
            await self._released.wait()


class StoredEntries:
    """What a mount has stored, secrets in clear text. Keys are those of `self.storage` in the plugin.

    Changes are made as another node makes them: past the plugin's handlers, which is told of each key
    (`Backend.invalidated`). The switches of `Simulator.fail_storage` and `standby` do not apply here.

    Raises:
        KeyError: from each method, there is no such mount.
    """

    def __init__(self, core: Core, route: str) -> None:
        self._core = core
        self._route = route

    async def list(self, prefix: str = "") -> list[str]:
        """Return every key that begins with `prefix`, whole and sorted."""
        start = MountTable.storage_prefix(self._mount().entry)
        return [key.removeprefix(start) for key in await self._core.state.physical.keys(start + prefix)]

    async def get(self, key: str) -> str | None:
        """Return an entry as text, `None` where there is none.

        Raises:
            UnicodeDecodeError: it is not UTF-8; see `get_bytes`.
        """
        value = await self.get_bytes(key)
        return None if value is None else value.decode()

    async def get_bytes(self, key: str) -> bytes | None:
        """Return an entry as it is stored, `None` where there is none."""
        entry = await self._storage().get(key)
        return None if entry is None else entry.value

    async def get_json(self, key: str) -> Any:
        """Return what an entry holds as JSON, such as a stored model; `None` where there is none.

        Raises:
            ValueError: it is not JSON.
        """
        value = await self.get_bytes(key)
        return None if value is None else json.loads(value)

    async def put(self, key: str, value: str | bytes) -> None:
        """Store a text, as UTF-8, or bytes. An entry that is replaced keeps its seal wrap."""
        storage = self._storage()
        known = await storage.get(key)
        data = value.encode() if isinstance(value, str) else value
        await storage.put(StorageEntry(key, data, known is not None and known.seal_wrap))
        await self._tell(key)

    async def put_json(self, key: str, value: Any) -> None:
        """Store a value as JSON.

        Raises:
            TypeError, ValueError: JSON cannot express it.
        """
        await self.put(key, json.dumps(value, allow_nan=False))

    async def delete(self, key: str) -> None:
        """Remove an entry, if there."""
        await self._storage().delete(key)
        await self._tell(key)

    @asynccontextmanager
    async def hold(
        self, call: Literal["list", "get", "put", "delete"], prefix: str = ""
    ) -> AsyncIterator[HeldCall]:
        """Hold the backend's next call of this kind to a key that begins with `prefix`, before it is done.

        Other calls, and those after it, go on. The call goes on at `release`, or at the end of the block.

        Raises:
            RuntimeError: another call is being held.
        """
        gate = self._core.state.gate
        if gate.before is not None:
            raise RuntimeError("one call at a time can be held")
        held = HeldCall(call, prefix, MountTable.storage_prefix(self._mount().entry))
        gate.before = held.wait_if_first
        try:
            yield held
        finally:
            gate.before = None
            held.release()

    def _mount(self) -> RunningMount:
        route = f"{self._route}/"
        found = self._core.state.mounts.find(route)
        if found is None:
            raise KeyError(f"nothing is mounted at {route}")
        return found

    def _storage(self) -> MountStorage:
        prefix = MountTable.storage_prefix(self._mount().entry)
        storage = MountStorage(self._core.state.physical, prefix, StorageGate())
        storage.is_in_setup = False
        return storage

    async def _tell(self, key: str) -> None:
        backend = self._mount().backend
        if backend is not None:
            await backend.invalidate_key(key)
