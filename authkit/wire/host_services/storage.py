"""The storage of one mount (`pb.Storage`; Vault SDK 0.21, plugin/grpc_storage.go)."""

from __future__ import annotations

from typing import Any, TypeVar

from google.protobuf.message import Message

from authkit.errors import StorageError
from authkit.logical import StorageEntry, check_key, check_prefix
from authkit.rpc.interface import Channel
from authkit.wire.errors import storage_error
from authkit.wire.host_services._call import CALL_FAILURES, call_host, is_unimplemented
from authkit.wire.messages import decode_storage_entry, encode_storage_entry
from authkit.wire.pb import backend_pb2 as pb

__all__ = ["HostStorage"]

MAX_PAGE = 2**31 - 1
"""The longest page that can be asked for (`pb.StorageListPageArgs.limit`)."""

_R = TypeVar("_R", bound=Message)

# Inside the class `list` is a method.
_Names = list[str]


class HostStorage:
    """The storage of one mount, kept by the host. See `authkit.logical.Storage`."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._has_pages = True

    async def list(self, prefix: str = "") -> list[str]:
        """Return the direct children of `prefix`, sorted."""
        args = pb.StorageListArgs(prefix=check_prefix(prefix))
        reply = await self._call("List", args, pb.StorageListReply)
        return sorted(reply.keys)

    async def list_page(self, prefix: str = "", *, after: str = "", limit: int = 0) -> _Names:
        """Return up to `limit` children of `prefix` (0: all) that sort after `after`.

        Where the host has no pages (Vault), the whole list is fetched and cut here.

        Raises:
            StorageError: the host refused the call, or `limit` is negative.
        """
        if limit < 0:
            raise StorageError("a page has no negative length")
        if self._has_pages:
            args = pb.StorageListPageArgs(
                prefix=check_prefix(prefix), after=after, limit=min(limit, MAX_PAGE)
            )
            try:
                return sorted((await self._call("ListPage", args, pb.StorageListReply)).keys)
            except StorageError as exc:
                if not is_unimplemented(exc.__cause__):
                    raise
                self._has_pages = False
        names = [name for name in await self.list(prefix) if name > after]
        return names[:limit] if limit else names

    async def get(self, key: str) -> StorageEntry | None:
        """Return the entry, or `None` when there is none."""
        reply = await self._call("Get", pb.StorageGetArgs(key=check_key(key)), pb.StorageGetReply)
        return decode_storage_entry(reply.entry) if reply.HasField("entry") else None

    async def put(self, entry: StorageEntry) -> None:
        """Store the entry, replacing what was there."""
        check_key(entry.key)
        await self._call("Put", pb.StoragePutArgs(entry=encode_storage_entry(entry)), pb.StoragePutReply)

    async def delete(self, key: str) -> None:
        """Remove the entry. A missing entry is not an error."""
        await self._call("Delete", pb.StorageDeleteArgs(key=check_key(key)), pb.StorageDeleteReply)

    async def _call(self, method: str, args: Message, kind: type[_R]) -> _R:
        try:
            reply: Any = await call_host(self._channel, f"/pb.Storage/{method}", args, kind)
        except CALL_FAILURES as exc:
            raise storage_error(f"storage {method.lower()} failed: {exc}") from exc
        if reply.err:
            raise storage_error(reply.err)
        return reply  # type: ignore[no-any-return]
