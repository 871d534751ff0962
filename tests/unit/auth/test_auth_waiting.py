"""Logins and renewals that wait: what they were judged by is looked at again before anything is granted."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from factories import Mount

from authkit.auth import AuthMethod, Identity, Renewal, Role, login, renewal
from authkit.errors import AuthKitError
from authkit.framework import Collection, Model, Singleton, Str
from authkit.logical import Auth, Operation, Response


class Conf(Model):
    """Configure."""

    realm: Str = ""


class Waiting(AuthMethod, name="waiting"):
    """Every handler waits until it is told to go on."""

    config = Singleton(Conf, "config")
    roles = Collection(Role, "role/{name}")

    async def start(self) -> None:
        """Wait for the test."""
        self.waits, self.may_go_on = asyncio.Event(), asyncio.Event()

    async def wait(self) -> None:
        """Tell that a handler has begun, and wait for the word."""
        self.waits.set()
        await self.may_go_on.wait()

    @login("login")
    async def log_in(self, config: Conf, role: Role, user: Str) -> Identity:
        """Log in."""
        await self.wait()
        return Identity(name=user)

    @renewal
    async def renew(self, config: Conf, role: Role) -> Renewal:
        """Renew."""
        await self.wait()
        return Renewal.keep()


Change = Callable[[Mount[Waiting]], Awaitable[Any]]


async def recreate(mount: Mount[Waiting]) -> None:
    """Delete the role and write another one of its name."""
    await mount.delete("role/dev")
    await mount.write("role/dev", token_policies="admin")


CHANGES: dict[str, Change] = {
    "deleted": lambda mount: mount.delete("role/dev"),
    "tightened": lambda mount: mount.write("role/dev", token_bound_cidrs="198.51.100.0/24"),
    "made again": recreate,
    "reconfigured": lambda mount: mount.write("config", realm="other"),
    "unconfigured": lambda mount: mount.delete("config"),
}
HARMLESS: dict[str, Change] = {
    "another role": lambda mount: mount.write("role/other", token_policies="x"),
    "the same again": lambda mount: mount.write("role/dev", token_policies="p"),
    "forgotten": lambda mount: mount.backend.invalidate_key("role/dev"),
}


async def waiting_mount() -> Mount[Waiting]:
    """A mount with a configuration and a role."""
    mount = Mount(Waiting)
    await mount.backend.initialize()
    await mount.write("config", realm="one")
    await mount.write("role/dev", token_policies="p")
    return mount


async def meanwhile(mount: Mount[Waiting], request: Awaitable[Any], change: Change) -> Any:
    """Send a request, change something while its handler waits, and return the answer."""
    asked = asyncio.ensure_future(request)
    await asyncio.wait_for(mount.backend.waits.wait(), 10)
    await change(mount)
    mount.backend.may_go_on.set()
    return await asyncio.wait_for(asked, 10)


def log_in(mount: Mount[Waiting]) -> Awaitable[Response | None]:
    """Log in."""
    return mount.request(Operation.UPDATE, "login", {"role": "dev", "user": "ann"})


async def logged_in(mount: Mount[Waiting]) -> Auth:
    """Return a login whose handlers did not wait."""
    mount.backend.may_go_on.set()
    answer = await log_in(mount)
    assert answer is not None
    assert answer.auth is not None
    mount.backend.waits.clear()
    mount.backend.may_go_on.clear()
    return answer.auth


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
async def test_a_login_is_not_granted_by_what_is_gone(change: Change) -> None:
    """A deleted, replaced or tightened role ends a login that waits, and so does another configuration."""
    mount = await waiting_mount()
    with pytest.raises(AuthKitError):
        await meanwhile(mount, log_in(mount), change)


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
async def test_a_renewal_is_not_granted_by_what_is_gone(change: Change) -> None:
    """The same at a renewal that waits."""
    mount = await waiting_mount()
    auth = await logged_in(mount)
    with pytest.raises(AuthKitError):
        await meanwhile(mount, mount.renew(auth), change)


@pytest.mark.parametrize("change", HARMLESS.values(), ids=HARMLESS)
async def test_other_changes_stop_nobody(change: Change) -> None:
    """Another role, the same values once more, an emptied cache: the login and the renewal go on."""
    mount = await waiting_mount()
    answer = await meanwhile(mount, log_in(mount), change)
    assert answer.auth.policies == ("p",)
    mount.backend.waits.clear()
    mount.backend.may_go_on.clear()
    assert (await meanwhile(mount, mount.renew(answer.auth), change)).policies == ("p",)
