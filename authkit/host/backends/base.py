"""The base of host backends written on `authkit.framework` (so far `identity/`), and the adapter to one."""

from __future__ import annotations

from authkit.errors import FieldError, UnsupportedOperationError, UnsupportedPathError, UserError
from authkit.framework import Backend
from authkit.host.backends.router import Call
from authkit.host.messages import Answer, Failure, listed
from authkit.host.mounts.special_paths import CompiledPaths
from authkit.host.state import HostState
from authkit.logical import BackendConfig, Operation, Request, Response

__all__ = ["HostBackend", "ServedBackend"]


class HostBackend(Backend):
    """A backend of the host itself. Its handlers read and change `state`."""

    def __init__(self, config: BackendConfig, state: HostState) -> None:
        super().__init__(config)
        self.state = state


class ServedBackend:
    """A backend of the host, asked through `logical` requests."""

    def __init__(self, backend: HostBackend, mount_point: str) -> None:
        self.backend = backend
        self._mount_point = mount_point
        self._paths = CompiledPaths(backend.special_paths())

    def needs_sudo(self, path: str) -> bool:
        """Whether the path is for callers with `sudo` only."""
        return self._paths.needs_sudo(path)

    def needs_no_token(self, path: str) -> bool:
        """Whether the path is open to everybody."""
        return self._paths.needs_no_token(path)

    async def handle(self, call: Call) -> Answer | None:
        """Answer a request.

        Raises:
            Failure: it is refused.
        """
        request = Request(
            operation=call.operation,
            path=call.path,
            id=call.request_id,
            data=call.data,
            has_data=bool(call.data),
            mount_point=self._mount_point,
        )
        try:
            response = await self.backend.handle_request(request)
        except UnsupportedOperationError as error:
            raise self._refused(405, "unsupported operation", call) from error
        except UnsupportedPathError as error:
            raise self._refused(404, "unsupported path", call) from error
        except FieldError as error:
            raise Failure(400, f"Field validation failed: {error}") from error
        except UserError as error:
            raise Failure(400, str(error)) from error
        if call.operation is Operation.LIST and response is None:
            return Answer(data={})
        # A Vault server drops its warnings about parameters where a handler answers nothing.
        if response is None or response == Response(warnings=response.warnings):
            return None
        return Answer(
            data=dict(response.data) if response.data is not None else None,
            warnings=tuple(response.warnings),
            raw=response.raw,
        )

    @staticmethod
    def _refused(status: int, text: str, call: Call) -> Failure:
        return Failure(status, listed(text) if call.caller is not None else text)
