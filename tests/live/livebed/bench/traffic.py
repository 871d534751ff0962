"""Requests to be sent in turn, and what counts as an answer to them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any

__all__ = ["CLIENT_TOKEN", "Request", "Traffic", "login"]

CLIENT_TOKEN = "auth.client_token"


@dataclass(frozen=True)
class Request:
    """One request to the HTTP API."""

    method: str
    path: str
    """Without /v1/."""
    body: Mapping[str, Any] | None = None

    @property
    def line(self) -> str:
        """The request as the load generator reads it."""
        described = {"method": self.method, "path": self.path}
        return json.dumps(described if self.body is None else {**described, "body": self.body})


@dataclass
class Traffic:
    """Requests that are sent again and again."""

    requests: Sequence[Request]
    member: str = CLIENT_TOKEN
    """The text that each answer must have; empty if a status of 2xx is enough."""
    is_refused: bool = False
    """Whether each must be refused instead."""
    token: str = field(default="", repr=False)
    """Whose requests they are; a stranger's if it is empty."""

    def __post_init__(self) -> None:
        self._remaining: Iterator[Request] = cycle(self.requests)

    def take(self, count: int) -> list[Request]:
        """Return the next requests, to be repeated if `count` is larger than their number."""
        return [next(self._remaining) for _ in range(min(count, len(self.requests)))]


def login(mount: str, jwt: str, role: str = "dev") -> Request:
    """Return a login with a token at a JWT mount."""
    return Request("POST", f"auth/{mount}/login", {"role": role, "jwt": jwt})
