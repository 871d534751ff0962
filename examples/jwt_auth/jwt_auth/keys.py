"""Where the keys of a configuration come from, and whether they can be had when somebody writes it."""

from __future__ import annotations

from authkit.errors import UserError
from authkit.oidc import CombinedKeys, DiscoveredKeys, JWKSKeys, KeySource, ProviderError, StaticKeys
from jwt_auth.config import JWTConfig

__all__ = ["make_keys", "verify_sources"]


def make_keys(config: JWTConfig) -> KeySource:
    """Return where the keys come from. Nothing is fetched yet."""
    if config.jwt_validation_pubkeys:
        return StaticKeys.from_pem(config.jwt_validation_pubkeys)
    if config.oidc_discovery_url:
        return DiscoveredKeys(config.oidc_discovery_url, ca_pem=config.oidc_discovery_ca_pem)
    if config.jwks_url:
        return JWKSKeys(config.jwks_url, ca_pem=config.jwks_ca_pem)
    return CombinedKeys([JWKSKeys(url, ca_pem=ca_pem) for url, ca_pem in _pairs(config)])


async def verify_sources(config: JWTConfig) -> None:
    """Return if what the configuration names can be had. Every provider is asked once.

    Raises:
        UserError: it cannot; what a provider sent is not repeated.
    """
    if config.oidc_discovery_url:
        await _verify_discovery(config.oidc_discovery_url, config.oidc_discovery_ca_pem)
    if config.jwks_url:
        await _verify_key_set(config.jwks_url, config.jwks_ca_pem)
    for url, ca_pem in _pairs(config):
        await _verify_key_set(url, ca_pem)


def _pairs(config: JWTConfig) -> list[tuple[str, str]]:
    return [(pair.get("jwks_url", ""), pair.get("jwks_ca_pem", "")) for pair in config.jwks_pairs]


async def _verify_discovery(url: str, ca_pem: str) -> None:
    try:
        keys = DiscoveredKeys(url, ca_pem=ca_pem)
        try:
            await keys.metadata()
        finally:
            await keys.close()
    except (ValueError, ProviderError) as error:
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
        await keys.load()
    except ProviderError as error:
        raise refusal from error
    finally:
        await keys.close()
