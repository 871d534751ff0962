"""Secrets engines on the simulator: leases in the hands of a test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from authkit import Collection, Model, Name, Seconds, UserError
from authkit.logical import BackendConfig
from authkit.secrets import CredsCall, Lease, Renewal, RenewCall, RevokeCall, SecretsEngine, credentials
from authkit.testing import RefusedError, Simulator

SERVICE: set[str] = set()
"""The accounts that there are."""


class AccountRole(Model):
    """How long accounts live."""

    ttl: Seconds = timedelta(0)
    max_ttl: Seconds = timedelta(0)


class Account(Model):
    """What revoking an account needs."""

    name: Name


class Accounts(SecretsEngine, name="accounts", version="0.1.0"):
    """Accounts in a set."""

    roles = Collection(AccountRole, "roles/{name}")

    def __init__(self, config: BackendConfig) -> None:
        super().__init__(config)
        self.made = 0

    @credentials("creds/{role}")
    async def create(self, call: CredsCall, role: AccountRole) -> Lease:
        """Make an account."""
        self.made += 1
        account = Account(name=f"{call.display_name}-{self.made}")
        await call.keep(account)
        SERVICE.add(account.name)
        return Lease(data={"name": account.name}, ttl=role.ttl, max_ttl=role.max_ttl)

    @create.renew
    async def extend(self, call: RenewCall, role: AccountRole) -> Renewal:
        """Go on as the role says."""
        return Renewal(ttl=role.ttl, max_ttl=role.max_ttl)

    @create.revoke
    async def remove(self, call: RevokeCall, account: Account) -> None:
        """Remove the account."""
        if "closed" in SERVICE:
            raise UserError("the service is closed")
        SERVICE.discard(account.name)


@pytest.fixture
async def vault() -> AsyncIterator[Simulator]:
    """The engine with a role, and no accounts."""
    SERVICE.clear()
    async with Simulator(Accounts) as started:
        await started.write("roles/app", ttl="1h", max_ttl="3h")
        yield started


async def test_a_credential_is_issued_renewed_and_revoked(vault: Simulator) -> None:
    """Everything that a client does with one."""
    credential = await vault.issue("creds/app")
    assert credential.lease_id.startswith("accounts/creds/app/")
    assert {credential.data["name"]} == SERVICE
    assert (credential.ttl, credential.renewable) == (timedelta(hours=1), True)
    renewed = await credential.renew("2h")
    assert renewed.ttl == timedelta(hours=2)
    assert (await renewed.renew("9h")).warnings
    assert (await credential.lookup())["ttl"] == 3 * 3600
    await credential.revoke()
    assert not SERVICE
    with pytest.raises(RefusedError, match="invalid lease"):
        await credential.lookup()


async def test_a_credential_shows_nothing(vault: Simulator) -> None:
    """Its representation is for logs."""
    credential = await vault.issue("creds/app")
    assert credential.data["name"] not in repr(credential)
    assert "root" not in repr(credential)


async def test_an_answer_without_a_lease_is_no_credential(vault: Simulator) -> None:
    """A test that expects one is told so."""
    with pytest.raises(AssertionError, match="has no lease"):
        await vault.issue("roles/app")


async def test_a_credential_expires_with_the_clock(vault: Simulator) -> None:
    """Not before."""
    await vault.issue("creds/app")
    await vault.tick("59m")
    assert SERVICE
    await vault.tick("2m")
    assert not SERVICE
    assert await vault.lease_ids() == []


async def test_a_credential_ends_with_the_token_of_its_client(vault: Simulator) -> None:
    """As soon as what is due happens."""
    await vault.call("PUT", "sys/policies/acl/p", {"policy": 'path "accounts/*" { capabilities = ["read"] }'})
    token = await vault.make_token("p")
    await vault.issue("creds/app", token=token)
    await token.revoke()
    await vault.tick()
    assert not SERVICE


async def test_leases_are_listed_and_revoked_below_a_path(vault: Simulator) -> None:
    """Those of one mount alone."""
    other = await vault.enable("other")
    await other.write("roles/app", ttl="1h")
    kept = await other.issue("creds/app")
    issued = [await vault.issue("creds/app") for _ in range(2)]
    assert await vault.lease_ids("creds/app") == sorted(each.lease_id for each in issued)
    await vault.revoke_leases()
    assert await vault.lease_ids() == []
    assert await other.lease_ids() == [kept.lease_id]


async def test_a_revocation_that_fails_is_tried_again(vault: Simulator) -> None:
    """What nobody waits for is; what a client waits for is refused."""
    credential = await vault.issue("creds/app")
    SERVICE.add("closed")
    with pytest.raises(RefusedError, match="the service is closed"):
        await credential.revoke()
    await vault.tick("61m")
    SERVICE.remove("closed")
    assert SERVICE
    await vault.tick("1m")
    assert not SERVICE


async def test_leases_are_forgotten_by_force(vault: Simulator) -> None:
    """What the engine says does not count then."""
    await vault.issue("creds/app")
    SERVICE.add("closed")
    await vault.revoke_leases(force=True)
    assert await vault.lease_ids() == []


async def test_the_mount_of_an_engine(vault: Simulator) -> None:
    """It is tuned, reloaded and removed like an auth method, and its storage is seen."""
    assert (vault.path, vault.route) == ("accounts", "accounts")
    await vault.tune(max_lease_ttl="10m")
    assert (await vault.issue("creds/app")).ttl == timedelta(minutes=10)
    assert (await vault.accessor()).startswith("accounts_")
    assert any("app" in key for key in await vault.storage.list())
    await vault.reload()
    await vault.disable()
    assert not SERVICE


async def test_documents_of_an_engine(vault: Simulator) -> None:
    """Its operations have the tag of secrets engines."""
    operation = (await vault.openapi())["paths"]["/accounts/creds/{role}"]["get"]
    assert operation["tags"] == ["secrets"]
    assert "Accounts in a set" in await vault.help()
