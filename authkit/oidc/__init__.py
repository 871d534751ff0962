"""What identity providers need: keys, key sets, JWT verification, rules on claims, logins at a provider.

The public names are imported one by one, when they are first used: what a login needs is not loaded
before a process has announced itself.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from authkit.base64url import decode_base64url, encode_base64url
    from authkit.oidc.client.authentication import (
        ClientAuthentication,
    )
    from authkit.oidc.client.authorization_request import (
        AuthorizationRequest,
        new_nonce,
        new_state,
        new_verifier,
    )
    from authkit.oidc.client.client import (
        OIDCClient,
    )
    from authkit.oidc.client.endpoints import (
        EndpointError,
        OAuthError,
        known_code,
    )
    from authkit.oidc.client.responses import (
        DeviceAuthorization,
        TokenSet,
    )
    from authkit.oidc.http.client import HTTPClient, HTTPSession, JSONResponse, check_token
    from authkit.oidc.http.errors import (
        FetchError,
        FetchTimeoutError,
        ProviderError,
    )
    from authkit.oidc.http.network import (
        Network,
    )
    from authkit.oidc.http.urls import (
        check_url,
        find_origin,
        has_credentials,
        hide_credentials,
        is_loopback,
        is_same_origin,
        path_segment,
        show_url,
        split_url,
    )
    from authkit.oidc.keys.cache import (
        RemoteStatus,
        Timer,
    )
    from authkit.oidc.keys.discovery import (
        Discovery,
        DiscoveryError,
        IssuerMismatchError,
        ProviderMetadata,
    )
    from authkit.oidc.keys.jwk_set import (
        KeySet,
        parse_jwks,
    )
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
    from authkit.oidc.keys.sources import (
        CombinedKeys,
        DiscoveredKeys,
        JWKSKeys,
    )
    from authkit.oidc.tokens.checks import (
        NO_RECORD,
        Check,
        Checks,
        Explanation,
        Record,
        show_date,
    )
    from authkit.oidc.tokens.claims import (
        add_claims,
        get_claim,
        groups_from_claim,
        metadata_from_claims,
        set_claim,
        user_name,
        verify_bound_claims,
    )
    from authkit.oidc.tokens.id_token import (
        verify_age,
    )
    from authkit.oidc.tokens.issuers import (
        DEFAULT_ISSUER,
        ISSUER_SEPARATOR,
        Issuers,
        VerifiedToken,
    )
    from authkit.oidc.tokens.registered_claims import (
        Claims,
        Leeways,
        verify_audience_is_bound,
        verify_registered_claims,
    )
    from authkit.oidc.tokens.signing import (
        SigningKey,
    )
    from authkit.oidc.tokens.token_types import (
        PROFILES,
    )
    from authkit.oidc.tokens.verifier import (
        TokenVerifier,
    )
    from authkit.oidc.user_directory import (
        Lookup,
        UserDirectory,
    )
    from authkit.threads import ThreadsBusyError

__all__ = [
    "ALGORITHMS",
    "DEFAULT_ISSUER",
    "ISSUER_SEPARATOR",
    "NO_RECORD",
    "PROFILES",
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
    "HTTPClient",
    "HTTPSession",
    "IssuerMismatchError",
    "Issuers",
    "JSONResponse",
    "JWKSKeys",
    "KeySet",
    "KeySource",
    "KeySourceError",
    "KeyStatus",
    "Leeways",
    "Lookup",
    "Network",
    "OAuthError",
    "OIDCClient",
    "ProviderError",
    "ProviderMetadata",
    "Record",
    "RemoteStatus",
    "RenewableKeySource",
    "SigningKey",
    "StaticKeys",
    "ThreadsBusyError",
    "Timer",
    "TokenSet",
    "TokenVerifier",
    "UnusableKeys",
    "UserDirectory",
    "VerificationKey",
    "VerifiedToken",
    "add_claims",
    "check_token",
    "check_url",
    "decode_base64url",
    "encode_base64url",
    "find_origin",
    "get_claim",
    "groups_from_claim",
    "has_credentials",
    "hide_credentials",
    "is_loopback",
    "is_same_origin",
    "known_code",
    "metadata_from_claims",
    "new_nonce",
    "new_state",
    "new_verifier",
    "parse_jwks",
    "path_segment",
    "set_claim",
    "show_date",
    "show_url",
    "split_url",
    "user_name",
    "verify_age",
    "verify_audience_is_bound",
    "verify_bound_claims",
    "verify_registered_claims",
]

_MODULES = {
    "authkit.base64url": {"decode_base64url", "encode_base64url"},
    "authkit.oidc.client.authentication": {"ClientAuthentication"},
    "authkit.oidc.client.authorization_request": {
        "AuthorizationRequest",
        "new_nonce",
        "new_state",
        "new_verifier",
    },
    "authkit.oidc.client.client": {"OIDCClient"},
    "authkit.oidc.client.endpoints": {"EndpointError", "OAuthError", "known_code"},
    "authkit.oidc.client.responses": {"DeviceAuthorization", "TokenSet"},
    "authkit.oidc.http.errors": {"FetchError", "FetchTimeoutError", "ProviderError"},
    "authkit.oidc.http.client": {"HTTPClient", "HTTPSession", "JSONResponse", "check_token"},
    "authkit.oidc.http.network": {"Network"},
    "authkit.oidc.http.urls": {
        "check_url",
        "find_origin",
        "has_credentials",
        "hide_credentials",
        "is_loopback",
        "is_same_origin",
        "path_segment",
        "show_url",
        "split_url",
    },
    "authkit.oidc.keys.cache": {"RemoteStatus", "Timer"},
    "authkit.oidc.keys.discovery": {
        "Discovery",
        "DiscoveryError",
        "IssuerMismatchError",
        "ProviderMetadata",
    },
    "authkit.oidc.keys.jwk_set": {"KeySet", "parse_jwks"},
    "authkit.oidc.keys.key": {
        "ALGORITHMS",
        "KeySource",
        "KeySourceError",
        "KeyStatus",
        "RenewableKeySource",
        "StaticKeys",
        "UnusableKeys",
        "VerificationKey",
    },
    "authkit.oidc.keys.sources": {"CombinedKeys", "DiscoveredKeys", "JWKSKeys"},
    "authkit.oidc.user_directory": {"Lookup", "UserDirectory"},
    "authkit.oidc.tokens.checks": {"Check", "Checks", "Explanation", "NO_RECORD", "Record", "show_date"},
    "authkit.oidc.tokens.claims": {
        "add_claims",
        "get_claim",
        "groups_from_claim",
        "metadata_from_claims",
        "set_claim",
        "user_name",
        "verify_bound_claims",
    },
    "authkit.oidc.tokens.id_token": {"verify_age"},
    "authkit.oidc.tokens.issuers": {"DEFAULT_ISSUER", "ISSUER_SEPARATOR", "Issuers", "VerifiedToken"},
    "authkit.oidc.tokens.registered_claims": {
        "Claims",
        "Leeways",
        "verify_audience_is_bound",
        "verify_registered_claims",
    },
    "authkit.oidc.tokens.signing": {"SigningKey"},
    "authkit.oidc.tokens.token_types": {"PROFILES"},
    "authkit.oidc.tokens.verifier": {"TokenVerifier"},
    "authkit.threads": {"ThreadsBusyError"},
}
"""The modules of this package where the names live."""


def __getattr__(name: str) -> object:
    module = next((module for module, names in _MODULES.items() if name in names), None)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(module), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
