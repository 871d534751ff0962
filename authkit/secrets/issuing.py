"""One credential on its way from the handler to its lease: written ahead, settled or undone.

An entry of the write-ahead log stands from before the credential is made until shortly after the answer
has left. The host makes the lease when it reads the answer, and tells nobody. If the entry were deleted
before the answer and the process ended in between, nobody would ever revoke the credential. So it is
deleted a little later; if plugin or host end within that time, a credential with a lease is revoked: its
holder reads a new one.
"""

from __future__ import annotations

from typing import Any

from authkit.framework import Model, WriteAheadLog
from authkit.secrets.leases import SecretRecord
from authkit.values import replace

__all__ = ["PATH_KEY", "RECORD_KEY", "Issue"]

PATH_KEY = "path"
RECORD_KEY = "secret"


class Issue:
    """One credential. `kind` is that of its entries in the log, `kept_model` what may be kept."""

    def __init__(
        self, wal: WriteAheadLog, kind: str, path: str, record: SecretRecord, kept_model: type[Model] | None
    ) -> None:
        self._wal = wal
        self._kind = kind
        self._path = path
        self._kept_model = kept_model
        self._entry = ""
        self.record = record

    @property
    def is_begun(self) -> bool:
        """Whether there may be something to undo."""
        return bool(self._entry)

    async def keep(self, kept: Model) -> None:
        """Write ahead what undoing needs.

        Raises:
            StorageError: the host refused the write.
            TypeError: it is of another model than the one that revocation takes.
        """
        if self._kept_model is None or not isinstance(kept, self._kept_model):
            wanted = self._kept_model.__name__ if self._kept_model else "nothing"
            raise TypeError(
                f"the handler of revoke takes {wanted}, so keep() does not take {type(kept).__name__}"
            )
        self.record = replace(self.record, kept=kept.to_stored())
        before, self._entry = self._entry, await self._wal.put(self._kind, self.entry_data())
        self._wal.hold(self._entry)
        if before:
            self._wal.release(before)
            await self._wal.commit(before)

    def entry_data(self) -> dict[str, Any]:
        """Return what stands in the log."""
        return {PATH_KEY: self._path, RECORD_KEY: self.record.internal_data()}

    def release(self) -> None:
        """Have the entry rolled back when it is old, unless it is settled: the handler has ended."""
        self._wal.release(self._entry)

    def unsettle(self) -> None:
        """Have the entry stay: nobody took the answer."""
        self._wal.cancel_commit(self._entry)

    def settle(self) -> None:
        """Have the entry deleted soon: the answer is on its way."""
        if self._entry:
            self._wal.commit_later(self._entry)
