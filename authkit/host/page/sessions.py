"""Sessions of the page: browsers that signed in with a token.

Kept in memory only: sessions end with the server.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from hmac import compare_digest
from typing import ClassVar

from authkit.values import Value, field

__all__ = ["COOKIE", "Session", "Sessions"]

COOKIE = "authkit_session"
SESSION_SECONDS = 8 * 3600
MAX_SESSIONS = 32
"""A new session replaces the oldest."""


class Session(Value, frozen=True):
    """One signed-in browser. Set at sign-in."""

    token: str
    """The server's token that the page acts with."""
    until: float
    """When it ends, by the clock of `Sessions`."""
    form_secret: str = field(default_factory=secrets.token_urlsafe)
    """In every form of the page, against cross-site request forgery."""

    unshown: ClassVar = ("token", "form_secret")

    def is_own_form(self, secret: str) -> bool:
        """Whether a form came from this page."""
        return compare_digest(self.form_secret.encode(), secret.encode(errors="replace"))


class Sessions:
    """The open sessions, found by the secret in their cookie."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._sessions: dict[str, Session] = {}

    def open(self, token: str) -> str:
        """Start a session, and return the value of its cookie."""
        while len(self._sessions) >= MAX_SESSIONS:
            del self._sessions[next(iter(self._sessions))]
        key = secrets.token_urlsafe(32)
        self._sessions[key] = Session(token, self._clock() + SESSION_SECONDS)
        return key

    def find(self, key: str) -> Session | None:
        """Return the session of a cookie; `None` if unknown or expired."""
        session = self._sessions.get(key)
        if session is not None and session.until <= self._clock():
            self.close(key)
            return None
        return session

    def close(self, key: str) -> None:
        """End a session. Does nothing for an unknown one."""
        self._sessions.pop(key, None)
