"""Server reflection: what grpcurl and its like ask to learn the services of a plugin.

Go plugins offer it, hosts do not use it. Everything is built at the first question.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from authkit.errors import StatusCode
from authkit.rpc import CallContext, Method, StreamMethod

if TYPE_CHECKING:
    from google.protobuf.descriptor_pool import DescriptorPool

__all__ = ["Reflection"]

SERVICES = ("grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection")
"""Both versions have the same messages."""


class Reflection:
    """Describes `services` by the descriptors in `pools`.

    The pools are asked for late: they are not needed to serve.
    """

    def __init__(self, services: Sequence[str], pools: Callable[[], Sequence[DescriptorPool]]) -> None:
        self._services = sorted({*services, *SERVICES})
        self._load_pools = pools

    def methods(self) -> list[Method]:
        """Return the methods to serve."""
        return [StreamMethod(f"/{name}/ServerReflectionInfo", self._answer_all) for name in SERVICES]

    @cached_property
    def _pools(self) -> Sequence[DescriptorPool]:
        return self._load_pools()

    async def _answer_all(self, requests: AsyncIterator[bytes], call: CallContext) -> AsyncIterator[bytes]:
        async for request in requests:
            yield self._answer(request)

    def _answer(self, message: bytes) -> bytes:
        from authkit.plugin.pb.reflection_pb2 import ServerReflectionRequest, ServerReflectionResponse

        request = ServerReflectionRequest.FromString(message)
        reply = ServerReflectionResponse(valid_host=request.host, original_request=request)
        kind = request.WhichOneof("message_request")
        if kind == "list_services":
            for name in self._services:
                reply.list_services_response.service.add(name=name)
        elif kind in ("file_by_filename", "file_containing_symbol"):
            files = self._files(kind, getattr(request, kind))
            reply.file_descriptor_response.file_descriptor_proto.extend(files)
            if not files:
                self._fail(reply, StatusCode.NOT_FOUND, "not known here")
        else:
            self._fail(reply, StatusCode.UNIMPLEMENTED, "the schema has no extensions")
        return bytes(reply.SerializeToString())

    @staticmethod
    def _fail(reply: object, code: StatusCode, text: str) -> None:
        reply.error_response.error_code = int(code)  # type: ignore[attr-defined]
        reply.error_response.error_message = text  # type: ignore[attr-defined]

    def _files(self, kind: str, name: str) -> list[bytes]:
        """Return the file and all that it imports, imports first."""
        # v1alpha has no file of its own: its messages are those of v1.
        name = name.replace("grpc.reflection.v1alpha.", "grpc.reflection.v1.")
        for pool in self._pools:
            find = pool.FindFileByName if kind == "file_by_filename" else pool.FindFileContainingSymbol
            try:
                file = find(name)
            except KeyError:
                continue
            found: dict[str, bytes] = {}
            _collect(file, found)
            return list(found.values())
        return []


def _collect(file: object, found: dict[str, bytes]) -> None:
    for dependency in file.dependencies:  # type: ignore[attr-defined]
        _collect(dependency, found)
    found[file.name] = file.serialized_pb  # type: ignore[attr-defined]
