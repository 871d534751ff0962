"""The plugin behind a real server, for the same tests that run on the simulator."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shlex
import sys
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Final, Self

import httpx

from authkit.database import Database
from authkit.host.store.catalog import DATABASE, type_of
from authkit.logical import Alias, BackendType, Entity, Servable
from authkit.testing.mounts import ROOT_TOKEN, MountClient
from authkit.testing.responses import ClientResponse
from authkit.testing.server_process import ServerProcess
from authkit.testing.tokens import GrantedToken

__all__ = ["RealServer"]

REQUEST_SECONDS: Final = 60.0


class RealServer(MountClient):
    """A server in dev mode with one plugin, mounted once. Use it as an asynchronous context manager.

    The plugin runs in a process of its own, which imports `backend` by name with the `sys.path` of the
    test. The server listens on loopback alone. Time is real, and storage is not to be seen: tests that
    need them are for the simulator.

    Args:
        backend: a class at the top of a module that can be imported. Of a database plugin the server's
            database engine is mounted.
        program: the executable of a server, `vault` or `bao`.
        path: where it is mounted, by default the backend's name.

    Raises:
        FileNotFoundError: there is no such program.
        ValueError: the class cannot be imported by name, or has no name to be mounted by.
        RuntimeError: at the beginning of the block, the server does not start.
        RefusedError: there too, it refuses the plugin.
    """

    def __init__(
        self,
        backend: type[Servable] | type[Database[Any, Any]],
        program: str | os.PathLike[str],
        *,
        path: str = "",
        options: Mapping[str, str] | None = None,
        config: Mapping[str, Any] | None = None,
    ) -> None:
        self._launcher = _launcher(backend)
        self._kind, mounted, backend_type = _kind_of(backend)
        self._mount = {"type": mounted, "options": dict(options or {}), "config": dict(config or {})}
        super().__init__(self, path or mounted, backend_type)
        self.name = backend.name
        """In the catalog."""
        self._process = ServerProcess(program)
        self._client = httpx.AsyncClient(
            base_url=f"{self._process.address}/v1/", timeout=REQUEST_SECONDS, trust_env=False
        )

    async def __aenter__(self) -> Self:
        try:
            await asyncio.to_thread(self._process.start)
            await self._register()
            (await self.call("POST", self.settings, self._mount)).verified()
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._stop()

    async def call(
        self,
        method: str,
        path: str,
        data: Mapping[str, Any] | None = None,
        /,
        *,
        token: GrantedToken | str | None = ROOT_TOKEN,
        addr: str = "",
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        wrap_ttl: str = "",
    ) -> ClientResponse:
        """Send a request to any path of the API, such as `identity/entity`; return the answer.

        Raises:
            ValueError: `addr` is given: the server sees the address of this machine.
        """
        if addr:
            raise ValueError("a real server sees the address 127.0.0.1: use `addr` on the simulator alone")
        sent = dict(headers or {})
        if token:
            sent["X-Vault-Token"] = self._text_of(token)
        if wrap_ttl:
            sent["X-Vault-Wrap-TTL"] = wrap_ttl
        if data is not None:
            is_patch = method == "PATCH"
            sent["Content-Type"] = "application/merge-patch+json" if is_patch else "application/json"
        body = None if data is None else json.dumps(data)
        answer = await self._client.request(method, path, content=body, params=query, headers=sent)
        return _as_response(answer)

    def find_entity(self, entity_id: str) -> Entity | None:
        """Return an entity with its aliases, `None` when there is none."""
        url = f"{self._process.address}/v1/identity/entity/id/{entity_id}"
        headers = {"X-Vault-Token": self._process.token}
        answer = httpx.get(url, headers=headers, timeout=REQUEST_SECONDS, trust_env=False)
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        return _as_entity(answer.raise_for_status().json()["data"])

    def log(self) -> str:
        """Return the end of the server's log, with what the plugin has logged."""
        return self._process.log()

    def _text_of(self, token: GrantedToken | str) -> str:
        if isinstance(token, GrantedToken):
            return token.client_token
        return self._process.token if token == ROOT_TOKEN else token

    async def _register(self) -> None:
        file = self._process.plugins / self.name
        file.write_text(self._launcher)
        file.chmod(0o700)
        body = {"command": file.name, "sha256": hashlib.sha256(self._launcher.encode()).hexdigest()}
        (await self.call("PUT", f"sys/plugins/catalog/{self._kind}/{self.name}", body)).verified()

    async def _stop(self) -> None:
        await self._client.aclose()
        await asyncio.to_thread(self._process.stop)


def _kind_of(backend: type[Servable] | type[Database[Any, Any]]) -> tuple[str, str, BackendType]:
    """Return the type of a plugin in the catalog, and what is mounted for it: name and type."""
    if issubclass(backend, Database):
        return DATABASE, DATABASE, BackendType.LOGICAL
    backend_type = backend.factory().backend_type
    return type_of(backend_type), backend.name, backend_type


def _launcher(backend: type[Servable] | type[Database[Any, Any]]) -> str:
    """Return the file that a server starts: this interpreter, which serves the class.

    Raises:
        ValueError: the class cannot be imported by name, or has no name to be mounted by.
    """
    module, name = backend.__module__, backend.__qualname__
    if module == "__main__" or "." in name:
        raise ValueError(f"{module}.{name} cannot be imported: put the class at the top of a module")
    if not backend.name:
        raise ValueError(f'{name} cannot be mounted: class {name}(..., name="...")')
    paths, target = [os.path.abspath(each) for each in sys.path], f"{module}:{name}"
    served_by = "authkit.database" if issubclass(backend, Database) else "authkit"
    code = f"import sys\nsys.path[:] = {paths!r}\nfrom {served_by} import serve\nserve({target!r})\n"
    # By a shell: the path of an interpreter may be too long for a `#!` line.
    return f"#!/bin/sh\nexec {shlex.quote(sys.executable)} -I -c {shlex.quote(code)}\n"


def _as_response(answer: httpx.Response) -> ClientResponse:
    kind = answer.headers.get("Content-Type", "")
    headers = {name: answer.headers.get_list(name) for name in answer.headers}
    if kind.partition(";")[0] == "application/json" or not answer.content:
        return ClientResponse(
            answer.status_code, answer.json() if answer.content else {}, headers, None, kind
        )
    return ClientResponse(answer.status_code, {}, headers, answer.content, kind)


def _as_entity(data: Mapping[str, Any]) -> Entity:
    aliases = tuple(
        Alias(
            name=each["name"],
            metadata=each["metadata"] or {},
            custom_metadata=each.get("custom_metadata") or {},
            mount_type=each["mount_type"],
            mount_accessor=each["mount_accessor"],
            id=each["id"],
            namespace_id=each.get("namespace_id") or "root",
            local=bool(each.get("local")),
        )
        for each in data["aliases"] or ()
    )
    return Entity(
        id=data["id"],
        name=data["name"],
        aliases=aliases,
        metadata=data["metadata"] or {},
        disabled=bool(data["disabled"]),
        namespace_id=data.get("namespace_id") or "root",
    )
