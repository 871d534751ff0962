"""An engine for tests, and the requests of a host about its leases."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from factories import Mount

from authkit import Call, Collection, List, Model, Name, Seconds, Secret, Singleton, Str, UserError, field
from authkit.logical import BackendConfig, LeasedSecret, Operation, Request, Response
from authkit.secrets import (
    CredsCall,
    Lease,
    Renewal,
    RenewCall,
    RevokeCall,
    RotateCall,
    RotatedRole,
    SecretsEngine,
    credentials,
    root_rotation,
    rotated,
)
from authkit.testing import MovableClock
from authkit.values import replace

__all__ = ["NOW", "Account", "Engine", "EngineMount", "Service", "response_secret"]

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Service:
    """What the engine works on: accounts and passwords, and what goes wrong with them."""

    def __init__(self) -> None:
        self.accounts: set[str] = set()
        self.passwords: dict[str, str] = {}
        self.fault: Callable[[str], None] = lambda deed: None
        self.entered = asyncio.Event()
        self.released = asyncio.Event()
        self.set: list[tuple[str, str, bool]] = []


class Config(Model):
    """How the engine logs in."""

    username: Str = field(default="root")
    password: Secret = field(default="")
    password_policy: Str = ""


class AccountRole(Model):
    """How long accounts live."""

    ttl: Seconds = timedelta(0)
    max_ttl: Seconds = timedelta(0)
    fault: Str = ""


class StaticRole(RotatedRole):
    """Whose password is changed."""

    username: Name


class Account(Model):
    """What revoking an account needs."""

    name: Name


class Credential(Model):
    """What a client gets of an account."""

    name: Str
    password: Secret = field(help="What it logs in with.")
    size: Str
    keys: List


class Engine(SecretsEngine, name="engine", version="0.1.0"):
    """Accounts in memory."""

    config = Singleton(Config, "config", seal_wrap=True)
    roles = Collection(AccountRole, "roles/{name}")
    static_roles = Collection(StaticRole, "static-roles/{name}")

    def __init__(self, config: BackendConfig) -> None:
        super().__init__(config)
        self.service = Service()
        self.revocations: list[tuple[str, str, bool, bool]] = []

    @credentials("creds/{role}", answer=Credential)
    async def create(self, call: CredsCall, role: AccountRole, size: Str = "") -> Lease:
        """Create an account."""
        account = Account(name=f"{call.display_name}-{len(self.service.accounts)}")
        await call.keep(account)
        self.service.accounts.add(account.name)
        self.service.fault("create")
        if role.fault == "hang":
            self.service.entered.set()
            await asyncio.Event().wait()
        if role.fault == "no lease":
            return {"name": account.name}  # type: ignore[return-value]
        data: dict[str, Any] = {
            "name": account.name,
            "password": Secret("hidden-until-sent"),
            "size": size,
        }
        if role.fault == "nested":
            data["keys"] = [{"private": Secret("in-a-list"), "size": 2048}]
        if role.fault == "unsendable":
            data["keys"] = object()
        if role.fault == "undocumented":
            data["color"] = "red"
        return Lease(data=data, ttl=role.ttl, max_ttl=role.max_ttl, warnings=("mind the gap",))

    @create.renew
    async def extend(self, call: RenewCall, account: Account, role: AccountRole) -> Renewal:
        """Write down until when it lives."""
        until = await call.expires_at(ttl=role.ttl, max_ttl=role.max_ttl)
        self.service.passwords[account.name] = until.isoformat()
        keep = Account(name=f"{account.name}-renamed") if role.fault == "rename" else None
        return Renewal(ttl=role.ttl, max_ttl=role.max_ttl, keep=keep)

    @create.revoke
    async def remove(self, call: RevokeCall, account: Account, role: AccountRole | None) -> None:
        """Delete the account."""
        self.service.fault("revoke")
        self.service.accounts.discard(account.name)
        self.revocations.append((account.name, call.role_name, role is None, call.is_rollback))

    @rotated(creds="static-creds/{name}", rotate="rotate-role/{name}", shows=("username",))
    async def set_password(self, call: RotateCall, role: StaticRole, password: Secret) -> None:
        """Set a password."""
        self.service.set.append((role.username, password.reveal(), call.is_retry))
        self.service.fault("before")
        self.service.passwords[role.username] = password.reveal()
        self.service.fault("after")

    @root_rotation("config/rotate-root")
    async def rotate_root(self, call: Call, config: Config, password: Secret) -> None:
        """Set the engine's own password."""
        self.service.fault("before")
        self.service.passwords[config.username] = password.reveal()
        self.service.fault("after")

    @rotate_root.check
    async def can_log_in(self, config: Config) -> bool:
        """Whether the password is valid."""
        self.service.fault("check")
        return self.service.passwords.get(config.username) == config.password.reveal()


class EngineMount(Mount[Engine]):
    """One mount, and what a host does with its leases."""

    def __init__(self, backend: type[Engine] = Engine) -> None:
        self.clock = MovableClock()
        super().__init__(backend, clock=self.clock)
        self.service = self.backend.service

    async def issue(self, role: str = "app", data: Mapping[str, Any] | None = None) -> Response:
        """Ask for credentials, as somebody called `bob`."""
        request = Request(operation=Operation.READ, path=f"creds/{role}", data=data or {}, display_name="bob")
        response = await self.backend.handle_request(request)
        assert response is not None
        return response

    async def renew_lease(self, response: Response, increment: timedelta = timedelta(0)) -> Response:
        """Renew, with what a host adds."""
        secret = response_secret(response)
        lease = replace(secret.lease, increment=increment, issue_time=self.clock.now())
        renewed = await self._about(Operation.RENEW, replace(secret, lease=lease), response)
        assert renewed is not None
        return renewed

    async def revoke_lease(self, response: Response) -> None:
        """Revoke."""
        assert await self._about(Operation.REVOKE, response_secret(response), response) is None

    async def _about(self, operation: Operation, secret: LeasedSecret, issued: Response) -> Response | None:
        request = Request(operation=operation, path="creds/app", data=issued.data or {}, secret=secret)
        return await self.backend.handle_request(request)

    def fail(self, *deeds: str) -> None:
        """Have the service fail at these moments from now on."""

        def fault(deed: str) -> None:
            if deed in deeds:
                raise UserError(f"the service is down: {deed}")

        self.service.fault = fault

    async def log(self) -> list[str]:
        """Return the entries of the write-ahead log."""
        return await self.backend.wal.list()


def response_secret(response: Response) -> LeasedSecret:
    """Return the lease that a response asks for."""
    assert response.secret is not None
    return response.secret
