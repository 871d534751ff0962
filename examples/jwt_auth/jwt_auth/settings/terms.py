"""The terms of a login: everything that an operator has set and by which it is judged, as a short digest.

A login that spans several requests keeps the digest of its beginning. At its end the digests are compared, so
that nobody is granted by terms that have changed in the meantime.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final

from authkit.oidc import encode_base64url
from jwt_auth.settings.config import JWTConfig
from jwt_auth.settings.role import JWTRole

__all__ = ["TERMS_CHANGED", "login_terms"]

TERMS_CHANGED: Final = "The role or the configuration has changed since this login began, begin again."

DIGEST_BYTES: Final = 16
"""128 bits of SHA-256: finding other terms with the digest of given ones takes 2**128 attempts."""


def login_terms(role: JWTRole, config: JWTConfig) -> str:
    """Return the digest of a role and a configuration: 22 characters, the same in every process.

    Every stored field counts, token parameters included. Credentials do not count: they tell the provider
    who this mount is and have no part in who may log in, so an operator can rotate `oidc_client_secret` or an
    API token of `provider_config` while logins are under way.
    """
    settings = config.to_stored()
    settings["provider_config"] = config.schema["provider_config"].show(config.provider_config)
    del settings["oidc_client_secret"]
    stored = json.dumps([role.to_stored(), settings], sort_keys=True, default=_plain)
    return encode_base64url(sha256(stored.encode()).digest()[:DIGEST_BYTES])


def _plain(value: object) -> Any:
    """Return a read-only mapping as JSON writes it."""
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is not JSON")
