"""`sys/policies/acl`, `sys/policy` and `sys/capabilities...`: policies kept and asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from authkit.errors import BadRequestError, InternalError, UserError
from authkit.framework import Call, CommaList, Listing, PathTemplate, Str, delete, list_, read, route, write
from authkit.host.authorization import acl_of
from authkit.host.backends.base import HostBackend, OwnCall
from authkit.host.store.policies import (
    ACL,
    DEFAULT,
    ROOT,
    WRAPPING,
    FilledPolicyError,
    PolicyError,
    decode_text,
    parse_policy,
)
from authkit.host.store.tokens import Token
from authkit.logical import Operation
from authkit.names import fold_name, fold_policy

__all__ = ["Policies"]


class Policies(HostBackend):
    """The policies of a host; below `policy/` under their old names."""

    @list_("policies/acl")
    async def list_policies(self) -> Listing:
        """Return the names of all policies."""
        return Listing(self.state.policies.names())

    @route(PathTemplate.from_regex("policy/?"), Operation.READ, Operation.LIST)
    async def list_old_policies(self) -> dict[str, Any]:
        """Return the names of all policies."""
        names = self.state.policies.names()
        return {"keys": names, "policies": names}

    @read("policies/acl/{name:path}")
    async def read_policy(self, name: Str) -> dict[str, Any] | None:
        """Return a policy."""
        policy = self.state.policies.find(fold_policy(name))
        return None if policy is None else {"name": policy.name, "policy": policy.text}

    @read("policy/{name:path}")
    async def read_old_policy(self, name: Str) -> dict[str, Any] | None:
        """Return a policy."""
        policy = self.state.policies.find(fold_policy(name))
        return None if policy is None else {"name": policy.name, "rules": policy.text}

    @write("policies/acl/{name:path}")
    async def write_policy(self, call: Call, name: Str, policy: Str = "") -> None:
        """Store a policy, in HCL or JSON, also in base64."""
        await self._write(call, name, policy)

    @write("policy/{name:path}")
    async def write_old_policy(self, call: Call, name: Str, policy: Str = "", rules: Str = "") -> None:
        """Store a policy."""
        await self._write(call, name, policy, rules)

    async def _write(self, call: Call, asked: str, text: str, rules: str = "") -> None:
        name = fold_policy(asked)
        # The blanks around it are removed without a word.
        if (lower := fold_name(asked)) != asked:
            call.warn(f"policy name was converted to {lower}")
        if rules and not text:
            call.warn("'rules' is deprecated, please use 'policy' instead")
            text = rules
        if not text:
            raise UserError("'policy' parameter not supplied or empty")
        if name in (ROOT, WRAPPING):
            raise UserError(f'cannot update "{name}" policy')
        try:
            await self.state.policies.put(parse_policy(name, decode_text(text)))
        except PolicyError as error:
            raise UserError(str(error)) from error

    @delete("policies/acl/{name:path}", "policy/{name:path}")
    async def delete_policy(self, name: Str) -> None:
        """Remove a policy."""
        name = fold_policy(name)
        if name == DEFAULT:
            raise UserError("cannot delete default policy")
        if name in (ROOT, WRAPPING):
            raise UserError(f'cannot delete "{name}" policy')
        await self.state.policies.delete(name)

    # --- capabilities --------------------------------------------------------------------------

    @write("capabilities-self")
    async def read_own_capabilities(
        self, call: OwnCall, paths: CommaList = (), path: CommaList = (), token: Str = ""
    ) -> dict[str, Any]:
        """Return what the caller may do with paths."""
        return _capabilities(call.caller.acl, paths or path)

    @write("capabilities")
    async def read_capabilities(
        self, token: Str = "", paths: CommaList = (), path: CommaList = ()
    ) -> dict[str, Any]:
        """Return what a token may do with paths."""
        return self._of_token(self.state.tokens.find(token), "invalid token", paths or path)

    @write("capabilities-accessor")
    async def read_accessors_capabilities(
        self, accessor: Str = "", paths: CommaList = (), path: CommaList = ()
    ) -> dict[str, Any]:
        """Return what the token of an accessor may do with paths."""
        return self._of_token(self.state.tokens.find_accessor(accessor), "invalid accessor", paths or path)

    def _of_token(self, token: Token | None, unknown: str, paths: Sequence[str]) -> dict[str, Any]:
        if token is None:
            raise BadRequestError(unknown)
        entity = self.state.identity.entities.get(token.entity_id)
        if token.entity_id and (entity is None or entity.disabled):
            raise BadRequestError("invalid token")  # it may do nothing, whatever its policies say
        try:
            acl = acl_of(token, self.state.identity, self.state.policies)
        except FilledPolicyError as error:
            raise InternalError(str(error)) from error
        return _capabilities(acl, paths)


def _capabilities(acl: ACL, paths: Sequence[str]) -> dict[str, Any]:
    if not paths:
        raise UserError("paths must be supplied")
    shown: dict[str, Any] = {path: sorted(acl.capabilities(path)) for path in paths}
    return shown | {"capabilities": shown[paths[0]]} if len(paths) == 1 else shown
