"""Sessions of the page: browsers that signed in with a token, and their logins at a provider.

Kept in memory only: both end with the server.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from hmac import compare_digest
from typing import ClassVar

from cachetools import TTLCache

from authkit.values import Value, field

__all__ = ["BROWSER_LOGIN_SECONDS", "COOKIE", "LOGIN_COOKIE", "BrowserLogin", "Session", "Sessions"]

COOKIE = "authkit_session"
SESSION_SECONDS = 8 * 3600
MAX_SESSIONS = 32
"""A new session replaces the oldest."""

LOGIN_COOKIE = "authkit_browser_login"
BROWSER_LOGIN_SECONDS = 600
"""As long as the JWT example takes a state."""


class Session(Value, frozen=True):
    """One signed-in browser. Set at sign-in."""

    token: str
    """The server's token that the page acts with."""
    form_secret: str = field(default_factory=secrets.token_urlsafe)
    """In every form of the page, against cross-site request forgery."""

    unshown: ClassVar = ("token", "form_secret")

    def is_own_form(self, secret: str) -> bool:
        """Whether a form came from this page."""
        return compare_digest(self.form_secret.encode(), secret.encode(errors="replace"))


class BrowserLogin(Value, frozen=True):
    """A login at an OpenID provider that a session has begun."""

    session_key: str
    mount_path: str
    role: str
    state: str
    client_nonce: str

    unshown: ClassVar = ("session_key", "state", "client_nonce")


class Sessions:
    """The open sessions and their logins, found by the secret in their cookie."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._sessions: TTLCache[str, Session] = TTLCache(MAX_SESSIONS, SESSION_SECONDS, clock)
        self._logins: TTLCache[str, BrowserLogin] = TTLCache(MAX_SESSIONS, BROWSER_LOGIN_SECONDS, clock)

    def open(self, token: str) -> str:
        """Start a session, and return the value of its cookie."""
        key = secrets.token_urlsafe(32)
        self._sessions[key] = Session(token)
        return key

    def find(self, key: str) -> Session | None:
        """Return the session of a cookie; `None` if unknown or expired."""
        return self._sessions.get(key)

    def close(self, key: str) -> None:
        """End a session. Does nothing for an unknown one."""
        self._sessions.pop(key, None)

    def begin_login(self, login: BrowserLogin) -> str:
        """Keep a login at a provider, and return the value of its cookie."""
        key = secrets.token_urlsafe(32)
        self._logins[key] = login
        return key

    def end_login(self, key: str) -> tuple[BrowserLogin, Session] | None:
        """Return the login of a cookie with its session, once; `None` if one of them has ended."""
        login = self._logins.pop(key, None)
        session = self.find(login.session_key) if login else None
        return (login, session) if login and session else None
