"""One request to the page that passed all checks, and what its view may do: ask the host, render a page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from authkit.host.api_client import APIClient, MountSummary
from authkit.host.page.sessions import Session, Sessions
from authkit.values import Value

__all__ = ["PageError", "Render", "Visit", "address"]


class PageError(Exception):
    """An error page: status, title and text."""

    def __init__(self, status: int, title: str, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.title = title
        self.text = text


class Render(Protocol):
    """Renders a template of the page. Set by the application."""

    def __call__(self, template: str, session: Session | None, status: int = 200, **values: Any) -> Response:
        """Return the page."""
        ...


class Visit(Value, frozen=True):
    """One request. Set by the application."""

    request: Request
    session: Session
    sessions: Sessions
    client: APIClient
    """Acts with the token of the session."""
    form: Mapping[str, str]
    """The posted form; empty for a GET."""
    renderer: Render

    unshown: ClassVar = ("form",)

    def parameter(self, name: str) -> str:
        """Return a parameter of the form or of the query; empty without one."""
        return self.form.get(name) or self.request.query_params.get(name, "")

    async def mount(self, path: str = "") -> MountSummary:
        """Return the mount at this path, by default that of the parameter `path`.

        Raises:
            PageError: there is no such mount.
        """
        wanted = path or self.request.query_params.get("path", "")
        for mount in await self.client.mounts():
            if mount.path == wanted:
                return mount
        raise PageError(404, "Mount not found", "It may have been disabled meanwhile.")

    def render(self, template: str, status: int = 200, **values: Any) -> Response:
        """Render a template for this session."""
        return self.renderer(template, self.session, status, **values)


def address(view: str, mount_path: str, **parameters: str) -> str:
    """Return the address of a view of a mount. Empty parameters are left out."""
    given = {name: value for name, value in parameters.items() if value}
    return f"/ui/{view}?" + urlencode({"path": mount_path} | given)
