"""The auth method: its paths, and what a login checks."""

from __future__ import annotations

from typing import Annotated

from authkit.auth import AuthMethod, Identity, LoginCall, login, split_alias_metadata
from authkit.errors import LoginError, TokenError, UserError
from authkit.framework import Collection, Secret, Singleton, Write, cached, field, format_duration
from authkit.oidc import (
    Claims,
    KeySource,
    TokenVerifier,
    groups_from_claim,
    metadata_from_claims,
    user_name,
    verify_bound_claims,
)
from jwt_auth.config import JWTConfig
from jwt_auth.keys import make_keys, verify_sources
from jwt_auth.role import JWTRole

__all__ = ["JWTAuth"]

JWT = Annotated[Secret, field(default="", help="The signed JSON Web Token.")]
AccessToken = Annotated[
    Secret, field(default="", help="An access token with which to look up groups that the token only points at.")
]


class JWTAuth(AuthMethod, name="jwt_auth", version="0.1.0"):
    """The JWT backend logs in whoever holds a JSON Web Token that an issuer you trust has signed."""

    config = Singleton(JWTConfig, "config", seal_wrap=True, replace=True, deletable=False)
    roles = Collection(JWTRole, "role/{name}")

    @cached
    def keys(self, config: JWTConfig) -> KeySource:
        """Keep keys, fetched ones included, until the configuration changes."""
        return make_keys(config)

    @config.on_write
    async def check_sources(self, write: Write[JWTConfig]) -> None:
        """Ask a provider before it is relied on."""
        await verify_sources(write.new)

    @roles.on_write
    async def check_lifetimes(self, write: Write[JWTRole]) -> None:
        """Compare a role with the mount's longest lease."""
        longest, role = await self.system.max_lease_ttl(), write.new
        if role.token_period > longest:
            period, limit = format_duration(role.token_period), format_duration(longest)
            raise UserError(
                f"'period' of '\"{period}\"' is greater than the backend's maximum lease TTL of '\"{limit}\"'"
            )
        if role.token_max_ttl > longest:
            write.warn(
                "token max ttl is greater than the system or backend mount's maximum TTL value; "
                "issued tokens' max TTL value will be truncated"
            )
        if role.verbose_oidc_logging:
            write.warn(
                "verbose_oidc_logging has been enabled for this role. This is not recommended in production "
                "since sensitive information may be present in OIDC responses."
            )

    async def default_role(self) -> str:
        """Return the role of logins that name none."""
        return (await self.config.get()).default_role

    @login("login", default_role=default_role)
    async def log_in(
        self,
        call: LoginCall,
        config: JWTConfig,
        role: JWTRole,
        jwt: JWT,
        distributed_claim_access_token: AccessToken,
    ) -> Identity:
        """Log in with a JSON Web Token.

        The token's signature, issuer and times are verified, then it is compared with everything
        that the role binds.
        """
        if role.role_type == "oidc":
            raise UserError("role with oidc role_type is not allowed")
        if not jwt:
            raise UserError("missing token")
        claims = await self.verify(config, role, jwt)
        metadata = {"role": call.role_name} | metadata_from_claims(claims, role.claim_mappings or {})
        kept, left_out = split_alias_metadata(metadata)
        identity = Identity(
            name=user_name(claims, role.user_claim, role.user_claim_json_pointer),
            groups=groups_from_claim(claims, role.groups_claim),
            alias_metadata=kept,
            metadata=metadata,
            warnings=[f"metadata that no alias can have, and so is on the token only: {key}" for key in left_out],
        )
        try:
            verify_bound_claims(claims, role.bound_claims or {}, role.bound_claims_type)
        except TokenError as error:
            raise LoginError(f"error validating claims: {error.public}", error.detail) from error
        return identity

    async def verify(self, config: JWTConfig, role: JWTRole, jwt: Secret) -> Claims:
        """Return the claims of an authentic token that is meant for this role."""
        verifier = TokenVerifier(
            self.keys(config), algorithms=config.jwt_supported_algs, issuer=config.bound_issuer
        )
        try:
            claims = await verifier.verify(
                jwt, audiences=role.bound_audiences or (), subject=role.bound_subject, leeways=role.leeways
            )
        except TokenError as error:
            raise LoginError(f"error validating token: {error.public}", error.detail) from error
        if claims.get("aud") and not role.bound_audiences:
            raise LoginError("audience claim found in JWT but no audiences bound to the role")
        return claims
