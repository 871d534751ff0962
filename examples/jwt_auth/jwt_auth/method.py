"""The auth method: its paths, and what a login checks."""

from __future__ import annotations

from typing import Annotated

from authkit.auth import AuthMethod, Identity, LoginCall, login
from authkit.errors import LoginError, TokenError, UserError
from authkit.framework import Collection, Secret, Singleton, Write, cached, field, format_duration
from authkit.oidc import (
    Claims,
    KeySource,
    groups_from_claim,
    metadata_from_claims,
    user_name,
    verify_bound_claims,
)
from jwt_auth.config import JWTConfig
from jwt_auth.role import JWTRole

__all__ = ["JWTAuth"]


class JWTAuth(AuthMethod, name="jwt_auth", version="0.1.0"):
    """The JWT backend logs in whoever holds a JSON Web Token that an issuer you trust has signed."""

    config = Singleton(JWTConfig, "config", seal_wrap=True, replace=True, deletable=False)
    roles = Collection(JWTRole, "role/{name}")

    @cached
    def keys(self, config: JWTConfig) -> KeySource:
        """Keep keys, fetched ones included, until the configuration changes."""
        return config.key_source()

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

    async def default_role(self) -> str:
        """Return the role of logins that name none."""
        return (await self.config.get()).default_role

    @login("login", default_role=default_role)
    async def log_in(
        self,
        call: LoginCall,
        config: JWTConfig,
        role: JWTRole,
        jwt: Annotated[Secret, field(missing="missing token", help="The signed JSON Web Token.")],
    ) -> Identity:
        """Log in with a JSON Web Token.

        The token's signature, issuer and times are verified, then it is compared with everything
        that the role binds.
        """
        claims = await self.verify(config, role, jwt)
        metadata = metadata_from_claims(claims, role.claim_mappings) | {"role": call.role_name}
        identity = Identity(
            name=user_name(claims, role.user_claim, role.user_claim_json_pointer),
            groups=groups_from_claim(claims, role.groups_claim),
            alias_metadata=metadata,
            metadata=metadata,
        )
        try:
            verify_bound_claims(claims, role.bound_claims, role.bound_claims_type)
        except TokenError as error:
            raise LoginError(f"error validating claims: {error.public}", error.detail) from error
        return identity

    async def verify(self, config: JWTConfig, role: JWTRole, jwt: Secret) -> Claims:
        """Return the claims of an authentic token that is meant for this role."""
        verifier = config.verifier(self.keys(config))
        try:
            claims = await verifier.verify(
                jwt, audiences=role.bound_audiences, subject=role.bound_subject, leeways=role.leeways
            )
        except TokenError as error:
            raise LoginError(f"error validating token: {error.public}", error.detail) from error
        if claims.get("aud") and not role.bound_audiences:
            raise LoginError("audience claim found in JWT but no audiences bound to the role")
        return claims
