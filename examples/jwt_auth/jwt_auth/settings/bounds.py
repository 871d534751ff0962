"""Checks of bounds: a role or an issuer must not ask for something that every token has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from authkit import UserError
from authkit.oidc import Leeways

__all__ = ["verify_bounds", "verify_claims", "verify_leeways"]


def verify_bounds(bound_audiences: Sequence[str], **texts: str) -> None:
    """Refuse blank bounds: issuers may let anybody choose an audience, the empty one too.

    Raises:
        UserError: a bound is blank; the text names it.
    """
    if not all(audience.strip() for audience in bound_audiences):
        raise UserError("'bound_audiences' holds an empty text, which would bind nothing")
    for name, text in texts.items():
        if text and not text.strip():
            raise UserError(f"'{name}' is blank")


def verify_claims(bound: Mapping[str, Any]) -> None:
    """Refuse bound claims without a name, or with a blank value.

    Raises:
        UserError: a name or a value is blank.
    """
    for name, value in bound.items():
        values = list(value) if isinstance(value, list | tuple) else [value]
        blank = not values or any(isinstance(each, str) and not each.strip() for each in values)
        if blank or not name.strip():
            raise UserError(f"'bound_claims' has an empty name or value: '{name}'")


def verify_leeways(leeways: Leeways) -> None:
    """Refuse leeways beyond their limits.

    Raises:
        UserError: a leeway is too long.
    """
    try:
        leeways.verify()
    except ValueError as error:
        raise UserError(str(error)) from error
