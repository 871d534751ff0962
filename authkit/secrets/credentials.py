"""`@credentials`: a path that makes a credential and leases it; how that is renewed and revoked.

::

    @credentials("creds/{role}")
    async def create(self, call: CredsCall, role: AccountRole) -> Lease:
        name = self.names.make(display_name=call.display_name, role_name=call.role_name)
        await call.keep(Account(username=name))      # first: what revoking needs
        ...                                          # then make it
        return Lease(data={"username": name}, ttl=role.default_ttl, max_ttl=role.max_ttl)

    @create.renew
    async def extend(self, call: RenewCall, account: Account, role: AccountRole) -> Renewal: ...

    @create.revoke
    async def remove(self, call: RevokeCall, account: Account) -> None: ...

The author says once how a credential is undone: `revoke` runs when its lease ends, and when no lease
came of it. What a host does with a lease: Vault 1.21, vault/expiration.go.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import timedelta
from functools import lru_cache
from typing import Any, Concatenate, Final, ParamSpec, Protocol, TypeVar, Unpack

from authkit.framework import Model, MountContext, PathTemplate, Route, WALEntry, parse_duration
from authkit.framework.handlers.options import HandlerOptions, verify_options
from authkit.framework.routing.declarations import MethodDeclaration
from authkit.framework.stored.storage_keys import WAL_PREFIX
from authkit.framework.tasks.rollbacks import Rollback
from authkit.logical import Operation
from authkit.secrets.flow import CredentialsFlow
from authkit.secrets.leases import Lease, Renewal
from authkit.secrets.owned_methods import OwnedMethod, find_owned
from authkit.values import verify_collections

__all__ = ["Credentials", "credentials"]

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R", bound=Lease | Awaitable[Lease])
N = TypeVar("N", bound=Renewal | Awaitable[Renewal])
V = TypeVar("V", bound=Awaitable[None] | None)

MAX_KEPT_FLOWS: Final = 1024
"""Kinds of credentials whose handlers are read once for each class."""

MIN_ROLLBACK_AGE: Final = timedelta(minutes=1)
"""A younger entry may be of a request that is still at work."""


class Credentials(MethodDeclaration[P, R]):
    """A path whose answers are leased. Made by `credentials`."""

    def __init__(
        self,
        handler: Callable[Concatenate[Any, P], R],
        path: PathTemplate,
        operations: Sequence[Operation],
        *,
        secret_type: str,
        rollback_after: timedelta,
        answer: type[Model] | None,
        options: HandlerOptions,
    ) -> None:
        super().__init__(handler)
        self.path = path
        self.operations = tuple(operations)
        self.secret_type = secret_type
        self.rollback_after = rollback_after
        self.answer = answer
        self.options = options

    def renew(self, handler: Callable[Concatenate[Any, Q], N]) -> OwnedMethod[Q, N]:
        """Have a method decide on renewals. It returns a `Renewal`, or raises to refuse.

        Its parameters are, by their annotations: a `RenewCall`, what was kept, the role as it is now, the
        model of a singleton. If the role is gone the renewal is refused, unless the method takes
        `Role | None`. Without such a method leases are not renewable.
        """
        return OwnedMethod(handler, self, "renew")

    def revoke(self, handler: Callable[Concatenate[Any, Q], V]) -> OwnedMethod[Q, V]:
        """Have a method undo what was made. It returns nothing, or raises; then the host tries again.

        Its parameters are, by their annotations: a `RevokeCall`, what was kept, the role as it is now (as
        `Role | None`: a lease outlives its role), the model of a singleton. What is gone counts as
        revoked: raise nothing. It may take 60 s; then it is cancelled, and the host tries again.
        """
        return OwnedMethod(handler, self, "revoke")

    def routes(self, backend: type[MountContext]) -> Iterable[Route]:
        """Return the one route.

        Raises:
            TypeError: nothing revokes these credentials, or their handlers do not fit together.
        """
        if not hasattr(backend, "_flows"):
            raise TypeError(
                f"{backend.__name__}: no request to revoke credentials would reach "
                f"{self.handler.__qualname__}: derive the class from SecretsEngine"
            )
        return [self.flow(backend).route()]

    def rollbacks(self) -> Iterable[Rollback[..., Any]]:
        """Return how an entry of the write-ahead log is undone."""
        return [Rollback(self._roll_back, self.wal_kind, self.rollback_after)]

    def local_stored(self) -> Iterable[str]:
        """Return the log's prefix: another cluster could not undo what this one has done."""
        return [WAL_PREFIX]

    @property
    def wal_kind(self) -> str:
        """Return the kind of its entries in the write-ahead log."""
        return f"credentials/{self.secret_type}"

    def flow(self, backend: type[MountContext]) -> CredentialsFlow:
        """Return what serves these credentials on a class, the same each time."""
        return _flow_on(self, backend)

    async def _roll_back(self, backend: Any, entry: WALEntry) -> None:
        await self.flow(type(backend)).roll_back(backend, entry.data)


@lru_cache(MAX_KEPT_FLOWS)
def _flow_on(of: Credentials[..., Any], backend: type[MountContext]) -> CredentialsFlow:
    return CredentialsFlow(
        of,
        backend,
        renewal=find_owned(of, "renew", backend),
        revocation=find_owned(of, "revoke", backend),
    )


class CredentialsDecorator(Protocol):
    """Declares a method, and keeps its parameters for type checkers."""

    def __call__(self, handler: Callable[Concatenate[Any, P], R], /) -> Credentials[P, R]:
        """Return the declaration."""
        ...


def credentials(
    path: str,
    *,
    operations: Sequence[Operation] = (Operation.READ,),
    secret_type: str = "",
    rollback_after: str = "10m",
    answer: type[Model] | None = None,
    **options: Unpack[HandlerOptions],
) -> CredentialsDecorator:
    """Make a method the source of leased credentials on a path.

    The method returns a `Lease` or raises. Its parameters are, by their annotations: a `CredsCall`, one
    object of a collection, loaded by the name in the field of the parameter's name (an unknown name is
    refused), the model of a singleton, and fields of the request.

    Args:
        path: relative to the mount, such as `creds/{role}`.
        operations: `Operation.READ`, as for most engines, or also or only `Operation.UPDATE`, where a request
            has more to say.
        secret_type: the name by which leases find what renews and revokes them; by default what the
            path begins with (`creds`). Leases live for months: it stays for ever.
        rollback_after: how old an entry of the write-ahead log is when it is undone. The method may take
            half of that; then it is cancelled, and undone.
        answer: a model with the fields of the lease's `data`, for documents. Data that has another field is
            not sent, and what was made is undone.
        options: see `HandlerOptions`; the path always needs a token.

    Raises:
        TypeError: an option is unknown or does not fit; the path is open without a token.
        ValueError: the path is no template; `rollback_after` is shorter than a minute.
    """
    verify_options(options)
    verify_collections(operations=operations)
    if options.get("unauthenticated"):
        # A host would take the answer, keep no lease, and revoke nothing (Vault 1.21, observed).
        raise TypeError("leased credentials need a token; a path that is open without one cannot lease")
    if not operations or not {Operation.READ, Operation.UPDATE} >= set(operations):
        raise TypeError("credentials are made by Operation.READ, Operation.UPDATE or both")
    try:
        age = parse_duration(rollback_after)
    except ValueError as error:
        raise ValueError(f"rollback_after={rollback_after!r}: {error}") from error
    if age < MIN_ROLLBACK_AGE:
        raise ValueError("rollback_after is at least a minute: a younger entry may be of a running request")
    template = PathTemplate.parse(path)
    name = secret_type or template.prefix.rstrip("/")
    if not name:
        raise ValueError(f"{path!r} begins with a name that varies: give a secret_type")

    def declare(handler: Callable[Concatenate[Any, P], R], /) -> Credentials[P, R]:
        return Credentials(
            handler,
            template,
            operations,
            secret_type=name,
            rollback_after=age,
            answer=answer,
            options=options,
        )

    return declare
