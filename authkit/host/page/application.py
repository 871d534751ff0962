"""The page as an ASGI application: routes, sessions and views.

A session acts with its operator's token, so every request is checked against forgery by other sites: the
Host header, the origin, the session's cookie and the secret in its forms. See `authkit.host.api_client` for
requests to the host, and the templates for the layout.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import Receive, Scope, Send

from authkit.host.api_client import APIClient, APIError, MountSummary
from authkit.host.http.application import Answering
from authkit.host.http.bodies import FORM, media_type, read_body, read_object
from authkit.host.messages import Failure
from authkit.host.mount_overview import Form, MountDescription
from authkit.host.page.formatting import (
    Explained,
    Granted,
    masked,
    reference_in,
    shown_entity,
    shown_settings,
)
from authkit.host.page.sessions import COOKIE, Session, Sessions
from authkit.values import Value

__all__ = ["Page"]

HERE = Path(__file__).parent
MAX_FORM_BYTES = 1024 * 1024
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


class _PageError(Exception):
    """An error page: status, title and text."""

    def __init__(self, status: int, title: str, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.title = title
        self.text = text


class _Visit(Value, frozen=True):
    """One request that passed all checks. Set by `_route`."""

    request: Request
    session: Session
    client: APIClient
    form: Mapping[str, str]
    """The posted form; empty for a GET."""


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
        self._views: dict[tuple[str, str], Callable[[_Visit], Awaitable[Response]]] = {
            ("GET", "/ui/"): self._mounts,
            ("GET", "/ui/mount"): self._mount,
            ("GET", "/ui/login"): self._login_form,
            ("POST", "/ui/login"): self._login,
            ("GET", "/ui/explain"): self._denial,
            ("POST", "/ui/sign-out"): self._sign_out,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        response = await self._answer(Request(scope, receive))
        for name, value in HEADERS.items():
            response.headers[name] = value
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        try:
            return await self._route(request)
        except _PageError as error:
            return self._render(
                "problem.html", None, error.status, title=error.title, text=error.text, texts=[]
            )
        except APIError as error:
            title = f"The server answered {error.status}"
            return self._render(
                "problem.html", self._session(request), error.status, title=title, text="", texts=error.texts
            )

    async def _route(self, request: Request) -> Response:
        path = request.url.path
        if path == "/ui/style.css":
            return Response(self._style, media_type="text/css")
        method = "GET" if request.method == "HEAD" else request.method
        if path == "/ui/sign-in" and method == "POST":
            return await self._sign_in(request)
        view = self._views.get((method, path))
        if view is None:
            raise _PageError(404, "Page not found", "This server has no page at this address.")
        session = self._session(request)
        if session is None:
            return self._render("sign_in.html", None, 200 if method == "GET" else 403, wrong=False)
        form = await self._read_own_form(request, session) if method == "POST" else {}
        client = APIClient(self.core, session.token, request.client.host if request.client else "")
        return await view(_Visit(request, session, client, form))

    # --- coming and going ----------------------------------------------------------------------

    async def _sign_in(self, request: Request) -> Response:
        form = await _read_form(request)
        token = form.get("token", "").strip()
        if not token or not await APIClient(self.core, token).is_known():
            return self._render("sign_in.html", None, 403, wrong=True)
        response = RedirectResponse("/ui/", 303)
        response.set_cookie(COOKIE, self.sessions.open(token), path="/ui/", httponly=True, samesite="strict")
        return response

    async def _sign_out(self, visit: _Visit) -> Response:
        self.sessions.close(visit.request.cookies.get(COOKIE, ""))
        response = RedirectResponse("/ui/", 303)
        response.delete_cookie(COOKIE, path="/ui/", httponly=True, samesite="strict")
        return response

    def _session(self, request: Request) -> Session | None:
        return self.sessions.find(request.cookies.get(COOKIE, ""))

    async def _read_own_form(self, request: Request, session: Session) -> dict[str, str]:
        """Return a form of this page.

        Raises:
            _PageError: the form comes from another site or an ended session.
        """
        form = await _read_form(request)
        if not session.is_own_form(form.pop("form_secret", "")):
            raise _PageError(403, "This form is out of date", "Open the page again and repeat what you did.")
        return form

    # --- what is shown -------------------------------------------------------------------------

    async def _mounts(self, visit: _Visit) -> Response:
        return self._render("mounts.html", visit.session, mounts=await visit.client.mounts())

    async def _mount(self, visit: _Visit) -> Response:
        mount = await _find_mount(visit)
        description = await visit.client.describe(mount)
        roles = await visit.client.names(mount, description.roles) if description.roles else []
        config = await visit.client.read(f"auth/{mount.path}config") if description.config else None
        return self._render(
            "mount.html",
            visit.session,
            mount=mount,
            description=description,
            roles=[(role, _login_address(mount, role)) for role in roles],
            login=_login_address(mount, ""),
            config=shown_settings(config or {}),
        )

    async def _login_form(self, visit: _Visit, refused: APIError | None = None) -> Response:
        mount = await _find_mount(visit)
        role = visit.form.get("role") or visit.request.query_params.get("role", "")
        description, login = await _describe_login(visit, mount)
        settings = await visit.client.read(f"auth/{mount.path}{description.roles}{role}") if role else None
        return self._render(
            "login.html",
            visit.session,
            400 if refused else 200,
            mount=mount,
            role=role,
            fields=sorted(login.fields, key=lambda field: field.name != "role"),
            values={**visit.form, "role": role},
            explains=description.explain is not None,
            denial=_denial_address(mount, refused) if refused and description.explains_denials else "",
            settings=shown_settings(settings or {}),
            refused=refused,
        )

    async def _login(self, visit: _Visit) -> Response:
        mount = await _find_mount(visit)
        description, login = await _describe_login(visit, mount)
        fields = {name: visit.form[name] for name in login.names if visit.form.get(name)}
        if "explain" in visit.form and description.explain is not None:
            answer = await visit.client.write(f"auth/{mount.path}{description.explain.path}", fields)
            return self._explained(visit, mount, answer, fields.get("role", ""))
        try:
            answer = await visit.client.log_in(f"auth/{mount.path}{login.path}", fields)
        except APIError as error:
            return await self._login_form(visit, error)
        granted = Granted.read(answer)
        return self._render(
            "granted.html",
            visit.session,
            mount=mount,
            granted=granted,
            entity=await _shown_entity(visit.client, granted.entity_id),
            again=_login_address(mount, fields.get("role", "")),
        )

    async def _denial(self, visit: _Visit) -> Response:
        """Explain a denied login by its reference."""
        mount = await _find_mount(visit)
        reference = quote(visit.request.query_params.get("reference", ""), safe="")
        answer = await visit.client.read(f"auth/{mount.path}explain/{reference}")
        if answer is None:
            raise _PageError(404, "Nothing is known of it", "Denied logins are remembered for a while.")
        return self._explained(visit, mount, answer, str(answer.get("role", "")))

    def _explained(
        self, visit: _Visit, mount: MountSummary, answer: Mapping[str, Any], role: str
    ) -> Response:
        explained, again = Explained.read(answer), _login_address(mount, role)
        return self._render("explained.html", visit.session, mount=mount, explained=explained, again=again)

    def _render(self, template: str, session: Session | None, status: int = 200, **values: Any) -> Response:
        secret = session.form_secret if session else ""
        text = self._templates.get_template(template).render(form_secret=secret, **values)
        return Response(text, status, media_type="text/html")


async def _find_mount(visit: _Visit) -> MountSummary:
    path = visit.request.query_params.get("path", "")
    for mount in await visit.client.mounts():
        if mount.path == path:
            return mount
    raise _PageError(404, "Mount not found", "It may have been disabled meanwhile.")


async def _describe_login(visit: _Visit, mount: MountSummary) -> tuple[MountDescription, Form]:
    description = await visit.client.describe(mount)
    if description.login is None:
        raise _PageError(404, "No login here", f"{mount.path} does not describe a path to log in at.")
    return description, description.login


async def _shown_entity(client: APIClient, entity_id: str) -> list[tuple[str, str]]:
    entity = await client.read(f"identity/entity/id/{entity_id}") if entity_id else None
    if entity is None:
        return []
    ids = entity.get("group_ids")
    groups = [
        await client.read(f"identity/group/id/{each}") for each in (ids if isinstance(ids, list) else [])
    ]
    return shown_entity(entity, [str(group.get("name", "")) for group in groups if group])


def _denial_address(mount: MountSummary, refused: APIError) -> str:
    reference = reference_in(refused.texts)
    return "/ui/explain?" + urlencode({"path": mount.path, "reference": reference}) if reference else ""


def _login_address(mount: MountSummary, role: str) -> str:
    return "/ui/login?" + urlencode({"path": mount.path} | ({"role": role} if role else {}))


async def _read_form(request: Request) -> dict[str, str]:
    """Return a form posted from this origin. A request without an Origin header is refused.

    Raises:
        _PageError: the origin is another one, or the body is not a valid form within the limits.
    """
    origin = urlsplit(request.headers.get("origin", ""))
    if origin.scheme not in ("http", "https") or origin.netloc != request.headers.get("host", ""):
        raise _PageError(403, "Refused", "This form was sent by another site.")
    try:
        body = await read_body(request, MAX_FORM_BYTES)
    except TimeoutError:
        raise _PageError(408, "Too slow", "The form did not arrive in time.") from None
    if body is None:
        raise _PageError(413, "Too much", "The form holds more than the page accepts.")
    content_type = request.headers.get("content-type", "")
    if media_type(content_type) != FORM:
        raise _PageError(415, "Refused", "This is not a form.")
    try:
        read = read_object(body, content_type) or {}
    except Failure as failure:
        raise _PageError(failure.status, "Refused", ", ".join(failure.errors)) from None
    return {name: str(value) for name, value in read.items()}
