"""A browser without scripts, and a page for it to open."""

from __future__ import annotations

import contextlib
import html
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx
from canaries import canary

from authkit import Backend
from authkit.host.http.application import Application
from authkit.host.http.server import listen, serving
from authkit.host.page.application import Page
from authkit.host.page.sessions import Sessions
from authkit.host.server.core import Core, HostRequest
from authkit.host.store.catalog import type_of
from authkit.host.supervisor.in_process.plugin import InProcessPlugin

ROOT = "root-token-of-the-test"
PIN = canary("pin")


@dataclass
class Browser:
    """Follows links and sends forms, with the headers that a browser sends."""

    http: httpx.AsyncClient
    text: str = field(default="", repr=False)
    status: int = 0

    async def open(self, path: str) -> str:
        """Open an address; return its text."""
        return self.keep(await self.http.get(path, follow_redirects=True))

    async def send(self, path: str, fields: dict[str, str], **headers: str) -> str:
        """Send a form of the page that is open."""
        found = re.search(r'name="form_secret" value="([^"]*)"', self.text)
        body = ({"form_secret": found[1]} if found else {}) | fields
        origin = str(self.http.base_url).rstrip("/")
        response = await self.http.post(
            path, data=body, headers={"Origin": origin} | headers, follow_redirects=True
        )
        return self.keep(response)

    async def sign_in(self) -> str:
        """Open the page with the root token."""
        await self.open("/ui/")
        return await self.send("/ui/sign-in", {"token": ROOT})

    def keep(self, response: httpx.Response) -> str:
        """Check what holds for every page; return its text."""
        policy = response.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; style-src 'self';")
        assert response.headers["Cache-Control"] == "no-store"
        assert "<script" not in response.text
        self.text, self.status = response.text, response.status_code
        return html.unescape(response.text)


@contextlib.asynccontextmanager
async def serve_page(
    sessions: Sessions | None = None, **plugins: type[Backend]
) -> AsyncIterator[tuple[Browser, Core]]:
    """Serve the page of a core that knows these plugins by name."""
    core = Core(root_token=ROOT)
    for name, plugin in plugins.items():
        kind = type_of(plugin.backend_type)
        core.catalog.add_local(name, lambda entry, plugin=plugin: InProcessPlugin(plugin), type=kind)
    listener = listen("127.0.0.1", 0)
    await core.start()
    try:
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        async with (
            serving(Application(core, page=Page(core, sessions=sessions)), listener),
            httpx.AsyncClient(base_url=address, trust_env=False) as http,
        ):
            yield Browser(http), core
    finally:
        await core.stop()


async def write_to(core: Core, path: str, **body: Any) -> None:
    """Write as the operator."""
    answer = await core.handle(HostRequest(method="POST", path=path, body=body, token=ROOT))
    assert answer.status < 300, answer.body
