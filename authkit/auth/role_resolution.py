"""Which role a login would have, for a host that asks: its quotas and leases count by role.

A host asks on the path `login`, whatever the login's own path is, and shows the body alone (Vault 1.21,
vault/core.go, doResolveRoleLocked). The answer has to be the role that the login will have. So logins refuse
bodies that name a role which is not theirs (`authkit.auth.login`), and a class whose bodies do not tell the
role answers for none: an operator then cannot make a quota that would not hold.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from authkit.auth.login import Login, LoginHandlers
from authkit.errors import UserError
from authkit.framework import MountContext
from authkit.logical import Operation, Request, Response
from authkit.values import Value

__all__ = ["RESOLVE_ROLE_PATH", "RoleResolver"]

RESOLVE_ROLE_PATH: Final = "login"


class RoleResolver(Value, frozen=True):
    """The logins of one class that have roles."""

    logins: Sequence[LoginHandlers]

    @classmethod
    def of(cls, backend: type[MountContext]) -> RoleResolver | None:
        """Return the resolver of a class, `None` when it has no roles or its bodies do not tell them."""
        declared = [each for each in backend.declarations.values() if isinstance(each, Login)]
        logins = [LoginHandlers(each, backend) for each in declared]
        named = [each for each in logins if each.plan.roles]
        return cls(named) if named and _bodies_tell_roles(logins, named) else None

    def answers(self, request: Request) -> bool:
        """Whether a host asks for a role."""
        return request.operation is Operation.RESOLVE_ROLE and request.path == RESOLVE_ROLE_PATH

    def known_role(self, backend: MountContext, body: Mapping[str, Any]) -> str | None:
        """Return the role of a login with this body if it is in memory, `None` where `resolve` has to look.

        Raises:
            FieldError: the name is none.
        """
        if len(self.logins) != 1:
            return None
        name = self.logins[0].named_role(body)
        return self.logins[0].known_role(backend, name) if name else None

    async def resolve(self, backend: MountContext, body: Mapping[str, Any]) -> Response:
        """Return the role of a login with this body. Only the fields of roles are looked at.

        Raises:
            UserError, FieldError: no login with this body has a role.
        """
        asked = [(each, each.named_role(body)) for each in self.logins]
        failures = []
        for login, name in [each for each in asked if each[1]] or asked:
            try:
                _, stored = await login.find_role(backend, name)
            except UserError as error:
                failures.append(error)
            else:
                return Response(data={"role": stored})
        raise failures[0]


def _bodies_tell_roles(logins: Iterable[LoginHandlers], named: Sequence[LoginHandlers]) -> bool:
    """Whether two logins that accept the same body always have the same role."""
    role_fields = {each.declared.role_field for each in named}
    defaults = {each.declared.default_role for each in named} - {None}
    for each in logins:
        own = each.declared.role_field if each.plan.roles else ""
        if own and any(own in template.names for template in each.declared.templates):
            return False
        # One that takes the field of another login's role for something else cannot refuse it.
        if (role_fields - {own}) & each.fields.keys():
            return False
        if not own and defaults:
            return False
    return len(defaults) <= 1 and len({each.folds_names for each in named}) == 1
