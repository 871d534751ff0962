"""What a warm login costs, in counts: calls to the server, requests to the provider, tasks, function calls.

Times differ from machine to machine, and these counts do not. A bound that is reached is a reason to look at
what a change has added to every login (docs/performance.md), not to raise it.
"""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

import pytest
from identity_provider import Provider
from jwt_auth import JWTAuth
from jwt_auth_keys import make_token, public_pem
from jwt_auth_mounts import GOOD_ROLE
from recorded_login import RecordedLogin, record

from authkit.oidc.keys import cache
from authkit.testing import RefusedError, Simulator

MAX_FUNCTION_CALLS = 300
"""Calls of Python functions for the three messages of a login, bytes in and bytes out."""

MAX_CALLS_OF_A_GROUP = 8
"""Further ones for each group that the token names."""


GET, LIST = "/pb.Storage/Get", "/pb.Storage/List"

JUNK = 50
"""Tokens whose key ids nobody knows."""


async def warm_login(vault: Simulator, **claims: Any) -> RecordedLogin:
    """Log in until everything is in memory, then once more."""
    await vault.write("config", jwt_validation_pubkeys=public_pem())
    await vault.write("role/dev", GOOD_ROLE, **({"groups_claim": "groups"} if claims else {}))
    token = make_token(**claims)
    for _ in range(2):
        await vault.login(role="dev", jwt=token)
    return await recorded_login(vault, token)


async def recorded_login(vault: Simulator, token: str, role: str = "dev") -> RecordedLogin:
    """Log in once; return the messages."""
    with record() as login:
        await vault.login(role=role, jwt=token)
    return login


async def test_a_warm_login_asks_nobody() -> None:
    """Three messages come from the server, and none goes back: no storage, no system view."""
    async with Simulator(JWTAuth) as vault:
        login = await warm_login(vault)
        names = [call.path.rpartition("/")[2] for _, _, call in login.messages]
        assert names == ["HandleExistenceCheck", "HandleRequest", "HandleRequest"]
        assert login.asked == []


async def test_a_warm_login_starts_no_task() -> None:
    """Two of its messages are answered at once, and the third within one coroutine that never waits."""
    async with Simulator(JWTAuth) as vault:
        login = await warm_login(vault)
        before, waited = asyncio.all_tasks(), []
        for handler, request, call in login.messages:
            reply = handler(request, call)
            waited.append(inspect.isawaitable(reply))
            if inspect.iscoroutine(reply):
                with pytest.raises(StopIteration):
                    reply.send(None)
        assert waited == [False, True, False]
        assert asyncio.all_tasks() == before


async def test_a_warm_login_calls_few_functions() -> None:
    """Their number grows with the groups of the token, and with nothing else."""
    async with Simulator(JWTAuth) as vault:
        plain = await (await warm_login(vault)).count_calls()
        groups = [f"group-{number}" for number in range(50)]
        grouped = await (await warm_login(vault, groups=groups)).count_calls()
    assert plain <= MAX_FUNCTION_CALLS
    assert grouped - plain <= 40 + MAX_CALLS_OF_A_GROUP * len(groups)


async def test_a_role_is_read_once() -> None:
    """The first login with a role reads it from storage, the second one reads nothing."""
    async with Simulator(JWTAuth) as vault:
        await warm_login(vault)
        await vault.write("role/other", GOOD_ROLE)
        await vault.reload()
        first, same, other, again = [
            await recorded_login(vault, make_token(), role) for role in ("dev", "dev", "other", "other")
        ]
    assert first.asked == [GET, GET, LIST]  # configuration, role, further issuers
    assert other.asked == [GET]
    assert same.asked == again.asked == []


async def test_a_warm_login_does_not_ask_the_provider(provider: Provider) -> None:
    """Its keys were fetched when the configuration was written."""
    async with Simulator(JWTAuth) as vault:
        await vault.write("config", jwks_url=provider.keys_url)
        await vault.write("role/dev", GOOD_ROLE)
        token = make_token(key="first")
        await vault.login(role="dev", jwt=token)
        provider.fetches.clear()
        login = await recorded_login(vault, token)
    assert login.asked == []
    assert provider.fetches == []


async def test_junk_asks_the_provider_once(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many unknown key ids strangers send, the provider has one request in `ASK_PAUSE` seconds."""
    async with Simulator(JWTAuth) as vault:
        with monkeypatch.context() as patch:
            patch.setattr(cache, "ASK_PAUSE", 0.0)  # as if the configuration were older than that
            await vault.write("config", jwks_url=provider.keys_url)
        await vault.write("role/dev", GOOD_ROLE)
        provider.fetches.clear()
        for number in range(JUNK):
            with pytest.raises(RefusedError):
                await vault.login(role="dev", jwt=make_token(headers={"kid": f"unknown-{number}"}))
        assert provider.fetches == ["/keys"]
