"""The issuers whose tokens a mount accepts, and the directory of the default issuer's users."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from authkit import Value
from authkit.oidc import Issuers
from jwt_auth.settings.config import JWTConfig
from jwt_auth.settings.issuer import JWTIssuer

if TYPE_CHECKING:
    from authkit.oidc import UserDirectory

__all__ = ["Trust"]


class Trust(Value, frozen=True):
    """The issuers of a mount. Valid as long as the objects it was made from are current."""

    config: JWTConfig
    """The configuration that it was made from,"""
    others: Mapping[str, JWTIssuer]
    """and the further issuers."""
    issuers: Issuers
    """The accepted issuers."""
    provider: UserDirectory | None
    """Looks up users of the default issuer."""
    now: Callable[[], float]
    """Tells seconds since 1970."""
