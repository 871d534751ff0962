"""Acme's directory, for the provider that docs/howto-jwt-provider.md shows, and the code of that page."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from urllib.parse import unquote

from identity_provider import Answer, Asked, Provider
from pages import together

__all__ = ["DIRECTORY_TOKEN", "AcmeDirectory", "read_plugin"]

DIRECTORY_TOKEN = "Zk8Qw3vRt6Yp"


@dataclass
class AcmeDirectory(Provider):
    """Knows people by name. Serve it over TLS."""

    keys: list[dict[str, object]] = field(default_factory=list)
    people: dict[str, object] = field(default_factory=dict)
    """What it answers about each of them."""

    def respond(self, asked: Asked) -> Answer:
        """Answer who shows the token; repeat the token to others, as a careless server does."""
        if asked.headers.get("authorization") != f"Bearer {DIRECTORY_TOKEN}":
            return Answer(401, f"not {asked.headers.get('authorization')}")
        name = unquote(asked.path.removeprefix("/people/"))
        if name not in self.people:
            return Answer(404, f"nobody is called {name}, said {DIRECTORY_TOKEN}")
        return Answer(200, json.dumps(self.people[name]))


def read_plugin() -> str:
    """Return the plugin of the page."""
    (code,) = together("docs/howto-jwt-provider.md", "python")
    return code.text
