"""Whose tokens a mount accepts: its issuers, and what is asked about their users."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from authkit import Value
from authkit.oidc import Issuers
from jwt_auth.settings.config import JWTConfig
from jwt_auth.settings.issuer import JWTIssuer

if TYPE_CHECKING:
    from authkit.oidc import UserDirectory

__all__ = ["Trust"]


class Trust(Value, frozen=True):
    """Whose tokens are accepted. Stands as long as the objects that it was made from do."""

    config: JWTConfig
    """The configuration that it was made from,"""
    others: Mapping[str, JWTIssuer]
    """and the further issuers."""
    issuers: Issuers
    """Who may sign."""
    provider: UserDirectory | None
    """What is asked about the users of the default issuer."""
