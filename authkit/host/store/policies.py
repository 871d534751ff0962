"""Policies: which paths a token may use, and how. Parsed, combined and asked as a Vault server does.

Which policies a token has: `authkit.host.authorization`.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from authkit.host.store.hcl import HCLError, parse_hcl
from authkit.host.store.path_patterns import path_regex
from authkit.host.store.storage import PhysicalStorage
from authkit.logical import Operation
from authkit.values import Value

__all__ = ["ACL", "FilledPolicyError", "Policy", "PolicyError", "PolicyStore", "Variables", "parse_policy"]

DEFAULT: Final = "default"
ROOT: Final = "root"
WRAPPING: Final = "response-wrapping"

CAPABILITIES: Final = frozenset(
    {"create", "read", "update", "delete", "list", "patch", "sudo", "deny", "subscribe", "recover"}
)

_DEFAULT_TEXT: Final = """
# What every token may do: with itself, with its entity, and with what it wrapped.
path "auth/token/lookup-self" { capabilities = ["read"] }
path "auth/token/renew-self" { capabilities = ["update"] }
path "auth/token/revoke-self" { capabilities = ["update"] }
path "sys/capabilities-self" { capabilities = ["update"] }
path "identity/entity/id/{{identity.entity.id}}" { capabilities = ["read"] }
path "identity/entity/name/{{identity.entity.name}}" { capabilities = ["read"] }
path "sys/internal/ui/resultant-acl" { capabilities = ["read"] }
path "sys/renew" { capabilities = ["update"] }
path "sys/leases/renew" { capabilities = ["update"] }
path "sys/leases/lookup" { capabilities = ["update"] }
path "cubbyhole/*" { capabilities = ["create", "read", "update", "delete", "list"] }
path "sys/wrapping/wrap" { capabilities = ["update"] }
path "sys/wrapping/lookup" { capabilities = ["update"] }
path "sys/wrapping/unwrap" { capabilities = ["update"] }
path "sys/tools/hash" { capabilities = ["update"] }
path "sys/tools/hash/*" { capabilities = ["update"] }
path "sys/control-group/request" { capabilities = ["update"] }
path "identity/oidc/provider/+/authorize" { capabilities = ["read", "update"] }
"""
"""It opens the same paths as the policy of that name in Vault 1.21.1."""

_WRAPPING_TEXT: Final = """
path "cubbyhole/response" { capabilities = ["create", "read"] }
path "sys/wrapping/unwrap" { capabilities = ["update"] }
"""

_OLD_WORDS: Final = {
    "deny": ("deny",),
    "read": ("read", "list"),
    "write": ("create", "read", "update", "delete", "list"),
    "sudo": ("create", "read", "update", "delete", "list", "sudo"),
}
"""`policy = "write"` of early policies (Vault 1.21, vault/policy.go)."""


class PolicyError(ValueError):
    """The text is not a policy that this host understands."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"failed to parse policy: {reason}")


class FilledPolicyError(ValueError):
    """The value of a variable has made a pattern that is none. The text is Vault's."""

    def __init__(self, name: str, error: PolicyError) -> None:
        super().__init__(f'error parsing templated policy "{name}": {error}')


class Policy(Value, frozen=True):
    """One policy. Set by the operator."""

    name: str
    text: str
    rules: Mapping[str, frozenset[str]]
    """Capabilities by path pattern."""


def parse_policy(name: str, text: str) -> Policy:
    """Return the policy that `text` describes, in HCL or JSON.

    Raises:
        PolicyError: it describes none, or one with limits on parameters or on wrapping, which this host
            does not check: it would allow more than it says.
    """
    try:
        blocks = parse_hcl(text)
    except HCLError as error:
        raise PolicyError(str(error)) from error
    rules: dict[str, frozenset[str]] = {}
    for block in blocks:
        if block.kind != "path":
            raise PolicyError(f'invalid key "{block.kind}"')
        pattern = block.label.removeprefix("/")
        _verify_wildcards(pattern)
        _verify_template(pattern)
        rules[pattern] = rules.get(pattern, frozenset()) | _capabilities(pattern, block.attributes)
    return Policy(name, text, rules)


def _verify_wildcards(pattern: str) -> None:
    if "+*" in pattern:
        raise PolicyError(f"path \"{pattern}\": invalid use of wildcards ('+*' is forbidden)")


def _verify_template(pattern: str) -> None:
    first, *others = pattern.split("{{")
    if "}}" in first or any(each.count("}}") != 1 for each in others):
        raise PolicyError("failed to validate policy templating: unbalanced templating characters")


def _capabilities(pattern: str, attributes: Mapping[str, object]) -> frozenset[str]:
    for name in attributes:
        if name not in ("capabilities", "policy", "comment"):
            raise PolicyError(f'path "{pattern}": "{name}" is not supported by this host')
    wanted = attributes.get("capabilities", [])
    if not isinstance(wanted, list):
        raise PolicyError(f'path "{pattern}": capabilities are a list')
    for capability in wanted:
        if not isinstance(capability, str) or capability not in CAPABILITIES:
            raise PolicyError(f'path "{pattern}": invalid capability "{capability}"')
    old = attributes.get("policy")
    if old is not None and not (isinstance(old, str) and old in _OLD_WORDS):
        raise PolicyError(f'path "{pattern}": invalid policy "{old}"')
    return frozenset(wanted) | frozenset(_OLD_WORDS.get(str(old), ()))


def decode_text(text: str) -> str:
    """Return the text of a policy, which may arrive in base64."""
    try:
        return base64.b64decode(text, validate=True).decode()
    except ValueError:  # also of a text that is not ASCII
        return text


Variables = Callable[[str], str | None]
"""Returns the value of a variable such as `identity.entity.name`, `None` when it has none."""


class ACL:
    """What a set of policies allows together.

    The most specific pattern decides alone; among policies with the same pattern, capabilities add up
    and `deny` beats them all (Vault 1.21, vault/acl.go).

    Raises:
        FilledPolicyError: the value of a variable makes a pattern that is none.
    """

    def __init__(self, policies: Iterable[Policy], find_value: Variables = lambda name: None) -> None:
        self.is_root = False
        self._exact: dict[str, frozenset[str]] = {}
        self._patterns: dict[str, frozenset[str]] = {}
        for policy in policies:
            if policy.name == ROOT:
                self.is_root = True
            try:
                for pattern, capabilities in policy.rules.items():
                    self._add(_fill(pattern, find_value), capabilities)
            except PolicyError as error:
                raise FilledPolicyError(policy.name, error) from error

    def _add(self, pattern: str | None, capabilities: frozenset[str]) -> None:
        if pattern is None:
            return
        table = self._patterns if pattern.endswith("*") or _has_segments(pattern) else self._exact
        table[pattern] = table.get(pattern, frozenset()) | capabilities

    def capabilities(self, path: str) -> frozenset[str]:
        """Return what may be done with `path`; `{"root"}` for root, `{"deny"}` for nothing."""
        if self.is_root:
            return frozenset({"root"})
        found = self._find(path, is_list=path.endswith("/"))
        return found if found and "deny" not in found else frozenset({"deny"})

    def describe(self) -> dict[str, Any]:
        """Return everything that is allowed, as the web interface reads it."""

        def shown(table: Mapping[str, frozenset[str]]) -> dict[str, Any]:
            return {
                pattern.removesuffix("*"): {"capabilities": sorted(granted)}
                for pattern, granted in table.items()
            }

        if self.is_root:
            return {"root": True}
        return {"exact_paths": shown(self._exact), "glob_paths": shown(self._patterns), "root": False}

    def reaches(self, prefix: str) -> bool:
        """Whether the patterns allow anything at or below `prefix`."""
        if self.is_root:
            return True
        return any(
            pattern.startswith(prefix) or _matches(pattern, prefix) or _matches(pattern, prefix.rstrip("/"))
            for pattern, granted in (self._exact | self._patterns).items()
            if granted and "deny" not in granted
        )

    def allows(self, operation: Operation, path: str, *, sudo: bool = False) -> bool:
        """Whether the operation is allowed; with `sudo`, for a path that needs that capability."""
        if self.is_root or operation is Operation.HELP:
            return True
        granted = self._find(path, is_list=operation is Operation.LIST)
        if "deny" in granted or (sudo and "sudo" not in granted):
            return False
        return operation.value in granted and operation.value in CAPABILITIES

    def _find(self, path: str, *, is_list: bool) -> frozenset[str]:
        path = path.lstrip("/")
        trimmed = path.removesuffix("/") if is_list else path
        for candidate in dict.fromkeys((path, trimmed)):
            if candidate in self._exact:
                return self._exact[candidate]
        for candidate in dict.fromkeys((trimmed, path)):
            matching = [each for each in self._patterns if _matches(each, candidate)]
            if matching:
                return self._patterns[max(matching, key=_precedence)]
        return frozenset()


def _matches(pattern: str, path: str) -> bool:
    return path_regex(pattern).fullmatch(path) is not None


def _has_segments(pattern: str) -> bool:
    """Whether a server looks at it segment by segment: also if a segment only begins with `+`."""
    return pattern == "+" or pattern.startswith("+/") or "/+" in pattern


def _precedence(pattern: str) -> tuple[int, bool, int, int, str]:
    """Return how specific a pattern is: a later wildcard, no `*`, fewer `+`, more text.

    The first `+` counts, also one that stands for itself (Vault 1.21, vault/acl.go,
    CheckAllowedFromNonExactPaths).
    """
    first = pattern.index("+") if _has_segments(pattern) else len(pattern) - 1
    return first, not pattern.endswith("*"), -pattern.split("/").count("+"), len(pattern), pattern


def _fill(pattern: str, find_value: Variables) -> str | None:
    """Return the pattern with its `{{identity...}}` filled in, `None` when one has no value.

    Values are not filled in themselves; a wildcard in one counts as such (Vault 1.21, vault/policy.go).
    """
    filled, *others = pattern.split("{{")
    for each in others:
        name, _, text = each.partition("}}")
        value = find_value(name.strip())
        if value is None:
            return None
        filled += value + text
    if not others:
        return pattern
    _verify_wildcards(filled)
    return filled.removeprefix("/")


class PolicyStore:
    """The policies of a host, in its storage."""

    PREFIX = "core/policy/"

    def __init__(self, physical: PhysicalStorage) -> None:
        self._physical = physical
        self._policies = {
            ROOT: Policy(ROOT, "", {}),
            DEFAULT: parse_policy(DEFAULT, _DEFAULT_TEXT),
            WRAPPING: parse_policy(WRAPPING, _WRAPPING_TEXT),
        }

    async def load(self) -> None:
        """Read what is stored."""
        for key in await self._physical.keys(self.PREFIX):
            text = await self._physical.get(key)
            name = key.removeprefix(self.PREFIX)
            self._policies[name] = parse_policy(name, (text or b"").decode())

    def find(self, name: str) -> Policy | None:
        """Return the policy of that name."""
        return self._policies.get(name)

    def names(self) -> list[str]:
        """Return the names that an operator sees, sorted, `root` last."""
        return [*sorted(self._policies.keys() - {ROOT, WRAPPING}), ROOT]

    async def put(self, policy: Policy) -> None:
        """Store a policy."""
        await self._change(policy.name, policy)

    async def delete(self, name: str) -> None:
        """Remove a policy, if there."""
        await self._change(name, None)

    async def _change(self, name: str, policy: Policy | None) -> None:
        # Before anything waits: a change whose client has gone counts as well.
        known = self._policies.get(name)
        self._keep(name, policy)
        try:
            await self._physical.apply({self.PREFIX + name: policy.text.encode() if policy else None})
        except Exception:
            if self._policies.get(name) is policy:
                self._keep(name, known)
            raise

    def _keep(self, name: str, policy: Policy | None) -> None:
        self._policies.pop(name, None)
        if policy is not None:
            self._policies[name] = policy

    def acl(self, names: Sequence[str], find_value: Variables = lambda name: None) -> ACL:
        """Return what these policies allow; names without a policy allow nothing.

        Raises:
            FilledPolicyError: the value of a variable makes a pattern that is none.
        """
        return ACL([self._policies[name] for name in names if name in self._policies], find_value)
