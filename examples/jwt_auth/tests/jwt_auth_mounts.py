"""A mount of the method, and what tests write there most often."""

from __future__ import annotations

from typing import Any

from factories import Mount
from jwt_auth import JWTAuth
from jwt_auth_keys import public_pem

GOOD_ROLE = {"role_type": "jwt", "user_claim": "sub", "bound_audiences": "vault", "token_policies": "p"}


class JWTMount(Mount[JWTAuth]):
    """A mount, and what tests write there most often."""

    async def configure(self, **config: Any) -> None:
        """Write a configuration with a static key."""
        await self.write("config", {"jwt_validation_pubkeys": public_pem()} | config)

    async def write_role(self, **fields: Any) -> None:
        """Write the role `dev`."""
        await self.write("role/dev", GOOD_ROLE | fields)
