"""A secrets engine whose accounts are files of a folder, which tests can look into and change."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

from authkit import Collection, Model, Name, Seconds, Singleton, Str, UserError, field
from authkit.secrets import CredsCall, Lease, Renewal, RenewCall, RevokeCall, SecretsEngine, credentials


class Config(Model):
    """Where the accounts are."""

    folder: Str = field(required=True)


class AccountRole(Model):
    """How long accounts live, and what goes wrong with them."""

    ttl: Seconds = timedelta(0)
    max_ttl: Seconds = timedelta(0)
    fault: Str = ""


class Account(Model):
    """What revoking an account needs."""

    name: Name


class Accounts(SecretsEngine, name="accounts", version="0.1.0"):
    """Accounts that are files."""

    config = Singleton(Config, "config")
    roles = Collection(AccountRole, "roles/{name}")

    @credentials("creds/{role}", rollback_after="1m")
    async def create(self, call: CredsCall, config: Config, role: AccountRole) -> Lease:
        """Create an account."""
        account = Account(name=f"{call.role_name}-{call.request.id[:8]}")
        await call.keep(account)
        file = Path(config.folder) / account.name
        file.write_text("made")
        if role.fault == "create":
            raise UserError("half-way")
        if role.fault == "hang":
            await asyncio.Event().wait()
        if role.fault == "unsendable":
            return Lease(data={"name": object()})
        return Lease(
            data={"name": account.name, "password": "pw-of-" + account.name},
            ttl=role.ttl,
            max_ttl=role.max_ttl,
        )

    @create.renew
    async def extend(self, call: RenewCall, config: Config, account: Account, role: AccountRole) -> Renewal:
        """Write down until when it lives."""
        until = await call.expires_at(ttl=role.ttl, max_ttl=role.max_ttl)
        (Path(config.folder) / account.name).write_text(until.isoformat())
        return Renewal(ttl=role.ttl, max_ttl=role.max_ttl)

    @create.revoke
    async def remove(
        self, call: RevokeCall, config: Config, account: Account, role: AccountRole | None
    ) -> None:
        """Delete the account."""
        if role is not None and role.fault == "revoke":
            raise UserError("the service is down")
        (Path(config.folder) / account.name).unlink(missing_ok=True)
