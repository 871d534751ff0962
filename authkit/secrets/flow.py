"""How one kind of credentials is issued, renewed and revoked. How it is declared: `credentials`."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Callable, Coroutine, Mapping
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol

from authkit.errors import InternalError, UserError
from authkit.framework import Call, Model, MountContext, ResponseInfo, Route
from authkit.framework.documents.help import documentation
from authkit.framework.handlers.arguments import verify_returns
from authkit.framework.handlers.options import HandlerOptions, operation_info
from authkit.framework.routing.routes import join_fields
from authkit.logical import LeasedSecret, Operation, Request, Response
from authkit.secrets.arguments import CredentialsPlan
from authkit.secrets.calls import CredsCall, RenewCall, RevokeCall
from authkit.secrets.issuing import PATH_KEY, RECORD_KEY, Issue
from authkit.secrets.leases import Lease, Renewal, SecretRecord, lease_response, renewed_secret
from authkit.values import replace

if TYPE_CHECKING:
    from authkit.framework import PathTemplate

__all__ = ["REVOKE_SECONDS", "UNDO_SECONDS", "CredentialsFlow"]

REVOKE_SECONDS: Final = 60.0
"""For one revocation. A host waits for some without end, and 90 s for others (Vault 1.21)."""

MAKE_SHARE: Final = 0.5
"""Of `rollback_after`: for making a credential. In the rest the service ends what it was told before that."""

UNDO_SECONDS: Final = 10.0
"""That a request which failed waits for what it has made to be undone. The write-ahead log does the rest."""


class DeclaredCredentials(Protocol):
    """What the declaration says."""

    handler: Callable[..., Any]
    path: PathTemplate
    operations: tuple[Operation, ...]
    secret_type: str
    rollback_after: timedelta
    answer: type[Model] | None
    options: HandlerOptions

    @property
    def wal_kind(self) -> str:
        """The kind of its entries in the write-ahead log."""
        ...


class CredentialsFlow:
    """One kind of credentials on one class.

    Raises:
        TypeError: its handlers do not fit together.
    """

    def __init__(
        self,
        declared: DeclaredCredentials,
        backend: type[MountContext],
        *,
        renewal: Callable[..., Any] | None,
        revocation: Callable[..., Any] | None,
    ) -> None:
        self.declared = declared
        self.plan = CredentialsPlan.read(declared.handler, backend, CredsCall)
        where = f"{backend.__name__}: {declared.handler.__qualname__}"
        if self.plan.is_role_optional or self.plan.kept:
            raise TypeError(f"{where}: takes a role that is there, and nothing that was kept")
        if revocation is None:
            raise TypeError(
                f"{where}: nothing revokes these credentials: add a method with "
                f"@{declared.handler.__name__}.revoke; it may do nothing"
            )
        self.renewal = None if renewal is None else self._follow(renewal, backend, RenewCall)
        self.revocation = self._follow(revocation, backend, RevokeCall)
        if self.revocation.kept and not inspect.iscoroutinefunction(inspect.unwrap(declared.handler)):
            raise TypeError(
                f"{where}: revoke takes '{self.revocation.kept}', and a plain def cannot "
                "`await call.keep(...)`: make it an async def"
            )
        if self.revocation.role and not self.revocation.is_role_optional:
            raise TypeError(
                f"{backend.__name__}: {revocation.__qualname__}: a lease outlives its role, so "
                f"'{self.revocation.role}' may be gone: annotate it as ... | None"
            )
        if self.renewal and self.renewal.kept_model not in (None, self.revocation.kept_model):
            raise TypeError(f"{where}: renew and revoke take different models of what was kept")
        verify_returns(declared.handler, Lease)
        if renewal is not None:
            verify_returns(renewal, Renewal)
        self.fields = join_fields(
            declared.path.text, self.plan.role_field(backend), self.plan.arguments.fields
        )
        missing = [name for name in declared.path.names if name not in self.fields]
        if missing:
            raise TypeError(
                f"{where} has no parameter '{missing[0]}', which the path {declared.path.text!r} captures"
            )

    def route(self) -> Route:
        """Return the path of the credentials."""
        options = self.declared.options
        synopsis, description = documentation(self.declared.handler)
        synopsis = options.get("summary", synopsis) or "Request a credential."
        description = options.get("description", description)
        info = operation_info(
            self.fields,
            synopsis,
            description,
            {**options, "forward": True, "responses": self._documented_responses()},
        )
        operations = self.declared.operations
        return Route(
            path=self.declared.path,
            operations=dict.fromkeys(operations, self.issue),
            fields=self.fields,
            sudo=options.get("sudo", False),
            limited=options.get("limited", False),
            arbitrary_input=options.get("arbitrary_input", False),
            synopsis=synopsis,
            description=description,
            infos=dict.fromkeys(operations, info),
        )

    async def issue(self, backend: Any, call: Call) -> Response:
        """Make a credential and lease it. If it cannot be leased it is undone."""
        role_name, role = await self._load_named_role(backend, call)
        record = SecretRecord(secret_type=self.declared.secret_type, role=role_name)
        kept_model = self.revocation.kept_model
        issue = Issue(backend.wal, self.declared.wal_kind, call.request.path, record, kept_model)
        creds_call = CredsCall(
            request=call.request,
            data=call.data,
            warnings=call.warnings,
            role_name=role_name,
            system=backend.system,
            clock=backend.clock,
            issue=issue,
        )
        try:
            lease = await self._make(backend, creds_call, role)
            response = self._answer(lease, issue)
        except BaseException as error:
            await self._abandon(backend, issue, is_cancelled=isinstance(error, asyncio.CancelledError))
            raise
        finally:
            issue.release()

        def take_back() -> None:
            issue.unsettle()
            _start(backend, self._undo(backend, issue))

        return replace(response, on_sent=issue.settle, on_untaken=take_back if issue.is_begun else None)

    async def renew(self, backend: Any, request: Request) -> Response:
        """Renew a lease.

        Raises:
            UserError: it may not go on, or nothing renews it.
            InternalError: the handler returned something that is not a `Renewal`.
        """
        assert request.secret is not None
        if self.renewal is None:
            raise UserError("these credentials cannot be renewed")
        record = SecretRecord.read(request.secret.internal_data)
        kept = self._kept(self.renewal, record)
        role = await self.renewal.find_role(backend, record.role)
        if self.renewal.role and role is None and not self.renewal.is_role_optional:
            raise UserError(f"role {_quoted(record.role)} could not be found, not renewing")
        call = RenewCall(
            request=request,
            role_name=record.role,
            system=backend.system,
            clock=backend.clock,
            secret=request.secret,
        )
        renewal = await self.renewal.run(backend, call, role=role, kept=kept)
        if not isinstance(renewal, Renewal):
            raise InternalError(f"the handler of renew returned {type(renewal).__name__}, not a Renewal")
        self._verify_kept(renewal.keep)
        secret = renewed_secret(request.secret, renewal)
        return Response(secret=secret, warnings=(*renewal.warnings, *call.warnings))

    async def revoke(self, backend: Any, request: Request, *, is_rollback: bool = False) -> None:
        """Undo what was made.

        Raises:
            InternalError: it did not end in time.
        """
        assert request.secret is not None
        record = SecretRecord.read(request.secret.internal_data)
        call = RevokeCall(
            request=request,
            role_name=record.role,
            system=backend.system,
            clock=backend.clock,
            is_rollback=is_rollback,
        )
        kept = self._kept(self.revocation, record)

        async def run() -> None:
            role = await self.revocation.find_role(backend, record.role)
            await self.revocation.run(backend, call, role=role, kept=kept)

        # Not `asyncio.timeout`: what it cancels may go on waiting, as a driver on a dead connection does.
        task = _start(backend, run())
        try:
            done, _ = await asyncio.wait({task}, timeout=REVOKE_SECONDS)
        finally:
            task.cancel()
        if not done:
            raise InternalError(f"the revocation did not end within {REVOKE_SECONDS:.0f} s")
        await task

    async def roll_back(self, backend: Any, entry: Mapping[str, Any]) -> None:
        """Undo what an entry of the write-ahead log is about.

        Raises:
            InternalError: it is none of ours.
        """
        secret, path = entry.get(RECORD_KEY), entry.get(PATH_KEY)
        if not isinstance(secret, Mapping) or not isinstance(path, str):
            raise InternalError("an entry of the write-ahead log cannot be read")
        leased = LeasedSecret(internal_data=secret)
        request = Request(operation=Operation.REVOKE, path=path, secret=leased)
        await self.revoke(backend, request, is_rollback=True)

    # -------------------------------------------------------------------------------------------

    def _follow(
        self, handler: Callable[..., Any], backend: type[MountContext], call: type[Call]
    ) -> CredentialsPlan:
        plan = CredentialsPlan.read(handler, backend, call)
        where = f"{backend.__name__}: {handler.__qualname__}"
        if plan.arguments.fields:
            field = next(iter(plan.arguments.fields))
            raise TypeError(f"{where}: no client sends this, so there is no field '{field}'")
        if plan.role and plan.roles != self.plan.roles:
            raise TypeError(f"{where}: takes another role than {self.declared.handler.__name__}")
        return plan

    async def _load_named_role(self, backend: Any, call: Call) -> tuple[str, Model | None]:
        if not self.plan.role:
            return "", None
        name = call.data.get(self.plan.role, "")
        if not name:
            raise UserError("missing role name")
        role = await self.plan.find_role(backend, name)
        if role is None:
            raise UserError(f"unknown role: {name}")
        return getattr(backend, self.plan.roles).stored_name(name), role

    async def _make(self, backend: Any, call: CredsCall, role: Model | None) -> object:
        """Call the handler. It ends before a tick may take its entry in the log for one of a crash.

        Raises:
            InternalError: it did not end in time.
        """
        limit = self.declared.rollback_after.total_seconds() * MAKE_SHARE
        ending = asyncio.timeout(limit)
        try:
            async with ending:
                return await self.plan.run(backend, call, role=role)
        except TimeoutError as error:
            if not ending.expired():
                raise
            raise InternalError(f"the credential was not made within {limit:.0f} s") from error

    def _answer(self, lease: object, issue: Issue) -> Response:
        if not isinstance(lease, Lease):
            name = self.declared.handler.__qualname__
            raise InternalError(f"{name} returned {type(lease).__name__}, not a Lease")
        if self.revocation.kept and not issue.is_begun:
            name = self.declared.handler.__qualname__
            raise InternalError(f"{name} made a credential without `await call.keep(...)` before it")
        self._verify_documented(lease)
        return lease_response(lease, issue.record, is_renewable=self.renewal is not None)

    def _documented_responses(self) -> dict[int, ResponseInfo | str]:
        answer, responses = self.declared.answer, dict(self.declared.options.get("responses", {}))
        if answer is not None:
            responses.setdefault(200, ResponseInfo(fields=answer.schema, shows_secrets=True))
        return responses

    def _verify_documented(self, lease: Lease) -> None:
        answer = self.declared.answer
        unknown = [] if answer is None else sorted(lease.data.keys() - answer.schema.keys())
        if answer is not None and unknown:
            name = self.declared.handler.__qualname__
            raise InternalError(f"{name} answers with '{unknown[0]}', which {answer.__name__} does not have")

    async def _abandon(self, backend: Any, issue: Issue, *, is_cancelled: bool) -> None:
        """Undo at once. The entry in the log stays: what is still being made somewhere is undone by that."""
        if not issue.is_begun:
            return
        task = _start(backend, self._undo(backend, issue))
        if not is_cancelled:
            await asyncio.wait({task}, timeout=UNDO_SECONDS)

    async def _undo(self, backend: Any, issue: Issue) -> None:
        try:
            await self.roll_back(backend, issue.entry_data())
        except Exception as error:
            backend.log.warning("undoing a credential failed, the next ticks try again", exc_info=error)

    def _kept(self, plan: CredentialsPlan, record: SecretRecord) -> Model | None:
        return None if plan.kept_model is None else record.load(plan.kept_model)

    def _verify_kept(self, kept: Model | None) -> None:
        model = self.revocation.kept_model
        if kept is not None and (model is None or not isinstance(kept, model)):
            raise InternalError("the handler of renew keeps another model than revoke takes")


def _start(backend: Any, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """Begin to undo something. It goes on when nobody waits for it any more."""
    task = asyncio.get_running_loop().create_task(work)
    backend.undoing.add(task)
    task.add_done_callback(partial(_forget, backend.undoing))
    return task


def _forget(tasks: set[asyncio.Task[None]], task: asyncio.Task[None]) -> None:
    """Be done with a task that nobody waits for any more; what it raised has been answered."""
    tasks.discard(task)
    if not task.cancelled():
        task.exception()


def _quoted(name: str) -> str:
    return json.dumps(name, ensure_ascii=False)
