"""What identity providers need: keys, key sets, JWT verification, rules on claims, logins at a provider.

The public names are imported one by one, when they are first used: what a login needs is not loaded
before a process has announced itself.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from authkit.oidc.client.authentication import ClientAuthentication
    from authkit.oidc.client.authorization_request import (
        AuthorizationRequest,
        new_nonce,
        new_state,
        new_verifier,
    )
    from authkit.oidc.client.client import OIDCClient
    from authkit.oidc.client.endpoints import EndpointError, OAuthError, known_code
    from authkit.oidc.client.responses import DeviceAuthorization, TokenSet
    from authkit.oidc.http.fetch import (
        DiscoveryError,
        FetchError,
        FetchTimeoutError,
        IssuerMismatchError,
        ProviderError,
    )
    from authkit.oidc.http.network import Network
    from authkit.oidc.http.urls import has_credentials, hide_credentials, is_loopback, show_url, split_url
    from authkit.oidc.keys.cache import RemoteStatus
    from authkit.oidc.keys.discovery import Discovery, ProviderMetadata
    from authkit.oidc.keys.jwk_set import KeySet, parse_jwks
    from authkit.oidc.keys.key import (
        ALGORITHMS,
        KeySource,
        KeySourceError,
        KeyStatus,
        RenewableKeySource,
        StaticKeys,
        UnusableKeys,
        VerificationKey,
    )
    from authkit.oidc.keys.sources import CombinedKeys, DiscoveredKeys, JWKSKeys
    from authkit.oidc.settings import PROVIDER_SETTINGS, ProviderSettings, verify_settings
    from authkit.oidc.tokens.checks import NO_RECORD, Check, Checks, Explanation, Record
    from authkit.oidc.tokens.claims import (
        add_claims,
        get_claim,
        groups_from_claim,
        metadata_from_claims,
        set_claim,
        user_name,
        verify_bound_claims,
    )
    from authkit.oidc.tokens.id_token import verify_age
    from authkit.oidc.tokens.issuers import AFTER_ISSUER, DEFAULT_ISSUER, Issuers, VerifiedToken
    from authkit.oidc.tokens.jws import UnverifiedToken, split_token, verify_signature
    from authkit.oidc.tokens.registered_claims import (
        Claims,
        Leeways,
        verify_audience_is_bound,
        verify_registered_claims,
    )
    from authkit.oidc.tokens.signing import SigningKey
    from authkit.oidc.tokens.token_types import PROFILES
    from authkit.oidc.tokens.verifier import TokenVerifier

__all__ = [
    "AFTER_ISSUER",
    "ALGORITHMS",
    "DEFAULT_ISSUER",
    "NO_RECORD",
    "PROFILES",
    "PROVIDER_SETTINGS",
    "AuthorizationRequest",
    "Check",
    "Checks",
    "Claims",
    "ClientAuthentication",
    "CombinedKeys",
    "DeviceAuthorization",
    "DiscoveredKeys",
    "Discovery",
    "DiscoveryError",
    "EndpointError",
    "Explanation",
    "FetchError",
    "FetchTimeoutError",
    "IssuerMismatchError",
    "Issuers",
    "JWKSKeys",
    "KeySet",
    "KeySource",
    "KeySourceError",
    "KeyStatus",
    "Leeways",
    "Network",
    "OAuthError",
    "OIDCClient",
    "ProviderError",
    "ProviderMetadata",
    "ProviderSettings",
    "Record",
    "RemoteStatus",
    "RenewableKeySource",
    "SigningKey",
    "StaticKeys",
    "TokenSet",
    "TokenVerifier",
    "UnusableKeys",
    "UnverifiedToken",
    "VerificationKey",
    "VerifiedToken",
    "add_claims",
    "get_claim",
    "groups_from_claim",
    "has_credentials",
    "hide_credentials",
    "is_loopback",
    "known_code",
    "metadata_from_claims",
    "new_nonce",
    "new_state",
    "new_verifier",
    "parse_jwks",
    "set_claim",
    "show_url",
    "split_token",
    "split_url",
    "user_name",
    "verify_age",
    "verify_audience_is_bound",
    "verify_bound_claims",
    "verify_registered_claims",
    "verify_settings",
    "verify_signature",
]

_HOMES = {
    "client.responses": {"DeviceAuthorization", "TokenSet"},
    "client.authorization_request": {"AuthorizationRequest", "new_nonce", "new_state", "new_verifier"},
    "tokens.checks": {"NO_RECORD", "Check", "Checks", "Explanation", "Record"},
    "tokens.claims": {
        "add_claims",
        "set_claim",
        "get_claim",
        "groups_from_claim",
        "metadata_from_claims",
        "user_name",
        "verify_bound_claims",
    },
    "client.authentication": {"ClientAuthentication"},
    "keys.discovery": {"Discovery", "ProviderMetadata"},
    "client.endpoints": {"EndpointError", "OAuthError", "known_code"},
    "http.fetch": {
        "DiscoveryError",
        "IssuerMismatchError",
        "FetchError",
        "FetchTimeoutError",
        "ProviderError",
    },
    "client.client": {"OIDCClient"},
    "tokens.id_token": {"verify_age"},
    "tokens.issuers": {"AFTER_ISSUER", "DEFAULT_ISSUER", "Issuers", "VerifiedToken"},
    "keys.sources": {"CombinedKeys", "DiscoveredKeys", "JWKSKeys"},
    "keys.jwk_set": {"KeySet", "parse_jwks"},
    "tokens.jws": {"UnverifiedToken", "split_token", "verify_signature"},
    "keys.key": {
        "ALGORITHMS",
        "KeySource",
        "KeySourceError",
        "KeyStatus",
        "RenewableKeySource",
        "StaticKeys",
        "UnusableKeys",
        "VerificationKey",
    },
    "http.network": {"Network"},
    "tokens.token_types": {"PROFILES"},
    "tokens.registered_claims": {
        "Claims",
        "Leeways",
        "verify_audience_is_bound",
        "verify_registered_claims",
    },
    "keys.cache": {"RemoteStatus"},
    "settings": {"PROVIDER_SETTINGS", "ProviderSettings", "verify_settings"},
    "tokens.signing": {"SigningKey"},
    "tokens.verifier": {"TokenVerifier"},
    "http.urls": {"has_credentials", "hide_credentials", "is_loopback", "show_url", "split_url"},
}
"""The modules of this package where the names live."""


def __getattr__(name: str) -> object:
    home = next((home for home, names in _HOMES.items() if name in names), None)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(f"{__name__}.{home}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
