"""The smallest example: logins, limits, renewals, behind the rules of a server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from shared_pin import SharedPIN

from authkit.testing import GrantedToken, RefusedError, Simulator

PIN = "4711-only-the-team-knows"


@pytest.fixture
async def vault() -> AsyncIterator[Simulator]:
    """A mount with the team `dev`."""
    async with Simulator(SharedPIN) as running:
        await running.write("role/dev", pin=PIN, token_policies="dev", token_ttl="1h")
        yield running


async def log_in(vault: Simulator, member: str = "ann", pin: str = PIN) -> GrantedToken:
    """Log in as a member of the team."""
    return await vault.login(role="dev", member=member, pin=pin)


async def refused_status(vault: Simulator, member: str = "ann", pin: str = PIN) -> int:
    """Try to log in, and return the status with which that is refused."""
    with pytest.raises(RefusedError) as refused:
        await log_in(vault, member, pin)
    return refused.value.status


async def test_the_right_pin_logs_in(vault: Simulator) -> None:
    """With the team's token, and a name of one's own whatever its case."""
    token = await log_in(vault, "Ann")
    assert token.entity is not None
    assert [alias.name for alias in token.entity.aliases] == ["dev/ann"]
    assert (token.policies, token.ttl) == (("default", "dev"), timedelta(hours=1))
    assert token.metadata == {"team": "dev", "member": "ann"}
    assert (await log_in(vault, "aNN")).entity_id == token.entity_id


@pytest.mark.parametrize("pin", ["0815-a-guess", PIN[:-1], PIN + "1", PIN.upper(), " " + PIN])
async def test_a_wrong_pin_is_denied(vault: Simulator, pin: str) -> None:
    """Any other PIN, without a word more."""
    with pytest.raises(RefusedError) as refused:
        await log_in(vault, pin=pin)
    assert (refused.value.status, refused.value.errors) == (403, ("permission denied",))


async def test_the_pin_is_never_shown(vault: Simulator) -> None:
    """A team needs one, and a read shows everything else."""
    shown = await vault.read("role/dev")
    assert "pin" not in shown
    assert shown["left"] == []
    for fields in ({}, {"pin": ""}):
        with pytest.raises(RefusedError, match="HTTP 400: missing pin"):
            await vault.write("role/open", fields)


async def test_wrong_pins_are_limited_until_the_task_runs(vault: Simulator) -> None:
    """Beyond the limit even the right PIN has to wait; the task ends the wait."""
    await vault.tick()
    await vault.write("config", wrong_pins=2)
    assert [await refused_status(vault, pin="0815-a-guess") for _ in range(2)] == [403, 403]
    assert await refused_status(vault) == 429
    await vault.tick("14m")
    assert await refused_status(vault) == 429
    await vault.tick("1m")
    await log_in(vault)


async def test_without_a_configuration_there_is_a_limit(vault: Simulator) -> None:
    """A hundred wrong PINs, and the team waits."""
    for _ in range(100):
        assert await refused_status(vault, pin="0815-a-guess") == 403
    assert await refused_status(vault) == 429


@pytest.mark.parametrize("spelled", ["ann", "ANN", "bob, Ann"])
async def test_members_who_have_left(vault: Simulator, spelled: str) -> None:
    """They neither log in nor renew, however the operator spells them; the others do."""
    ann, eve = await log_in(vault, "ann"), await log_in(vault, "eve")
    await vault.write("role/dev", left=spelled)
    assert await refused_status(vault, "Ann") == 403
    with pytest.raises(RefusedError) as refused:
        await ann.renew()
    assert refused.value.status == 403
    await log_in(vault, "eve")
    assert (await eve.renew()).metadata == eve.metadata


async def test_renewal_ends_with_the_team(vault: Simulator) -> None:
    """It takes the lifetimes of today, and the team has to be there."""
    token = await log_in(vault)
    await vault.write("role/dev", token_ttl="20m")
    assert (await token.renew()).ttl == timedelta(minutes=20)
    await vault.delete("role/dev")
    with pytest.raises(RefusedError, match="HTTP 400: role dev does not exist during renewal"):
        await token.renew()


async def test_roles_are_resolved(vault: Simulator) -> None:
    """A server asks after each login which team it was for, whatever the case of its name."""
    await vault.login(role="DEV", member="ann", pin=PIN)
    assert vault.audit[-1].role == "dev"
