"""What a warm login costs, in counts: calls back to the server, tasks, calls of functions.

Times differ from machine to machine, and these counts do not. A bound that is reached is a reason to look at
what a change has added to every login (docs/performance.md), not to raise it.
"""

from __future__ import annotations

import asyncio
import inspect
import sys
from collections.abc import Sequence
from typing import Any

import pytest
from jwt_auth import JWTAuth
from jwt_auth_keys import make_token, public_pem
from jwt_auth_mounts import GOOD_ROLE

from authkit.host.supervisor.in_process.channel import InProcessChannel
from authkit.rpc.interface import CallContext
from authkit.testing import Simulator

MAX_FUNCTION_CALLS = 300
"""Calls of Python functions for the three messages of a login, bytes in and bytes out."""

MAX_CALLS_OF_A_GROUP = 8
"""Further ones for each group that the token names."""


class Login:
    """The messages of one warm login as a server sends them, to be sent again."""

    def __init__(self) -> None:
        self.messages: list[tuple[Any, bytes, CallContext]] = []
        """The plugin's handler, and what it is called with."""
        self.asked: list[str] = []
        """What the plugin has called at its host."""

    def note(self, channel: InProcessChannel, path: str, request: bytes, metadata: Sequence[Any]) -> None:
        """Note a call, in whichever direction."""
        if path.startswith("/pb.Backend/"):
            handler: Any = channel._methods[path].handler
            values = {key: [value] for key, value in metadata}
            self.messages.append((handler, request, CallContext(path, values, None)))
        else:
            self.asked.append(path)

    async def send(self) -> None:
        """Send the messages, without a host around them."""
        for handler, request, call in self.messages:
            reply = handler(request, call)
            if inspect.isawaitable(reply):
                await reply

    async def count_calls(self) -> int:
        """Return how many Python functions are called for them."""
        calls = 0

        def note(frame: object, event: str, argument: object) -> None:
            nonlocal calls
            calls += event == "call"

        sys.setprofile(note)
        try:
            await self.send()
        finally:
            sys.setprofile(None)
        return calls


async def warm_login(vault: Simulator, monkeypatch: pytest.MonkeyPatch, **claims: Any) -> Login:
    """Log in until everything is in memory, then once more."""
    await vault.write("config", jwt_validation_pubkeys=public_pem())
    await vault.write("role/dev", GOOD_ROLE, **({"groups_claim": "groups"} if claims else {}))
    token, login, call = make_token(**claims), Login(), InProcessChannel.call
    for _ in range(2):
        await vault.login(role="dev", jwt=token)

    async def noting(channel: InProcessChannel, path: str, request: bytes, **options: Any) -> bytes:
        login.note(channel, path, request, options.get("metadata", ()))
        return await call(channel, path, request, **options)

    with monkeypatch.context() as patch:
        patch.setattr(InProcessChannel, "call", noting)
        await vault.login(role="dev", jwt=token)
    return login


async def test_a_warm_login_asks_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three messages come from the server, and none goes back: no storage, no system view."""
    async with Simulator(JWTAuth) as vault:
        login = await warm_login(vault, monkeypatch)
        names = [call.path.rpartition("/")[2] for _, _, call in login.messages]
        assert names == ["HandleExistenceCheck", "HandleRequest", "HandleRequest"]
        assert login.asked == []


async def test_a_warm_login_starts_no_task(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two of its messages are answered at once, and the third within one coroutine that never waits."""
    async with Simulator(JWTAuth) as vault:
        login = await warm_login(vault, monkeypatch)
        before, waited = asyncio.all_tasks(), []
        for handler, request, call in login.messages:
            reply = handler(request, call)
            waited.append(inspect.isawaitable(reply))
            if inspect.iscoroutine(reply):
                with pytest.raises(StopIteration):
                    reply.send(None)
        assert waited == [False, True, False]
        assert asyncio.all_tasks() == before


async def test_a_warm_login_calls_few_functions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their number grows with the groups of the token, and with nothing else."""
    async with Simulator(JWTAuth) as vault:
        plain = await (await warm_login(vault, monkeypatch)).count_calls()
        groups = [f"group-{number}" for number in range(50)]
        grouped = await (await warm_login(vault, monkeypatch, groups=groups)).count_calls()
    assert plain <= MAX_FUNCTION_CALLS
    assert grouped - plain <= 40 + MAX_CALLS_OF_A_GROUP * len(groups)
