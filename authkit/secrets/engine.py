"""The base class of secrets engines."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Final

from authkit.errors import UserError
from authkit.framework import Backend
from authkit.logical import BackendConfig, BackendType, Request, Response
from authkit.secrets.credentials import Credentials
from authkit.secrets.flow import CredentialsFlow
from authkit.secrets.leases import SecretRecord

__all__ = ["SecretsEngine"]

END_SECONDS: Final = 3.0
"""For what is being undone when a mount ends. All of its end has five (`authkit.wire`)."""


class SecretsEngine(Backend):
    """A secrets engine: a backend whose answers may be leased.

    ::

        class Accounts(SecretsEngine, name="accounts", version="1.2.0"):
            \"\"\"Accounts of the Acme service.\"\"\"

            config = Singleton(AcmeConfig, "config", seal_wrap=True)
            roles = Collection(AccountRole, "roles/{name}")

            @credentials("creds/{role}")
            async def create(self, call: CredsCall, role: AccountRole) -> Lease: ...

            @create.renew
            async def extend(self, call: RenewCall, account: Account) -> Renewal: ...

            @create.revoke
            async def remove(self, call: RevokeCall, account: Account) -> None: ...

    Raises:
        TypeError: at definition, the declarations contradict each other or themselves.
    """

    backend_type: ClassVar[BackendType] = BackendType.LOGICAL
    missing_object: ClassVar[str] = "the mount has no configuration: write '{path}' first"
    _flows: ClassVar[Mapping[str, CredentialsFlow]] = MappingProxyType({})

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        flows: dict[str, CredentialsFlow] = {}
        for each in cls.declarations.values():
            if isinstance(each, Credentials):
                if each.secret_type in flows:
                    raise TypeError(
                        f"{cls.__name__}: two credentials have the secret type {each.secret_type!r}; "
                        "give one of them another: @credentials(..., secret_type=...)"
                    )
                flows[each.secret_type] = each.flow(cls)
        cls._flows = MappingProxyType(flows)

    def __init__(self, config: BackendConfig) -> None:
        super().__init__(config)
        self.undoing: Final[set[asyncio.Task[None]]] = set()
        """What is being undone for requests that have failed."""
        self.rotated_last: Final[dict[str, str]] = {}
        """By the prefix of a rotation's passwords, the role that its last tick was at."""
        self.rotation_failures: Final[dict[str, float]] = {}
        """By a password's key, when it could not be set for a reader: the clock's monotonic seconds."""

    async def cleanup(self) -> None:
        """Let what is being undone end first: with a mount that is removed its log goes, too.

        Before that answers that were sent are settled: a caller may cancel the wait, and close the storage.
        """
        try:
            await self.wal.commit_settled()
        finally:
            try:
                if self.undoing:
                    await asyncio.wait(self.undoing, timeout=END_SECONDS)
            finally:
                await super().cleanup()

    async def handle_renewal(self, request: Request) -> Response | None:
        """Renew a lease.

        Raises:
            UserError: it may not go on.
        """
        flow = self._find_flow(request)
        return await super().handle_renewal(request) if flow is None else await flow.renew(self, request)

    async def handle_revocation(self, request: Request) -> None:
        """Revoke a credential.

        Raises:
            LogicalError: no class of credentials here has its secret type; a host tries again.
        """
        flow = self._find_flow(request)
        if flow is None:
            await super().handle_revocation(request)
        else:
            await flow.revoke(self, request)

    def _find_flow(self, request: Request) -> CredentialsFlow | None:
        """Return what made a credential, `None` where the request has no lease.

        Raises:
            UserError: nothing here made it.
            InternalError: it does not say what made it.
        """
        if request.secret is None:
            return None
        record = SecretRecord.read(request.secret.internal_data)
        flow = self._flows.get(record.secret_type)
        if flow is None:
            raise UserError("secret is unsupported by this backend")
        return flow
