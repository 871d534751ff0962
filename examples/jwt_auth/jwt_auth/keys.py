"""Where the keys of a mount come from, and whether they can be had there when somebody configures it."""

from __future__ import annotations

from authkit.errors import TokenError, UserError
from authkit.oidc import Discovery, DiscoveryError, JWKSKeys, KeySource, StaticKeys
from jwt_auth.config import JWTConfig

__all__ = ["key_source", "verify_sources"]


def key_source(config: JWTConfig) -> KeySource:
    """Return where the keys come from. Nothing is fetched yet.

    Raises:
        ValueError: there can be no keys.
    """
    if config.jwt_validation_pubkeys:
        return StaticKeys.from_pem(config.jwt_validation_pubkeys)
    return JWKSKeys(config.jwks_url, ca_pem=config.jwks_ca_pem)


async def verify_sources(config: JWTConfig) -> None:
    """Return if what the configuration names can be fetched.

    Raises:
        UserError: it cannot; what the provider sent is not repeated.
    """
    if config.oidc_discovery_url:
        await _verify_discovery(config.oidc_discovery_url, config.oidc_discovery_ca_pem)
    if config.jwks_url:
        await _verify_key_set(config.jwks_url, config.jwks_ca_pem)
    for pair in config.jwks_pairs:
        await _verify_key_set(pair.get("jwks_url", ""), pair.get("jwks_ca_pem", ""))


async def _verify_discovery(url: str, ca_pem: str) -> None:
    try:
        await Discovery(url, ca_pem=ca_pem).fetch()
    except (ValueError, DiscoveryError) as error:
        raise UserError("error checking oidc discovery URL") from error


async def _verify_key_set(url: str, ca_pem: str) -> None:
    refusal = UserError(f"error checking jwks URL {url}")
    try:
        JWKSKeys(url)
    except ValueError as error:
        raise refusal from error
    try:
        keys = JWKSKeys(url, ca_pem=ca_pem)
    except ValueError as error:
        raise UserError("error checking jwks_ca_pem") from error
    try:
        await keys.find_keys(None)
    except TokenError as error:
        raise refusal from error
    finally:
        await keys.close()
