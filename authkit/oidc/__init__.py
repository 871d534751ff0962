"""What identity providers need: keys, key sets, JWT verification, rules on claims, logins at a provider.

The public names are imported one by one, when they are first used: what a login needs is not loaded
before a process has announced itself.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from authkit.oidc.answers import DeviceAuthorization, TokenSet
    from authkit.oidc.authorization import AuthorizationRequest, new_nonce, new_state, new_verifier
    from authkit.oidc.checks import NO_RECORD, Check, Checks, Explanation, Record
    from authkit.oidc.claims import (
        add_claims,
        get_claim,
        groups_from_claim,
        metadata_from_claims,
        set_claim,
        user_name,
        verify_bound_claims,
    )
    from authkit.oidc.clientauth import ClientAuthentication
    from authkit.oidc.discovery import Discovery, ProviderMetadata
    from authkit.oidc.endpoints import EndpointError, OAuthError, known_code
    from authkit.oidc.fetch import (
        DiscoveryError,
        FetchError,
        FetchTimeoutError,
        IssuerMismatchError,
        ProviderError,
    )
    from authkit.oidc.flow import OIDCClient
    from authkit.oidc.idtoken import verify_age
    from authkit.oidc.issuers import AFTER_ISSUER, DEFAULT_ISSUER, Issuers, VerifiedToken
    from authkit.oidc.jwks import CombinedKeys, DiscoveredKeys, JWKSKeys
    from authkit.oidc.jwkset import KeySet, parse_jwks
    from authkit.oidc.jws import UnverifiedToken, split_token, verify_signature
    from authkit.oidc.keys import (
        ALGORITHMS,
        KeySource,
        KeySourceError,
        KeyStatus,
        RenewableKeySource,
        StaticKeys,
        UnusableKeys,
        VerificationKey,
    )
    from authkit.oidc.network import Network
    from authkit.oidc.profiles import PROFILES
    from authkit.oidc.registered import (
        Claims,
        Leeways,
        verify_audience_is_bound,
        verify_registered_claims,
    )
    from authkit.oidc.remote import RemoteStatus
    from authkit.oidc.settings import PROVIDER_SETTINGS, ProviderSettings, verify_settings
    from authkit.oidc.signing import SigningKey
    from authkit.oidc.tokens import TokenVerifier
    from authkit.oidc.urls import has_credentials, hide_credentials, is_loopback, show_url, split_url

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
    "answers": {"DeviceAuthorization", "TokenSet"},
    "authorization": {"AuthorizationRequest", "new_nonce", "new_state", "new_verifier"},
    "checks": {"NO_RECORD", "Check", "Checks", "Explanation", "Record"},
    "claims": {
        "add_claims",
        "set_claim",
        "get_claim",
        "groups_from_claim",
        "metadata_from_claims",
        "user_name",
        "verify_bound_claims",
    },
    "clientauth": {"ClientAuthentication"},
    "discovery": {"Discovery", "ProviderMetadata"},
    "endpoints": {"EndpointError", "OAuthError", "known_code"},
    "fetch": {
        "DiscoveryError",
        "IssuerMismatchError",
        "FetchError",
        "FetchTimeoutError",
        "ProviderError",
    },
    "flow": {"OIDCClient"},
    "idtoken": {"verify_age"},
    "issuers": {"AFTER_ISSUER", "DEFAULT_ISSUER", "Issuers", "VerifiedToken"},
    "jwks": {"CombinedKeys", "DiscoveredKeys", "JWKSKeys"},
    "jwkset": {"KeySet", "parse_jwks"},
    "jws": {"UnverifiedToken", "split_token", "verify_signature"},
    "keys": {
        "ALGORITHMS",
        "KeySource",
        "KeySourceError",
        "KeyStatus",
        "RenewableKeySource",
        "StaticKeys",
        "UnusableKeys",
        "VerificationKey",
    },
    "network": {"Network"},
    "profiles": {"PROFILES"},
    "registered": {
        "Claims",
        "Leeways",
        "verify_audience_is_bound",
        "verify_registered_claims",
    },
    "remote": {"RemoteStatus"},
    "settings": {"PROVIDER_SETTINGS", "ProviderSettings", "verify_settings"},
    "signing": {"SigningKey"},
    "tokens": {"TokenVerifier"},
    "urls": {"has_credentials", "hide_credentials", "is_loopback", "show_url", "split_url"},
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
