"""The same requests to two mounts, and what is left of their answers once chance is taken away.

Which requests, and which differences are meant, is left to the tests.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from livebed.client import Client
from livebed.plugins import Plugin
from livebed.server import Server

__all__ = ["Answer", "Side", "Step", "make", "mounted", "send"]

CHANCE = frozenset(
    {"request_id", "client_token", "accessor", "entity_id", "mount_type", "id", "creation_time", "issue_time"}
    | {"expire_time", "last_renewal", "last_renewal_time", "ttl", "path", "display_name"}
)
"""Members of answers that vary from request to request, or name the mount or the plugin."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """One request, sent to both mounts."""

    method: str
    path: str
    """Relative to the mount; with a leading `/`, relative to the API."""
    body: Any = None
    """A callable in it is called when the request is sent."""
    differs: str = ""
    """The name of the one intended difference that shows in the answers."""
    ours: str = ""
    """What our own answer then has in it, beginning with the status."""
    as_login: bool = False
    """Whether it is sent without a token."""
    keep: str = ""
    """Under which name the token of the answer is kept for later steps, by mount."""
    use: str = ""
    """The name of the kept token that goes into the body as `token`."""
    note: str = ""

    def __str__(self) -> str:
        return f"{self.method} {self.path} {json.dumps(self.body, default=lambda _: '<made>')[:300]}"


@dataclass(frozen=True)
class Answer:
    """What is compared."""

    status: int
    body: Any

    @property
    def text(self) -> str:
        """The first error, empty when there is none."""
        errors = self.body.get("errors") if isinstance(self.body, dict) else None
        return errors[0] if errors else ""

    def __str__(self) -> str:
        return f"{self.status} {self.text or json.dumps(self.body, sort_keys=True, ensure_ascii=False)}"


@dataclass
class Side:
    """One mount, and the tokens that it has granted."""

    client: Client
    path: str
    kept: dict[str, str] = field(default_factory=dict)


@contextmanager
def mounted(server: Server, plugin: Plugin) -> Iterator[Side]:
    """Enable a plugin at a path of its own; disable it in the end."""
    plugin.register(server.client)
    path = f"side-{plugin.name.replace('_', '-')}"
    server.client.write(f"sys/auth/{path}", type=plugin.name)
    yield Side(server.client, path)
    server.client.delete(f"sys/auth/{path}")


def send(step: Step, body: Any, side: Side) -> Answer:
    """Send a request whose body has been made; return the answer without what varies."""
    path = step.path[1:] if step.path.startswith("/") else f"auth/{side.path}/{step.path}"
    client = side.client.with_token("") if step.as_login else side.client
    if step.use:
        body = {**(body or {}), "token": side.kept[step.use]}
    options: dict[str, Any] = {}
    if step.method == "PATCH":
        options["headers"] = {"Content-Type": "application/merge-patch+json"}
    response = client.raw(step.method, path.replace("{mount}", side.path), body, **options)
    decoded = decode(response)
    auth = decoded.get("auth") if isinstance(decoded, dict) else None
    if auth and auth.get("client_token"):
        side.client.secrets.append(auth["client_token"])
        if step.keep:
            side.kept[step.keep] = auth["client_token"]
    text = json.dumps(without_chance(decoded)).replace(f"auth/{side.path}/", "auth/<mount>/")
    return Answer(response.status_code, json.loads(text))


def make(value: Any) -> Any:
    """Return a body with every callable in it called: both mounts get the very same request."""
    if isinstance(value, Callable):  # type: ignore[arg-type]
        return value()
    if isinstance(value, Mapping):
        return {name: make(each) for name, each in value.items()}
    return [make(each) for each in value] if isinstance(value, list) else value


def decode(response: httpx.Response) -> Any:
    """Return the body of an answer, as text when it is no JSON."""
    try:
        return response.json() if response.content else None
    except ValueError:
        return response.text


def without_chance(value: Any) -> Any:
    """Return an answer without the members of `CHANCE`, and without those that say nothing."""
    if isinstance(value, dict):
        return {name: without_chance(each) for name, each in value.items() if name not in CHANCE}
    return [without_chance(each) for each in value] if isinstance(value, list) else value
