"""The fixture `acceptance` and what it starts: the same tests on the simulator and on each server at hand."""

from __future__ import annotations

import pytest
from canaries import canary
from conformance.shelf import Shelf
from livebed.binaries import ServerProgram
from livebed.keys_engine import Keys
from shared_pin import SharedPIN

from authkit.testing import RealServer, RefusedError
from authkit.testing_pytest import Accept

PIN = canary("pin")


@pytest.fixture(autouse=True)
def at_hand(program: ServerProgram, monkeypatch: pytest.MonkeyPatch) -> None:
    """Name the server as a developer does."""
    monkeypatch.setenv("AUTHKIT_VAULT", str(program.path))


async def test_the_same_on_both(acceptance: Accept) -> None:
    """Tokens, entities, renewals, refusals, lists: what a client gets is the same."""
    vault = await acceptance(SharedPIN, config={"max_lease_ttl": "2h"})
    await vault.write("role/dev", pin=PIN, token_policies="dev", token_ttl="1h")
    await vault.patch("role/dev", token_ttl="30m")
    assert await vault.list("role") == ["dev"]
    token = await vault.login(role="dev", member="ann", pin=PIN)
    assert token.policies == ("default", "dev")
    assert token.ttl.total_seconds() == 1800
    assert token.entity is not None
    assert [alias.name for alias in token.entity.aliases] == ["dev/ann"]
    assert (await token.renew("1h")).ttl.total_seconds() == 3600
    await token.revoke()
    with pytest.raises(RefusedError) as refused:
        await vault.login(role="dev", member="ann", pin="0815-a-guess")
    assert (refused.value.status, refused.value.errors) == (403, ("permission denied",))
    assert "## PATHS" in await vault.help()
    await vault.delete("role/dev")
    assert await vault.list("role") == []


async def test_groups_and_wrapping(acceptance: Accept) -> None:
    """What operators set up, and a token that unwraps an answer."""
    vault = await acceptance(SharedPIN, path="teams")
    await vault.write("role/dev", pin=PIN)
    await vault.tune(default_lease_ttl="10m")
    assert await vault.map_group("devs", policies=["of-devs"])
    body = {"role": "dev", "member": "ann", "pin": PIN}
    answer = await vault.request("POST", "login", body, token=None, wrap_ttl="5m")
    assert answer.auth is None
    assert answer.body["wrap_info"]["token"]
    await vault.reload()
    await vault.login(role="dev", member="ann", pin=PIN)
    await vault.disable()


async def test_an_engine_is_the_same_on_both(acceptance: Accept) -> None:
    """Leases and their renewals, their ends one by one, below a path and with a token."""
    vault = await acceptance(Keys, config={"max_lease_ttl": "2h"})
    await vault.write("roles/door", ttl="1h", max_ttl="90m")
    assert await vault.list("roles") == ["door"]
    credential = await vault.issue("creds/door")
    assert credential.data == {"key": "key-0"}
    assert (credential.ttl.total_seconds(), credential.renewable) == (3600, True)
    renewed = await credential.renew("2h")
    assert 5390 <= renewed.ttl.total_seconds() <= 5400
    assert "capped accordingly" in renewed.warnings[0]
    await renewed.revoke()
    with pytest.raises(RefusedError, match="invalid lease"):
        await credential.lookup()
    issued = [await vault.issue("creds/door") for _ in range(2)]
    assert await vault.lease_ids("creds") == sorted(each.lease_id for each in issued)
    await vault.revoke_leases()
    assert await vault.lease_ids() == []
    token = await vault.make_token(num_uses=1)
    with pytest.raises(RefusedError, match="token had one use left"):
        await vault.issue("creds/door", token=token)
    assert "Keys that fit" in await vault.help()
    assert (await vault.accessor()).startswith("keys_")
    await vault.disable()


async def test_a_database_plugin_is_the_same_on_both(acceptance: Accept) -> None:
    """Behind the host's database engine, with users that are issued, renewed and revoked."""
    vault = await acceptance(Shelf)
    await vault.write("config/main", plugin_name=Shelf.name, allowed_roles="*", username="root", password="x")
    await vault.write("roles/app", db_name="main", default_ttl="1h", max_ttl="2h")
    user = await vault.issue("creds/app")
    assert "-app-" in user.data["username"]
    assert (await user.renew("30m")).ttl.total_seconds() == 1800
    await user.revoke()
    with pytest.raises(RefusedError, match="invalid lease"):
        await user.lookup()
    await vault.write("rotate-root/main")
    await vault.disable()


async def test_a_server_leaves_nothing(program: ServerProgram) -> None:
    """Its folder is gone with it, and the root token is in no text."""
    async with RealServer(SharedPIN, program.path) as vault:
        folder = vault._process.folder
        assert vault.find_entity("7d3f3f6c-0000-4000-8000-000000000000") is None
        assert vault._process.token not in vault.log()
        with pytest.raises(ValueError, match=r"127\.0\.0\.1"):
            await vault.login(role="dev", addr="10.0.0.1")
    assert not folder.exists()
