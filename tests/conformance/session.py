"""What a case is handed: a mount of the answering plugin, and requests that are written down."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from conformance.hosts import HERE, Reply, Way
from conformance.normal import Normalizer

__all__ = [
    "CASES",
    "DATABASE",
    "ENGINE",
    "KINDS",
    "LAUNCHERS",
    "PLUGIN",
    "Case",
    "Session",
    "case",
    "clock_case",
    "run_case",
]

ROOT = "root"
"""The root token of every host under test."""

PLUGIN = "answers"
ENGINE = "issuer"
DATABASE = "shelf"
MOUNT = "con"


def _launcher(target: str, served_by: str = "authkit") -> str:
    return f"""
import sys
sys.path.insert(0, {str(Path(__file__).resolve().parents[1])!r})
from {served_by} import serve
serve({target!r})
"""


LAUNCHERS = {
    PLUGIN: _launcher("conformance.answers:Answers"),
    ENGINE: _launcher("conformance.issuer:Issuer"),
    DATABASE: _launcher("conformance.shelf:Shelf", "authkit.database"),
}
"""The plugins as executables, without their first line."""

KINDS = {PLUGIN: "auth", ENGINE: "secret", DATABASE: "database"}
"""Their types in the catalog."""

_KEPT_HEADERS = ("location", "x-answer", "cache-control", "www-authenticate")

Step = dict[str, Any]


class Session:
    """One case on one host."""

    def __init__(self, way: Way) -> None:
        self._way = way
        self._normal = Normalizer()
        self._undo: list[str] = []
        self.transcript: list[Step] = []

    # --- requests ------------------------------------------------------------------------------

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        status: int = 200,
        token: str | None = ROOT,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        wrap: str = "",
        address: str = HERE,
    ) -> Any:
        """Send a request that has to be answered with `status`; return the body."""
        sent = dict(headers or {}) | ({"X-Vault-Wrap-TTL": wrap} if wrap else {})
        reply = await self._way.send(
            method, path, body, token=token or "", query=query or {}, headers=sent, address=address
        )
        self._write_down(method, path, reply)
        assert reply.status == status, f"{method} {path}: {reply.status} {reply.body}"
        return reply.body

    def _write_down(self, method: str, path: str, reply: Reply) -> None:
        step: Step = {"request": f"{method} {self._normal.text(path)}", "status": reply.status}
        if reply.body is not None:
            step["body"] = self._normal.value(reply.body)
        kept = {name: reply.headers[name] for name in _KEPT_HEADERS if name in reply.headers}
        if kept.get("cache-control") == "no-store":  # every answer of a Vault server has it
            del kept["cache-control"]
        if not isinstance(reply.body, dict) and reply.body is not None:
            kept["content-type"] = reply.headers.get("content-type", "")
        if kept:
            step["headers"] = kept
        self.transcript.append(step)

    async def read(self, path: str, **options: Any) -> Any:
        """Read."""
        return await self.call("GET", path, **options)

    async def write(self, path: str, body: Any = None, **options: Any) -> Any:
        """Write."""
        return await self.call("POST", path, body if body is not None else {}, **options)

    async def list(self, path: str, **options: Any) -> Any:
        """List."""
        return await self.call("LIST", path, **options)

    async def delete(self, path: str, status: int = 204, **options: Any) -> Any:
        """Delete."""
        return await self.call("DELETE", path, status=status, **options)

    # --- what cases do most --------------------------------------------------------------------

    async def do(
        self, status: int = 200, *, path: str = "do", token: str | None = ROOT, **recipe: Any
    ) -> Any:
        """Let the plugin answer on a path that needs a token."""
        return await self.write(f"auth/{MOUNT}/{path}", recipe, status=status, token=token)

    async def issue(
        self, *, token: str | None = ROOT, beside: Mapping[str, Any] | None = None, **secret: Any
    ) -> Any:
        """Let the engine issue a secret; return the whole answer, which has a lease."""
        recipe = {"data": {"password": "x"}, "secret": secret, **(beside or {})}
        return await self.write(f"{MOUNT}/creds/a", recipe, token=token)

    async def lease(self, action: str, lease_id: str, status: int = 200, **fields: Any) -> Any:
        """Look up, renew or revoke a lease, as root."""
        body = {"lease_id": lease_id, **fields}
        return await self.call("PUT", f"sys/leases/{action}", body, status=status)

    async def asked(self) -> Any:
        """Return what the engine was asked about its leases."""
        return (await self.read(f"{MOUNT}/asked"))["data"]["asked"]

    async def asked_soon(self, count: int) -> Any:
        """Return what the engine was asked, once that is so many requests: those nobody waits for as well."""
        for _ in range(200):
            asked = await self.asked()
            if len(asked) >= count:
                return asked
            await asyncio.sleep(0)
        raise AssertionError(f"the engine was not asked {count} times: {asked}")

    async def move(self, source: str, target: str) -> str:
        """Move a mount, and wait until that has ended; return how."""
        moved = (await self.write("sys/remount", {"from": source, "to": target}))["data"]["migration_id"]
        path = f"sys/remount/status/{moved}"
        for _ in range(500):
            reply = await self._way.send("GET", path, None, token=ROOT, query={}, headers={}, address=HERE)
            if reply.body["data"]["migration_info"]["status"] != "in-progress":
                self._write_down("GET", path, reply)
                status: str = reply.body["data"]["migration_info"]["status"]
                return status
            await asyncio.sleep(0.01)
        raise AssertionError(f"the move of {source} does not end: {reply}")

    async def open(self, status: int = 200, *, path: str = "open/do", **recipe: Any) -> Any:
        """Let the plugin answer on a path that is open without a token."""
        return await self.write(f"auth/{MOUNT}/{path}", recipe, status=status, token=None)

    async def login(self, status: int = 200, *, beside: Mapping[str, Any] | None = None, **auth: Any) -> Any:
        """Log in and be granted `auth`; return it as the client sees it, or the error's body."""
        recipe = {"auth": auth, **(beside or {})}
        body = await self.write(f"auth/{MOUNT}/login", recipe, status=status, token=None)
        return body["auth"] if status == 200 else body

    async def lookup(self, auth: Mapping[str, Any], **options: Any) -> Any:
        """Look up the token of a login, as root."""
        body = await self.write("auth/token/lookup", {"token": auth["client_token"]}, **options)
        return body.get("data", body)

    async def renew(self, auth: Mapping[str, Any], status: int = 200, **body: Any) -> Any:
        """Renew the token of a login, as root."""
        return await self.write("auth/token/renew", {"token": auth["client_token"], **body}, status=status)

    async def tune(self, status: int = 204, **settings: Any) -> Any:
        """Tune the mount."""
        return await self.write(f"sys/auth/{MOUNT}/tune", settings, status=status)

    async def policy(self, name: str, *rules: tuple[str, list[str]], status: int = 204) -> None:
        """Write a policy, to be removed in the end."""
        listed = "\n".join(f'path "{path}" {{ capabilities = {_hcl(granted)} }}' for path, granted in rules)
        await self.write(f"sys/policies/acl/{name}", {"policy": listed}, status=status)
        self._undo.append(f"sys/policies/acl/{name}")

    async def token(self, *policies: str, **fields: Any) -> str:
        """Make a token with these policies; return it."""
        body = await self.write("auth/token/create", {"policies": list(policies), **fields})
        text: str = body["auth"]["client_token"]
        return text

    async def accessor(self) -> str:
        """Return the accessor of the mount."""
        found: str = (await self.read(f"sys/auth/{MOUNT}"))["data"]["accessor"]
        return found

    async def external_group(self, name: str, alias: str, *policies: str) -> str:
        """Make an external group that a group name of the mount is mapped to; return its id."""
        body = {"name": name, "type": "external", "policies": list(policies)}
        group_id: str = (await self.write("identity/group", body))["data"]["id"]
        self.undo(f"identity/group/id/{group_id}")
        mapping = {"name": alias, "mount_accessor": await self.accessor(), "canonical_id": group_id}
        await self.write("identity/group-alias", mapping)
        return group_id

    def undo(self, path: str) -> None:
        """Delete a path in the end."""
        self._undo.append(path)

    def tick(self, duration: str) -> None:
        """Let time pass."""
        assert self._way.clock is not None, "this host's clock does not move"
        self._way.clock.tick(duration)

    async def clean_up(self) -> None:
        """Remove what the case has made."""
        for path in reversed(self._undo):
            await self._way.send("DELETE", path, None, token=ROOT, query={}, headers={}, address=HERE)


@dataclass(frozen=True)
class Case:
    """One case: a short story of requests."""

    run: Callable[[Session], Awaitable[None]]
    group: str
    plugin: str
    moves_clock: bool = False

    @property
    def name(self) -> str:
        """The name, unique among all."""
        return f"{self.group}: {self.run.__name__}"


@dataclass
class _Registry:
    cases: list[Case] = field(default_factory=list)
    group: str = ""
    plugin: str = PLUGIN


_registry = _Registry()
CASES = _registry.cases


def begin(group: str, plugin: str = PLUGIN) -> None:
    """Put the cases that follow into a group, each with a mount of a plugin."""
    _registry.group, _registry.plugin = group, plugin


def case(run: Callable[[Session], Awaitable[None]]) -> Callable[[Session], Awaitable[None]]:
    """Declare a case that every host can run."""
    CASES.append(Case(run, _registry.group, _registry.plugin))
    return run


def clock_case(run: Callable[[Session], Awaitable[None]]) -> Callable[[Session], Awaitable[None]]:
    """Declare a case for hosts whose clock can be moved."""
    CASES.append(Case(run, _registry.group, _registry.plugin, moves_clock=True))
    return run


async def run_case(each: Case, way: Way) -> list[Step]:
    """Run a case on a fresh mount; return what was asked and answered."""
    options = {"token": ROOT, "query": {}, "headers": {}, "address": HERE}
    mount = f"sys/{'auth' if each.plugin == PLUGIN else 'mounts'}/{MOUNT}"
    kind = "database" if each.plugin == DATABASE else each.plugin
    enabled = await way.send("POST", mount, {"type": kind}, **options)
    assert enabled.status == 204, enabled
    session = Session(way)
    try:
        await each.run(session)
    finally:
        await session.clean_up()
        await way.send("DELETE", mount, None, **options)
    return session.transcript


def _hcl(names: list[str]) -> str:
    return "[" + ", ".join(f'"{name}"' for name in names) + "]"
