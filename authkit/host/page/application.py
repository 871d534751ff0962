"""The page as an ASGI application: routes, sessions, and the checks before a view is called.

A session acts with its operator's token, so every request is checked against forgery by other sites: the
Host header, the origin, the session's cookie and the secret in its forms. See `authkit.host.api_client` for
requests to the host, the modules beside this one for the views, and the templates for the layout.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import Receive, Scope, Send

from authkit.host.api_client import APIClient, APIError
from authkit.host.formatting import masked
from authkit.host.http.application import Answering
from authkit.host.page import browser_logins, logins, mounts
from authkit.host.page.forms import read_form
from authkit.host.page.sessions import COOKIE, LOGIN_COOKIE, Session, Sessions
from authkit.host.page.visits import PageError, Visit

__all__ = ["Page"]

HERE = Path(__file__).parent
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""On every answer. The page has no scripts, and allows none."""

VIEWS: dict[tuple[str, str], Callable[[Visit], Awaitable[Response]]] = {
    ("GET", "/ui/"): mounts.show_mounts,
    ("GET", "/ui/mount"): mounts.show_mount,
    ("GET", "/ui/role"): mounts.show_role,
    ("POST", "/ui/role"): mounts.write_role,
    ("GET", "/ui/login"): logins.show_login,
    ("POST", "/ui/login"): logins.log_in,
    ("GET", "/ui/explain"): logins.explain_denial,
    ("POST", "/ui/renew"): logins.renew,
    ("POST", "/ui/revoke"): logins.revoke,
    ("POST", "/ui/browser-login"): browser_logins.begin,
}
CALLBACK = re.compile(r"/ui/vault/auth/(.+/)oidc/callback")
"""Where a provider sends a browser back to: as the web interface of a Vault server has it."""


class Page:
    """Serves the page for a core."""

    def __init__(self, core: Answering, *, sessions: Sessions | None = None) -> None:
        self.core = core
        self.sessions = sessions or Sessions()
        self._templates = Environment(
            loader=FileSystemLoader(HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters["masked"] = masked
        self._style = (HERE / "style.css").read_text()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        response = await self._answer(Request(scope, receive))
        await response(scope, receive, send)

    def refusal(self, status: int, texts: Sequence[str]) -> Response:
        """Return the page for a request to the API that a browser made and the host refused."""
        response = self._problem(None, status, f"The server answered {status}", texts)
        response.headers.update(HEADERS)
        return response

    async def _answer(self, request: Request) -> Response:
        session = self.sessions.find(request.cookies.get(COOKIE, ""))
        try:
            response = await self._route(request, session)
        except PageError as error:
            response = self._problem(session, error.status, error.title, [error.text])
        except APIError as error:
            title = f"The server answered {error.status}"
            response = self._problem(session, error.status, title, error.texts)
        response.headers.update(HEADERS)
        return response

    async def _route(self, request: Request, session: Session | None) -> Response:
        path = request.url.path
        if path == "/ui/style.css":
            return Response(self._style, media_type="text/css")
        returned = CALLBACK.fullmatch(path)
        if returned and request.method == "GET":
            return await self._come_back(request, returned[1])
        method = "GET" if request.method == "HEAD" else request.method
        if path == "/ui/sign-in" and method == "POST":
            return await self._sign_in(request)
        is_leaving = (method, path) == ("POST", "/ui/sign-out")
        view = VIEWS.get((method, path))
        if view is None and not is_leaving:
            raise PageError(404, "Page not found", "This server has no page at this address.")
        if session is None:
            return self._render("sign_in.html", None, 200 if method == "GET" else 403, wrong=False)
        form = await self._read_own_form(request, session) if method == "POST" else {}
        if view is None:
            return self._sign_out(request)
        return await view(self._visit(request, session, form))

    def _visit(self, request: Request, session: Session, form: dict[str, str]) -> Visit:
        client = APIClient(self.core, session.token, request.client.host if request.client else "")
        return Visit(request, session, self.sessions, client, form, self._render)

    # --- sign-in, and logins at a provider -----------------------------------------------------

    async def _sign_in(self, request: Request) -> Response:
        form = await read_form(request)
        token = form.get("token", "").strip()
        if not token or not await APIClient(self.core, token).is_known():
            return self._render("sign_in.html", None, 403, wrong=True)
        response = RedirectResponse("/ui/", 303)
        response.set_cookie(COOKIE, self.sessions.open(token), path="/ui/", httponly=True, samesite="strict")
        return response

    def _sign_out(self, request: Request) -> Response:
        self.sessions.close(request.cookies.get(COOKIE, ""))
        response = RedirectResponse("/ui/", 303)
        response.delete_cookie(COOKIE, path="/ui/", httponly=True, samesite="strict")
        return response

    async def _come_back(self, request: Request, mount_path: str) -> Response:
        """End a login at a provider. A browser that comes from there does not send the session's cookie."""
        found = self.sessions.end_login(request.cookies.get(LOGIN_COOKIE, ""))
        if found is None:
            raise browser_logins.unknown_login()
        login, session = found
        response = await browser_logins.end(self._visit(request, session, {}), login, mount_path)
        response.delete_cookie(LOGIN_COOKIE, path=browser_logins.COOKIE_PATH, httponly=True, samesite="lax")
        return response

    async def _read_own_form(self, request: Request, session: Session) -> dict[str, str]:
        """Return a form of this page.

        Raises:
            PageError: the form comes from another site or an ended session.
        """
        form = await read_form(request)
        if not session.is_own_form(form.pop("form_secret", "")):
            raise PageError(403, "This form is out of date", "Open the page again and repeat what you did.")
        return form

    # --- what is shown -------------------------------------------------------------------------

    def _problem(self, session: Session | None, status: int, title: str, texts: Sequence[str]) -> Response:
        return self._render("problem.html", session, status, title=title, texts=texts)

    def _render(self, template: str, session: Session | None, status: int = 200, **values: Any) -> Response:
        secret = session.form_secret if session else ""
        text = self._templates.get_template(template).render(form_secret=secret, **values)
        return Response(text, status, media_type="text/html")
