"""The bounds of roles and issuers, and their checks: a bound must not be met by every token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple, TypedDict

from authkit import UserError
from authkit.oidc import Leeways

__all__ = ["ROLE_BOUNDS", "RoleBound", "TokenBounds", "verify_bounds", "verify_claims", "verify_leeways"]


class RoleBound(NamedTuple):
    """A field of a role that decides who may log in."""

    field: str
    is_constraint: bool = False
    """Whether it tells some users of an issuer from others. A role for JWTs needs one such bound."""
    needs_token: bool = False
    """Whether only a token shows it. Issuer, subject and claims of a user are known without one."""


ROLE_BOUNDS: Final = (
    RoleBound("bound_issuers"),
    RoleBound("bound_audiences", is_constraint=True, needs_token=True),
    RoleBound("bound_subject", is_constraint=True),
    RoleBound("bound_claims", is_constraint=True),
    RoleBound("token_bound_cidrs", is_constraint=True),
    RoleBound("bound_token_type", needs_token=True),
    RoleBound("expiration_leeway", needs_token=True),
    RoleBound("not_before_leeway", needs_token=True),
    RoleBound("clock_skew_leeway", needs_token=True),
    RoleBound("max_age"),
)
"""All of them. `jwt_auth.admission.admit` checks each, on every way in."""


class TokenBounds(TypedDict):
    """The bounds that only a token shows, as the verification in `authkit.oidc` takes them."""

    audiences: Sequence[str]
    profile: str
    leeways: Leeways


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
