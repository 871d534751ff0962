"""Granted tokens: the lifetimes that a grant asks for, and a grant as the client sees it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from authkit.auth.policies import sanitize_policies
from authkit.host.store.times import whole_seconds
from authkit.host.store.ttl import Lifetimes
from authkit.logical import Auth, TokenType

__all__ = ["lifetimes_of", "show_auth"]


def lifetimes_of(auth: Auth, increment: timedelta = timedelta(0)) -> Lifetimes:
    """Return the lifetimes that a grant asks for; `increment` is the client's, at a renewal."""
    return Lifetimes(
        increment=increment,
        ttl=auth.lease.ttl,
        period=auth.period,
        max_ttl=auth.lease.max_ttl,
        explicit_max_ttl=auth.explicit_max_ttl,
    )


def show_auth(
    auth: Auth, *, policies: Sequence[str], derived: Sequence[str], text: str, orphan: bool
) -> dict[str, Any]:
    """Return a grant as the client sees it: `policies` are the token's, `derived` those of its entity."""
    shown: dict[str, Any] = {
        "client_token": text,
        "accessor": auth.accessor,
        "policies": list(sanitize_policies([*policies, *derived])),
        "token_policies": list(policies),
        "identity_policies": list(sanitize_policies(derived)),
        "metadata": dict(auth.metadata) or None,
        "lease_duration": whole_seconds(auth.lease.ttl),
        "renewable": auth.lease.renewable,
        "entity_id": auth.entity_id,
        "token_type": "batch" if auth.token_type is TokenType.BATCH else "service",
        "orphan": orphan,
        "mfa_requirement": None,
        "num_uses": auth.num_uses,
    }
    for name in ("token_policies", "identity_policies"):
        if not shown[name]:
            del shown[name]
    return shown
