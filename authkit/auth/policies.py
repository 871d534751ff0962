"""Names of policies: cleaned and compared, and the ones that no login may have.

Which policies a login asks for: `authkit.auth.grants`.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from authkit.errors import LoginError
from authkit.names import fold_name, fold_policy
from authkit.values import verify_collections

__all__ = ["equivalent_policies", "find_refused_policy", "sanitize_policies", "verify_policies"]

DEFAULT_POLICY: Final = "default"
_ROOT: Final = "root"
MAX_KEPT_POLICIES: Final = 256
"""Sets of policies that are compared once: those of roles come with each login."""

_HOST_POLICIES: Final = frozenset({"response-wrapping", "control-group"})


def sanitize_policies(policies: Iterable[str], *, add_default: bool = False) -> tuple[str, ...]:
    """Return the names as a host keeps them: trimmed, in lower case, sorted, each once, none empty.

    `root` swallows all others; `add_default` puts `default` beside them (Vault SDK 0.21,
    helper/policyutil/policyutil.go, SanitizePolicies).
    """
    verify_collections(policies=policies)
    names = {name for name in map(fold_policy, policies) if name}
    if _ROOT in names:
        return (_ROOT,)
    if add_default:
        names.add(DEFAULT_POLICY)
    return tuple(sorted(names))


def equivalent_policies(first: Iterable[str], second: Iterable[str]) -> bool:
    """Whether both are the same policies: in any order, any case, with or without `default`.

    Names are not trimmed (Vault SDK 0.21, helper/policyutil/policyutil.go, EquivalentPolicies;
    OpenBao's compares case).
    """
    verify_collections(first=first, second=second)
    return _comparable(first) == _comparable(second)


def find_refused_policy(policies: Iterable[str]) -> str | None:
    """Return in the host's words why a login may not have these policies, `None` when it may.

    A host would make the login fail only after the plugin has granted it (Vault 1.21,
    vault/request_handling.go, LoginCreateToken). It compares cleaned names.
    """
    verify_collections(policies=policies)
    return _find_refused(tuple(policies)) if policies else None


@lru_cache(MAX_KEPT_POLICIES)
def _find_refused(policies: tuple[str, ...]) -> str | None:
    names = set(map(fold_policy, policies))
    if _ROOT in names:
        return "auth methods cannot create root tokens"
    refused = min(names & _HOST_POLICIES, default=None)
    return None if refused is None else f'cannot assign policy "{refused}"'


def _comparable(policies: Iterable[str]) -> frozenset[str]:
    return frozenset(map(fold_name, policies)) - {DEFAULT_POLICY}


def verify_policies(policies: Iterable[str]) -> None:
    """Raise LoginError if a login may not have one of these policies.

    It compares without case and outer blanks, as a host does.
    """
    refusal = find_refused_policy(policies)
    if refusal is not None:
        raise LoginError(refusal)
