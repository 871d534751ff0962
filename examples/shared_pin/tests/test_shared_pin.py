"""The smallest example: logins, limits, renewals, driven by requests as a server sends them."""

from __future__ import annotations

from typing import Any

import pytest
from factories import FakeClock, Mount
from shared_pin import SharedPIN

from authkit.errors import PermissionDeniedError, TooManyRequestsError, UserError
from authkit.logical import Auth, Operation

PIN = "4711-only-the-team-knows"


async def team_mount(**options: Any) -> Mount[SharedPIN]:
    """A mount with the team `dev`."""
    mount = Mount(SharedPIN, **options)
    await mount.backend.initialize()
    await mount.write("role/dev", pin=PIN, token_policies="dev", token_ttl="1h")
    return mount


async def log_in(mount: Mount[SharedPIN], member: str = "ann", pin: str = PIN) -> Auth:
    """Log in as a member of the team."""
    return await mount.login(role="dev", member=member, pin=pin)


async def test_the_right_pin_logs_in() -> None:
    """With the team's token, and a name of one's own whatever its case."""
    mount = await team_mount()
    auth = await log_in(mount, "Ann")
    assert auth.alias is not None
    assert auth.alias.name == "dev/ann"
    assert (auth.policies, auth.lease.ttl.total_seconds()) == (("dev",), 3600)
    assert auth.metadata == {"team": "dev", "member": "ann"}


@pytest.mark.parametrize("pin", ["0815-a-guess", PIN[:-1], PIN + "1", PIN.upper(), " " + PIN])
async def test_a_wrong_pin_is_denied(pin: str) -> None:
    """Any other PIN, without a word more."""
    with pytest.raises(PermissionDeniedError, match=r"\Apermission denied\Z"):
        await log_in(await team_mount(), pin=pin)


async def test_the_pin_is_never_shown() -> None:
    """A team needs one, and a read shows everything else."""
    mount = await team_mount()
    shown = await mount.read("role/dev")
    assert shown is not None
    assert "pin" not in shown
    assert shown["left"] == []
    for fields in ({}, {"pin": ""}):
        with pytest.raises(UserError, match="missing pin"):
            await mount.write("role/open", fields)


async def test_wrong_pins_are_limited_until_the_task_runs() -> None:
    """Beyond the limit even the right PIN has to wait; the task ends the wait."""
    clock = FakeClock()
    mount = await team_mount(clock=clock)
    await mount.tick()
    await mount.write("config", wrong_pins=2)
    for _ in range(2):
        with pytest.raises(PermissionDeniedError):
            await log_in(mount, pin="0815-a-guess")
    with pytest.raises(TooManyRequestsError) as caught:
        await log_in(mount)
    assert caught.value.status == 429
    clock.advance(14 * 60)
    await mount.tick()
    with pytest.raises(TooManyRequestsError):
        await log_in(mount)
    clock.advance(60)
    await mount.tick()
    await log_in(mount)


async def test_without_a_configuration_there_is_a_limit() -> None:
    """A hundred wrong PINs, and the team waits."""
    mount = await team_mount()
    for _ in range(100):
        with pytest.raises(PermissionDeniedError):
            await log_in(mount, pin="0815-a-guess")
    with pytest.raises(TooManyRequestsError):
        await log_in(mount)


@pytest.mark.parametrize("spelled", ["ann", "ANN", "bob, Ann"])
async def test_members_who_have_left(spelled: str) -> None:
    """They neither log in nor renew, however the operator spells them; the others do."""
    mount = await team_mount()
    ann, eve = await log_in(mount, "ann"), await log_in(mount, "eve")
    await mount.write("role/dev", left=spelled)
    with pytest.raises(PermissionDeniedError):
        await log_in(mount, "Ann")
    with pytest.raises(PermissionDeniedError):
        await mount.renew(ann)
    await log_in(mount, "eve")
    assert (await mount.renew(eve)).metadata == eve.metadata


async def test_renewal_ends_with_the_team() -> None:
    """It takes the lifetimes of today, and the team has to be there."""
    mount = await team_mount()
    auth = await log_in(mount)
    await mount.write("role/dev", token_ttl="20m")
    assert (await mount.renew(auth)).lease.ttl.total_seconds() == 1200
    await mount.delete("role/dev")
    with pytest.raises(UserError, match="role dev does not exist during renewal"):
        await mount.renew(auth)


async def test_roles_are_resolved() -> None:
    """A server may ask which team a login is for."""
    response = await (await team_mount()).request(Operation.RESOLVE_ROLE, "login", {"role": "DEV"})
    assert response is not None
    assert response.data == {"role": "dev"}
