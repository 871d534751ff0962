"""A core that runs with one local plugin, and short requests to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from conformance.answers import Answers

from authkit.host.server.core import Core, HostRequest, HostResponse
from authkit.host.store.catalog import type_of
from authkit.host.supervisor.in_process.plugin import InProcessPlugin
from authkit.logical import BackendFactory

__all__ = ["Host", "running"]


class Host:
    """A running core and short requests to it."""

    def __init__(self, core: Core, plugins: list[InProcessPlugin]) -> None:
        self.core = core
        self.plugins = plugins

    async def ask(
        self, method: str, path: str, body: Any = None, token: str = "root", **rest: Any
    ) -> HostResponse:
        """Send a request."""
        return await self.core.handle(HostRequest(method=method, path=path, body=body, token=token, **rest))

    async def ok(self, method: str, path: str, body: Any = None, token: str = "root", **rest: Any) -> Any:
        """Send a request that succeeds; return the body."""
        response = await self.ask(method, path, body, token, **rest)
        assert response.status < 300, response
        return response.body

    async def login(self, **auth: Any) -> Any:
        """Log in at `auth/a/`; return the grant."""
        return (await self.ok("POST", "auth/a/login", {"auth": auth}, token=""))["auth"]


@asynccontextmanager
async def running(
    backend: BackendFactory | None = None,
    *,
    name: str = "answers",
    mounted: bool = True,
    plugin_type: str = "",
    **options: Any,
) -> AsyncIterator[Host]:
    """Run a core with one local plugin, mounted at `a`. `plugin_type` is by default what the plugin is."""
    plugins: list[InProcessPlugin] = []
    factory = backend or Answers.factory()

    def make(entry: object) -> InProcessPlugin:
        plugins.append(InProcessPlugin(factory))
        return plugins[-1]

    core = Core(root_token="root", **options)
    plugin_type = plugin_type or type_of(factory.backend_type)
    core.catalog.add_local(name, make, factory.version, type=plugin_type)
    await core.start()
    host = Host(core, plugins)
    try:
        if mounted:
            await host.ok("POST", f"sys/{'mounts' if plugin_type == 'secret' else 'auth'}/a", {"type": name})
        yield host
    finally:
        await core.stop()
