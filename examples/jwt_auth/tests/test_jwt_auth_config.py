"""The configuration of the JWT method."""

from __future__ import annotations

from typing import Any

import pytest
from factories import Mount
from jwt_auth import JWTAuth
from jwt_auth_keys import public_pem

from authkit.errors import UnsupportedOperationError, UserError

KEYS_URL = "https://issuer.test/keys"


async def test_read_and_replace() -> None:
    """A write replaces the whole configuration; a read shows what was written."""
    mount = Mount(JWTAuth)
    assert await mount.read("config") is None
    pem = public_pem().strip()
    assert await mount.write("config", jwt_validation_pubkeys=[pem], default_role="Dev") is None
    assert await mount.read("config") == {
        "jwt_validation_pubkeys": [pem],
        "jwks_url": "",
        "jwks_ca_pem": "",
        "bound_issuer": "",
        "jwt_supported_algs": [],
        "default_role": "dev",
    }
    await mount.write("config", jwks_url=KEYS_URL, bound_issuer="x")
    found = await mount.read("config")
    assert found is not None
    assert (found["jwt_validation_pubkeys"], found["default_role"]) == ([], "")


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({}, "exactly one of 'jwt_validation_pubkeys' or 'jwks_url' must be set"),
        ({"jwks_url": KEYS_URL, "jwt_validation_pubkeys": "x"}, "exactly one of"),
        ({"jwt_validation_pubkeys": "x"}, "error parsing public key: data does not contain any valid"),
        ({"jwks_url": "ftp://x"}, "error checking jwks URL ftp://x"),
        ({"jwks_url": KEYS_URL, "jwks_ca_pem": "x"}, "error checking jwks_ca_pem"),
        (
            {"jwks_url": KEYS_URL, "jwt_supported_algs": "RS256,none"},
            'invalid jwt_supported_algs: unsupported signing algorithm "none"',
        ),
        ({"jwks_url": KEYS_URL, "jwt_supported_algs": "HS256"}, "invalid jwt_supported_algs"),
    ],
)
async def test_refused_configurations(fields: dict[str, Any], text: str) -> None:
    """A configuration with which nobody could log in is not stored."""
    mount = Mount(JWTAuth)
    await mount.write("config", jwks_url=KEYS_URL)
    before = await mount.read("config")
    with pytest.raises(UserError) as caught:
        await mount.write("config", fields)
    assert str(caught.value).startswith(text)
    assert await mount.read("config") == before


async def test_configuration_cannot_be_deleted() -> None:
    """As with vault-plugin-auth-jwt, there is no delete; the entry is sealed where hosts can."""
    mount = Mount(JWTAuth)
    with pytest.raises(UnsupportedOperationError):
        await mount.delete("config")
    assert mount.backend.special_paths().seal_wrap_storage == ("config",)
