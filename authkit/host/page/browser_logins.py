"""Views of logins at an OpenID provider: the browser is sent there, and comes back with a code.

The paths are those of the JWT backend, `oidc/auth_url` and `oidc/callback`. A login is bound to its browser
by a cookie of its own, to the mount by its state, and to this server by a nonce that no browser sees.
"""

from __future__ import annotations

import secrets
from typing import Final
from urllib.parse import parse_qs, quote, urlsplit

from starlette.responses import Response

from authkit.host.api_client import APIError
from authkit.host.page.logins import login_page, show_granted
from authkit.host.page.sessions import BROWSER_LOGIN_SECONDS, COOKIE, LOGIN_COOKIE, BrowserLogin
from authkit.host.page.visits import PageError, Visit
from authkit.values import replace

__all__ = ["COOKIE_PATH", "begin", "end", "unknown_login"]

COOKIE_PATH: Final = "/ui/vault/auth/"
RETURNED: Final = ("code", "error", "error_description", "iss")
"""What a provider sends back, besides the state (RFC 6749 section 4.1.2, RFC 9207)."""


def unknown_login() -> PageError:
    """Return the page of a login that this browser has not begun, or that has ended."""
    return PageError(
        400,
        "This login cannot be completed",
        "It has ended already, was begun more than ten minutes ago, or was begun in another browser. "
        "Open the mount and log in again.",
    )


async def begin(visit: Visit) -> Response:
    """Send the browser to the provider."""
    mount, role = await visit.mount(), visit.form.get("role", "")
    host = visit.request.headers.get("host", "")
    redirect_uri = f"{visit.request.url.scheme}://{host}{COOKIE_PATH}{quote(mount.path)}oidc/callback"
    nonce = secrets.token_urlsafe()
    fields = {"role": role, "redirect_uri": redirect_uri, "client_nonce": nonce}
    try:
        answer = await replace(visit.client, token="").write(f"auth/{mount.path}oidc/auth_url", fields)
        url = str(answer.get("auth_url", ""))
        state, provider = _read_url(url, redirect_uri)
    except APIError as error:
        return await login_page(visit, mount, error, role)
    login = BrowserLogin(visit.request.cookies.get(COOKIE, ""), mount.path, role, state, nonce)
    # A redirect would be refused: form-action of the page's policy counts for those of forms too.
    response = visit.render("leaving.html", mount=mount, url=url, provider=provider)
    response.set_cookie(
        LOGIN_COOKIE,
        visit.sessions.begin_login(login),
        max_age=BROWSER_LOGIN_SECONDS,
        path=COOKIE_PATH,
        httponly=True,
        samesite="lax",
    )
    return response


def _read_url(url: str, redirect_uri: str) -> tuple[str, str]:
    """Return the state in the URL of a login, and the provider's name.

    Raises:
        APIError: the browser cannot be sent there, or would not come back to the page.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    query = parse_qs(parts.query)
    state, problem = query.get("state", [""])[0], ""
    if not url:
        problem = (
            f"the role is not for browsers, or does not allow the redirect URI {redirect_uri}: add it to "
            "allowed_redirect_uris of the role (any port will do for an address of this machine)"
        )
    elif query.get("response_mode") == ["form_post"]:
        problem = (
            "a mount with oidc_response_mode=form_post cannot be tried here; use vault login -method=oidc"
        )
    elif query.get("redirect_uri") != [redirect_uri] or not state:
        problem = "the browser would not come back here: only roles with callback_mode=client can be tried"
    elif parts.scheme not in ("http", "https"):
        problem = "the address of the provider is not a web address"
    if problem:
        raise APIError(400, [problem])
    return state, parts.netloc


async def end(visit: Visit, login: BrowserLogin, mount_path: str) -> Response:
    """Complete a login with what the browser has brought; show what it grants, or why it is refused."""
    asked = visit.request.query_params
    if mount_path != login.mount_path or not secrets.compare_digest(
        asked.get("state", "").encode(), login.state.encode()
    ):
        raise unknown_login()
    mount = await visit.mount(mount_path)
    query = {name: asked[name] for name in RETURNED if name in asked}
    query |= {"state": login.state, "client_nonce": login.client_nonce}
    try:
        path = f"auth/{login.mount_path}oidc/callback"
        answer = await replace(visit.client, token="").get(path, query)
    except APIError as error:
        return await login_page(visit, mount, error, login.role)
    return await show_granted(visit, mount, "Logged in", answer, login.role)
