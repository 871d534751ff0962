"""Clients that log in without a pause, at one node or at several, and how each of their logins ended."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import cycle
from typing import Self

import httpx

from livebed.client import error_texts
from livebed.mounts import Mount
from livebed.processes import wait_until

__all__ = ["LoginLoad", "Outcome", "describe_refusals"]

GIVE_UP_SECONDS = 120.0
"""Clients wait so long, to tell a slow login from one that never ends."""
PROGRESS_SECONDS = 150.0
PAUSE_SECONDS = 0.1
"""Between two attempts of a client that tries again."""
MAX_TEXT = 100


@dataclass(frozen=True)
class Outcome:
    """One login."""

    began: float
    ended: float
    """Of `time.monotonic()`."""
    status: int
    """Of the answer; 0 if there was none."""
    text: str
    """What a refusal said, or how the connection failed; empty for a token."""
    attempts: int = 1
    """How often the client has asked: more than once if it was refused and tries again."""

    @property
    def succeeded(self) -> bool:
        """Whether it got a token."""
        return self.status == httpx.codes.OK and not self.text

    @property
    def is_clear(self) -> bool:
        """Whether it got a token, or a refusal that says why."""
        return self.succeeded or bool(self.status and self.text)

    def seconds_since(self, moment: float) -> float:
        """Return how long it took, counted from a moment if it began before that."""
        return self.ended - max(self.began, moment)

    def overlaps(self, began: float, ended: float) -> bool:
        """Whether it was in flight at any time between these."""
        return self.began <= ended and began <= self.ended


@dataclass
class LoginLoad:
    """Clients at a mount, for as long as the context lasts."""

    mount: Mount
    clients: int
    addresses: Sequence[str] = ()
    """Of the nodes at which clients ask in turn; that of the mount's server if there are none."""
    retry_seconds: float = 0.0
    """How long a client tries again when it is refused."""
    outcomes: list[Outcome] = field(default_factory=list)
    succeeded: int = 0
    """Logins that got a token so far."""
    latest: float = 0.0
    """When the newest of these began."""
    ending: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        addresses = self.addresses or [self.mount.client.address]
        self.urls = cycle(f"{address}/v1/auth/{self.mount.path}/login" for address in addresses)
        self.body = {"role": "dev", "jwt": self.mount.issuer.token(exp=int(time.time()) + 3600)}
        self.attempts: list[Outcome] = []
        """Refused attempts of logins that were tried again."""
        self.threads = [threading.Thread(target=self._work) for _ in range(self.clients)]

    def __enter__(self) -> Self:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.ending.set()
        for thread in self.threads:
            thread.join()

    def wait(self, seconds: float) -> None:
        """Return after so many seconds under load, or when it ends."""
        self.ending.wait(seconds)

    def wait_for_logins(self, count: int) -> None:
        """Return when so many more logins have succeeded."""
        goal = self.succeeded + count
        wait_until(lambda: self.succeeded >= goal, f"{count} logins", timeout=PROGRESS_SECONDS)

    def wait_for_login_after(self, moment: float) -> None:
        """Return when a login that began after a moment has succeeded."""
        wait_until(lambda: self.latest > moment, "a login that begins later", timeout=PROGRESS_SECONDS)

    @property
    def refused(self) -> list[Outcome]:
        """Logins without a token whose answer says why."""
        return [outcome for outcome in self.outcomes if not outcome.succeeded and outcome.is_clear]

    @property
    def unclear(self) -> list[Outcome]:
        """Logins that ended without an answer, or with one that does not say why."""
        return [outcome for outcome in self.outcomes if not outcome.is_clear]

    def slower_than(self, seconds: float, since: float = 0.0) -> list[Outcome]:
        """Return the logins that took longer, counted from a moment."""
        return [outcome for outcome in self.outcomes if outcome.seconds_since(since) > seconds]

    def slowest(self, since: float = 0.0) -> float:
        """Return the seconds of the slowest login, counted from a moment."""
        return max((outcome.seconds_since(since) for outcome in self.outcomes), default=0.0)

    def _work(self) -> None:
        with httpx.Client(timeout=GIVE_UP_SECONDS, trust_env=False, follow_redirects=True) as http:
            while not self.ending.is_set():
                outcome = self._log_in(http)
                with self.lock:
                    self.outcomes.append(outcome)
                    if outcome.succeeded:
                        self.succeeded += 1
                        self.latest = max(self.latest, outcome.began)

    def _log_in(self, http: httpx.Client) -> Outcome:
        """Log in once, with as many attempts as it takes and may take."""
        began, attempts = time.monotonic(), 0
        while True:
            with self.lock:
                url = next(self.urls)
            attempt = ask(http, url, self.body)
            attempts += 1
            if attempt.succeeded or time.monotonic() > began + self.retry_seconds:
                return replace(attempt, began=began, attempts=attempts)
            with self.lock:
                self.attempts.append(attempt)
            time.sleep(PAUSE_SECONDS)


def ask(http: httpx.Client, url: str, body: dict[str, str]) -> Outcome:
    """Ask for a login once."""
    began = time.monotonic()
    try:
        response = http.post(url, json=body)
    except httpx.TransportError as error:
        return Outcome(began, time.monotonic(), 0, type(error).__name__)
    has_token = response.is_success and response.json()["auth"]["client_token"]
    text = "" if has_token else " ".join(error_texts(response))
    return Outcome(began, time.monotonic(), response.status_code, text)


def describe_refusals(outcomes: Sequence[Outcome]) -> str:
    """Return the texts of refusals with their counts, the most frequent first."""
    counted = Counter(" ".join(outcome.text.split())[:MAX_TEXT] for outcome in outcomes)
    return ", ".join(f"`{text}` ({count})" for text, count in counted.most_common(3)) or "-"
