"""The reference engine: grpcio for HTTP/2 and gRPC, OpenSSL in front of it for TLS.

grpcio never sees the network: its server and its channels live on sockets in a private directory, and
`authkit.rpc.grpcio_engine.tls_relay` carries the bytes through TLS. It is the yardstick for other engines
and the way out if a host ever disagrees with one.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import itertools
import os
import ssl
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Sequence
from datetime import timedelta
from socket import socket
from typing import Any, NoReturn

# Read once by the C core when it is loaded; forking with its threads running is what it would prevent.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

import grpc
import grpc.aio

from authkit.errors import RPCError, StatusCode
from authkit.rpc.cancellation import is_cancellation
from authkit.rpc.failures import as_rpc_error
from authkit.rpc.grpcio_engine.tls_relay import ClientRelay, ServerRelay
from authkit.rpc.interface import (
    DEFAULT_MAX_MESSAGE_BYTES,
    Address,
    CallContext,
    Channel,
    Method,
    Refusal,
    Server,
    StreamMethod,
    UnaryMethod,
    verify_metadata,
)

__all__ = ["GRPCIOEngine"]

_CODES: dict[StatusCode, grpc.StatusCode] = {
    code: next(their for their in grpc.StatusCode if their.value[0] == code) for code in StatusCode
}


class GRPCIOEngine:
    """gRPC by grpcio. `directory` is private, and nobody else can make the path lead elsewhere."""

    name = "grpcio"

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self._directory = directory
        self._numbers = itertools.count(1)

    def server(
        self,
        methods: Iterable[Method],
        listener: socket,
        *,
        tls: ssl.SSLContext | None,
        on_refused: Refusal | None = None,
        max_message_bytes: int = DEFAULT_MAX_MESSAGE_BYTES,
    ) -> Server:
        """Return a server for `listener`."""
        return _GRPCIOServer(
            methods, listener, self._inner_path(), tls, on_refused or _ignore, max_message_bytes
        )

    def channel(
        self,
        address: Address,
        *,
        tls: ssl.SSLContext | None,
        server_name: str,
        max_message_bytes: int = DEFAULT_MAX_MESSAGE_BYTES,
    ) -> Channel:
        """Return a channel to `address`."""
        relay = ClientRelay(self._inner_path(), address, tls=tls, server_name=server_name)
        return _GRPCIOChannel(relay, max_message_bytes)

    def _inner_path(self) -> str:
        return os.path.join(self._directory, f"g{next(self._numbers)}")


def _ignore(reason: str) -> None:
    """Nobody wants to hear of refusals."""


def _options(max_message_bytes: int) -> list[tuple[str, Any]]:
    return [
        ("grpc.max_receive_message_length", max_message_bytes),
        ("grpc.max_send_message_length", max_message_bytes),
        # The host's proxy variables are inherited; they are not about a socket beside us.
        ("grpc.enable_http_proxy", 0),
        # Go hosts send headers of any size that fits their own 16 MiB limit.
        ("grpc.absolute_max_metadata_size", 1024 * 1024),
        ("grpc.max_metadata_size", 1024 * 1024),
    ]


class _GRPCIOServer:
    def __init__(
        self,
        methods: Iterable[Method],
        listener: socket,
        inner: str,
        tls: ssl.SSLContext | None,
        on_refused: Refusal,
        max_message_bytes: int,
    ) -> None:
        self._inner = inner
        self._relay = ServerRelay(listener, inner, tls=tls, on_refused=on_refused)
        self._methods = {method.path: method for method in methods}
        self._options = _options(max_message_bytes)
        self._server: grpc.aio.Server | None = None

    async def start(self) -> None:
        self._server = grpc.aio.server(handlers=[_Router(self._methods)], options=self._options)
        self._server.add_insecure_port(f"unix:{self._inner}")
        await self._server.start()
        await self._relay.start()

    async def drain(self, grace: timedelta) -> None:
        self._relay.stop_accepting()
        if self._server is not None:
            await self._server.stop(grace.total_seconds())
        await self._relay.close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._inner)


class _Router(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Finds the method of a path."""

    def __init__(self, methods: dict[str, Method]) -> None:
        self._handlers = {path: _handler(method) for path, method in methods.items()}

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        return self._handlers.get(handler_call_details.method)


def _handler(method: Method) -> grpc.RpcMethodHandler:
    if isinstance(method, UnaryMethod):
        return grpc.unary_unary_rpc_method_handler(_unary(method))
    return grpc.stream_stream_rpc_method_handler(_stream(method))


def _unary(method: UnaryMethod) -> Any:
    async def behave(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
        try:
            result = method.handler(request, _call(method.path, context))
            # grpcio refuses subclasses of `bytes`, such as `RevocableReply`.
            return bytes(await result if inspect.isawaitable(result) else result)
        except BaseException as error:
            await _abort(method.path, error, context)

    return behave


def _stream(method: StreamMethod) -> Any:
    async def behave(
        requests: AsyncIterator[bytes], context: grpc.aio.ServicerContext
    ) -> AsyncIterator[bytes]:
        try:
            async for reply in method.handler(requests, _call(method.path, context)):
                yield reply
        except BaseException as error:
            await _abort(method.path, error, context)

    return behave


async def _abort(path: str, error: BaseException, context: grpc.aio.ServicerContext) -> NoReturn:
    """End a call with the status of `error`. No handler's error may go further."""
    if is_cancellation(error) or isinstance(error, GeneratorExit):
        raise error
    status = as_rpc_error(path, error)
    await context.abort(_CODES[status.code], status.message)
    raise AssertionError("abort() raises")  # pragma: no cover


def _call(path: str, context: grpc.aio.ServicerContext) -> CallContext:
    metadata: dict[str, list[str]] = {}
    for key, value in context.invocation_metadata() or ():
        if isinstance(value, str):
            metadata.setdefault(key, []).append(value)
    remaining = context.time_remaining()
    deadline = None if remaining is None else asyncio.get_running_loop().time() + remaining
    return CallContext(path, metadata, deadline)


class _GRPCIOChannel:
    def __init__(self, relay: ClientRelay, max_message_bytes: int) -> None:
        self._relay = relay
        self._options = [*_options(max_message_bytes), ("grpc.default_authority", "localhost")]
        self._starting = asyncio.Lock()
        self._channel: grpc.aio.Channel | None = None
        self._closed = False

    async def ready(self, timeout: timedelta) -> None:
        channel = await self._open()
        self._relay.attempted.clear()
        ready = asyncio.ensure_future(channel.channel_ready())
        attempted = asyncio.ensure_future(self._relay.attempted.wait())
        try:
            await asyncio.wait(
                {ready, attempted}, timeout=timeout.total_seconds(), return_when=asyncio.FIRST_COMPLETED
            )
            if not ready.done() and self._relay.failure is None:
                await asyncio.wait({ready}, timeout=timeout.total_seconds())
            if not ready.done():
                raise self._relay.failure or RPCError(StatusCode.UNAVAILABLE, "timed out")
            ready.result()
        finally:
            for task in (ready, attempted):
                task.cancel()
            await asyncio.gather(ready, attempted, return_exceptions=True)

    async def call(
        self,
        path: str,
        request: bytes,
        *,
        timeout: timedelta | None = None,
        metadata: Sequence[tuple[str, str]] = (),
    ) -> bytes:
        verify_metadata(metadata)
        channel = await self._open()
        invoke = channel.unary_unary(path)
        seconds = None if timeout is None else timeout.total_seconds()
        try:
            reply: bytes = await invoke(request, timeout=seconds, metadata=tuple(metadata))
        except grpc.aio.AioRpcError as error:
            raise self._failure(error) from error
        except grpc.aio.UsageError as error:
            raise RPCError(StatusCode.UNAVAILABLE, "the channel is closed") from error
        return reply

    async def stream(
        self,
        path: str,
        requests: AsyncIterable[bytes],
        *,
        metadata: Sequence[tuple[str, str]] = (),
    ) -> AsyncIterator[bytes]:
        verify_metadata(metadata)
        channel = await self._open()
        sent = _Requests(requests)
        invoked = channel.stream_stream(path)(aiter(sent), metadata=tuple(metadata))
        try:
            async for reply in invoked:
                yield reply
        except grpc.aio.AioRpcError as error:
            raise self._failure(error) from error
        finally:
            invoked.cancel()
            sent.end()

    async def close(self) -> None:
        self._closed = True
        if self._channel is not None:
            await self._channel.close()
        await self._relay.close()

    async def _open(self) -> grpc.aio.Channel:
        async with self._starting:
            if self._closed:
                raise RPCError(StatusCode.UNAVAILABLE, "the channel is closed")
            if self._channel is None:
                await self._relay.start()
                self._channel = grpc.aio.insecure_channel(f"unix:{self._relay.inner}", options=self._options)
            return self._channel

    def _failure(self, error: grpc.aio.AioRpcError) -> RPCError:
        code = StatusCode(error.code().value[0])
        if code is StatusCode.UNAVAILABLE and self._relay.failure is not None:
            return self._relay.failure
        return RPCError(code, error.details() or "")


class _Requests:
    """Requests of a stream, which end with the stream.

    A stream that the server ends first is not cancelled by grpcio 1.85 (aio/_call.py: `cancel` does nothing
    for a call that is done): its task would wait for the next request for ever.
    """

    def __init__(self, requests: AsyncIterable[bytes]) -> None:
        self._requests = requests
        self._reader: asyncio.Task[Any] | None = None
        self._ended = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self._reader = asyncio.current_task()
        if self._ended:
            return
        async for request in self._requests:
            yield request

    def end(self) -> None:
        """Stop reading requests."""
        self._ended = True
        if self._reader is not None:
            self._reader.cancel()
