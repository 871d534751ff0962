"""Requests and storage calls of a backend plugin, measured: what takes the place of two functions of
`authkit.wire.backend`. Without metrics neither is called.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable
from typing import Final, TypeVar

from authkit.errors import (
    AuthKitError,
    CodedError,
    InvalidCredentialsError,
    LoginError,
    PermissionDeniedError,
    ReadOnlyError,
    StorageError,
    TooManyRequestsError,
)
from authkit.logical import Backend, BackendType, Operation, StorageEntry
from authkit.metrics.plugin_meter import PluginMeter, harmless
from authkit.rpc.interface import Channel
from authkit.wire import guards
from authkit.wire.errors import is_expected
from authkit.wire.host_services import HostStorage
from authkit.wire.jsontext import decode_object
from authkit.wire.pb import backend_pb2 as pb

__all__ = ["MeasuredAnswers", "MeasuredStorage", "outcome_of"]

LOGIN: Final = "login"
"""In place of an operation: a request without token to an auth method."""

_OPERATIONS: Final = frozenset(map(str, Operation))
_LOGINS: Final = frozenset({Operation.CREATE, Operation.UPDATE, Operation.READ})

# Inside the class `list` is a method.
Names = list[str]
T = TypeVar("T")


class MeasuredAnswers:
    """Answers requests as `guards.answer` does, and counts them."""

    def __init__(self, meter: PluginMeter, backend_type: BackendType) -> None:
        self._meter = meter
        self._is_auth = backend_type is BackendType.CREDENTIAL

    async def __call__(self, backend: Backend, message: pb.Request) -> bytes:
        """Return the reply of a backend to a request."""
        failure, reply, started = "", None, time.perf_counter()

        def report(request: pb.Request, exc: BaseException) -> str:
            nonlocal failure
            failure = outcome_of(exc)
            return guards.report(request, exc)

        try:
            reply = await guards.answer(backend, message, report)
            return reply
        finally:
            self._count(message, reply, failure, time.perf_counter() - started)

    @harmless
    def _count(self, message: pb.Request, reply: bytes | None, failure: str, seconds: float) -> None:
        """Count a request, with its reply if it was not cancelled."""
        outcome = "cancelled" if reply is None else failure or self._read(message, reply)
        self._meter.request_answered(message.mount_point, self._operation(message), outcome, seconds)

    def _operation(self, message: pb.Request) -> str:
        if self._is_auth and message.unauthenticated and message.operation in _LOGINS:
            return LOGIN
        return message.operation if message.operation in _OPERATIONS else "other"

    def _read(self, message: pb.Request, reply: bytes) -> str:
        """Return what the reply to a request means that did not fail, and count leases."""
        response = pb.HandleRequestReply.FromString(reply).response
        if response.HasField("auth"):
            return "granted"
        if response.HasField("secret") and message.operation != Operation.RENEW:
            self._meter.lease_issued(message.mount_point)
        if message.operation == Operation.REVOKE:
            self._meter.lease_revoked(message.mount_point)
        if '"error"' in response.data and _is_error(response.data):
            return "invalid"
        return "ok"


def outcome_of(exc: BaseException) -> str:
    """Return what a request came to that failed with `exc`."""
    if isinstance(exc, LoginError | PermissionDeniedError | InvalidCredentialsError):
        return "denied"
    if isinstance(exc, TooManyRequestsError):
        return "limited"
    if isinstance(exc, ReadOnlyError):
        return "forwarded"
    if isinstance(exc, CodedError) and exc.status >= 500:
        return "error"
    return "invalid" if is_expected(exc) else "error"


def _is_error(data: str) -> bool:
    """Whether data are those of an error response (Vault SDK 0.21, logical/response.go, IsError)."""
    try:
        body = decode_object(data) or {}
    except (ValueError, AuthKitError):
        return False
    return body.get("error") is not None and body.keys() <= {"error", "data"}


class MeasuredStorage:
    """The storage of one mount, kept by the host, with its calls counted. See `authkit.logical.Storage`."""

    def __init__(self, channel: Channel, meter: PluginMeter) -> None:
        self._storage = HostStorage(channel)
        self._meter = meter

    async def list(self, prefix: str = "") -> list[str]:
        """Return the direct children of `prefix`, sorted."""
        return await self._measured("list", self._storage.list(prefix))

    async def list_page(self, prefix: str = "", *, after: str = "", limit: int = 0) -> Names:
        """Return up to `limit` children of `prefix` that sort after `after`."""
        return await self._measured("list", self._storage.list_page(prefix, after=after, limit=limit))

    async def get(self, key: str) -> StorageEntry | None:
        """Return the entry, or `None` when there is none."""
        return await self._measured("get", self._storage.get(key))

    async def put(self, entry: StorageEntry) -> None:
        """Store the entry, replacing what was there."""
        await self._measured("put", self._storage.put(entry))

    async def delete(self, key: str) -> None:
        """Remove the entry. A missing entry is not an error."""
        await self._measured("delete", self._storage.delete(key))

    async def _measured(self, call: str, answer: Awaitable[T]) -> T:
        outcome, started = "cancelled", time.perf_counter()
        try:
            result = await answer
            outcome = "ok"
            return result
        except ReadOnlyError:
            outcome = "read_only"
            raise
        except StorageError:
            outcome = "failed"
            raise
        finally:
            self._meter.storage_called(call, outcome, time.perf_counter() - started)
