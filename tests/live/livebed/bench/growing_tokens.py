"""Tokens that last for a whole run, of a given size, with many groups, of many signers."""

from __future__ import annotations

import time
from functools import cache
from typing import Any

from livebed.tokens import Issuer, usual_issuer

__all__ = ["grouped_token", "lasting_token", "padded_token", "signers"]

LIFETIME_SECONDS = 4 * 3600


def lasting_token(issuer: Issuer, **claims: Any) -> str:
    """Return a token that no run outlasts."""
    return issuer.token(**{"exp": int(time.time()) + LIFETIME_SECONDS, **claims})


def grouped_token(count: int) -> str:
    """Return a token that names so many groups."""
    return lasting_token(usual_issuer(), groups=[f"group-{number}" for number in range(count)])


def padded_token(size: int) -> str:
    """Return a token of so many bytes, within three; the smallest has some 500."""
    plain = len(lasting_token(usual_issuer(), padding=""))
    return lasting_token(usual_issuer(), padding="x" * max((size - plain) * 3 // 4, 0))


@cache
def signers(count: int) -> list[Issuer]:
    """Return issuers with an elliptic key each: these are made in no time."""
    return [Issuer.ec(f"key-{number}") for number in range(count)]
