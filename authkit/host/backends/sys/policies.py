"""`sys/policies/acl`, `sys/policy` and `sys/capabilities...`: policies kept and asked."""

from __future__ import annotations

from typing import Any

from authkit.host.authorization import Caller, acl_of
from authkit.host.backends.router import Call, Routes, list_of, text_of
from authkit.host.messages import Answer, Failure, listed
from authkit.host.state import HostState
from authkit.host.store.policies import ACL, DEFAULT, ROOT, WRAPPING, PolicyError, decode_text, parse_policy
from authkit.names import fold_name, fold_policy

__all__ = ["add_policy_routes"]


def add_policy_routes(routes: Routes, state: HostState) -> None:
    """Serve the policies of a host."""
    policies = _Policies(state)
    routes.add("policies/acl/?", list=policies.list_names)
    routes.add("policy/?", lifted=True, read=policies.list_old, list=policies.list_old)
    routes.add(
        "policies/acl/(?P<name>.+)",
        "policy",
        read=policies.read,
        update=policies.write,
        delete=policies.delete,
    )
    routes.add(
        "policy/(?P<name>.+)",
        "policy rules",
        lifted=True,
        read=policies.read_old,
        update=policies.write,
        delete=policies.delete,
    )
    routes.add("capabilities-self", "path paths token", lifted=True, update=policies.capabilities_self)
    routes.add("capabilities", "path paths token", lifted=True, update=policies.capabilities)
    routes.add(
        "capabilities-accessor", "path paths accessor", lifted=True, update=policies.capabilities_accessor
    )


class _Policies:
    def __init__(self, state: HostState) -> None:
        self._state = state
        self._store = state.policies

    async def list_names(self, call: Call) -> Answer:
        return Answer(data={"keys": self._store.names()})

    async def list_old(self, call: Call) -> Answer:
        return Answer(data={"keys": self._store.names(), "policies": self._store.names()})

    async def read(self, call: Call) -> Answer | None:
        return self._read(call, "policy")

    async def read_old(self, call: Call) -> Answer | None:
        return self._read(call, "rules")

    def _read(self, call: Call, member: str) -> Answer | None:
        policy = self._store.find(fold_policy(call.data["name"]))
        return None if policy is None else Answer(data={"name": policy.name, member: policy.text})

    async def write(self, call: Call) -> Answer | None:
        asked = call.data["name"]
        name, warnings = fold_policy(asked), []
        # The blanks around it are removed without a word.
        if (lower := fold_name(asked)) != asked:
            warnings.append(f"policy name was converted to {lower}")
        text = text_of(call.data, "policy")
        if not text and text_of(call.data, "rules"):
            text = text_of(call.data, "rules")
            warnings.append("'rules' is deprecated, please use 'policy' instead")
        if not text:
            raise Failure(400, "'policy' parameter not supplied or empty")
        if name in (ROOT, WRAPPING):
            raise Failure(400, f'cannot update "{name}" policy')
        try:
            await self._store.put(parse_policy(name, decode_text(text)))
        except PolicyError as error:
            raise Failure(400, str(error)) from error
        return Answer(warnings=tuple(warnings)) if warnings else None

    async def delete(self, call: Call) -> None:
        name = fold_policy(call.data["name"])
        if name == DEFAULT:
            raise Failure(400, "cannot delete default policy")
        if name in (ROOT, WRAPPING):
            raise Failure(400, f'cannot delete "{name}" policy')
        await self._store.delete(name)

    # --- capabilities --------------------------------------------------------------------------

    async def capabilities_self(self, call: Call) -> Answer:
        caller: Caller = call.known_caller
        return self._capabilities(call, caller.acl)

    async def capabilities(self, call: Call) -> Answer:
        token = self._state.tokens.find(text_of(call.data, "token"))
        if token is None:
            raise Failure(400, listed("invalid token"))
        return self._capabilities(call, acl_of(token, self._state.identity, self._store))

    async def capabilities_accessor(self, call: Call) -> Answer:
        token = self._state.tokens.find_accessor(text_of(call.data, "accessor"))
        if token is None:
            raise Failure(400, listed("invalid accessor"))
        return self._capabilities(call, acl_of(token, self._state.identity, self._store))

    def _capabilities(self, call: Call, acl: ACL) -> Answer:
        paths = list_of(call.data, "paths") or list_of(call.data, "path")
        if not paths:
            raise Failure(400, "paths must be supplied")
        data: dict[str, Any] = {path: sorted(acl.capabilities(path)) for path in paths}
        if len(paths) == 1:
            data["capabilities"] = data[paths[0]]
        return Answer(data=data)
