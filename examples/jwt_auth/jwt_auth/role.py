"""Roles: who may log in, and as what."""

from __future__ import annotations

from collections.abc import Sequence

from authkit.auth import LegacyTokenNames
from authkit.errors import UserError
from authkit.framework import KV, Bool, CommaList, Map, SignedSeconds, Str, field
from authkit.oidc import Leeways

__all__ = ["JWTRole"]


class JWTRole(LegacyTokenNames):
    """Register a role: bounds on the tokens that may log in, and the claims that say who it is.

    A role needs at least one bound: audiences, addresses, a subject or claims.
    """

    role_type: Str = field(default="oidc", reset=True, help="Type of the role. Only 'jwt' is supported.")
    user_claim: Str = field(default="", help="The claim that names the user; it must never change.")
    user_claim_json_pointer: Bool = field(
        default=False, help="If true, 'user_claim' may be a JSON pointer into the claims."
    )
    bound_audiences: CommaList = field(
        default=(), help="Values of the 'aud' claim of which a token must have one."
    )
    bound_subject: Str = field(default="", help="The 'sub' claim that is required for login.")
    bound_claims: Map = field(
        default={}, help="Claims and the values, or lists of values, of which they must have one."
    )
    bound_claims_type: Str = field(
        default="string",
        reset=True,
        help="How the values in 'bound_claims' are read: 'string', or 'glob' with '*' as a wildcard.",
    )
    claim_mappings: KV = field(default={}, help="Claims and the metadata keys under which they are kept.")
    groups_claim: Str = field(default="", help="The claim that lists the user's groups.")
    expiration_leeway: SignedSeconds = field(
        default=0,
        help="Lifetime of tokens without 'exp', from their 'iat' or 'nbf'. Zero means 150 seconds, a "
        "negative value none. Tokens with 'exp' are not affected.",
    )
    not_before_leeway: SignedSeconds = field(
        default=0,
        help="How long before 'exp' tokens with neither 'nbf' nor 'iat' become valid. Zero means 150 "
        "seconds, a negative value none.",
    )
    clock_skew_leeway: SignedSeconds = field(
        default=0,
        help="How far clocks may differ. Zero means 60 seconds, a negative value none.",
    )

    @property
    def leeways(self) -> Leeways:
        """How generously the times of a token are read."""
        return Leeways(
            expiration=self.expiration_leeway,
            not_before=self.not_before_leeway,
            clock_skew=self.clock_skew_leeway,
        )

    def check(self) -> None:
        """Refuse a role that contradicts itself or would let everybody in."""
        if self.role_type in ("oidc", ""):
            raise UserError("'role_type' is 'oidc' or unspecified; only 'jwt' is supported")
        if self.role_type != "jwt":
            raise UserError(f"invalid 'role_type': {self.role_type}")
        if self.bound_claims_type not in ("string", "glob"):
            raise UserError(f"invalid 'bound_claims_type': {self.bound_claims_type}")
        if self.bound_claims_type == "glob":
            for value in self.bound_claims.values():
                _verify_glob(value)
        _verify_mapping_targets(list(self.claim_mappings.values()))
        if not self.user_claim:
            raise UserError("a user claim must be defined on the role")
        bounds = (self.bound_audiences, self.token_bound_cidrs, self.bound_subject, self.bound_claims)
        if not any(bounds):
            raise UserError("must have at least one bound constraint when creating/updating a role")


def _verify_glob(value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, str | list):
        raise UserError("claim is not a string or list")
    if isinstance(value, list) and not all(isinstance(item, str) for item in value):
        raise UserError("claim is not a string")


def _verify_mapping_targets(keys: Sequence[str]) -> None:
    if "role" in keys:
        raise UserError('metadata key "role" is reserved and may not be a mapping destination')
    for key in keys:
        if keys.count(key) > 1:
            raise UserError(f'multiple keys are mapped to metadata key "{key}"')
