"""What identity providers need: keys, key sets, JWT verification, rules on claims.

The public names are imported one by one, when they are first used: what a login needs is not loaded
before a process has announced itself. Interactive logins are not here.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from authkit.oidc.checks import Check, Checks, Explanation, Record
    from authkit.oidc.claims import (
        add_claims,
        get_claim,
        groups_from_claim,
        metadata_from_claims,
        set_claim,
        user_name,
        verify_bound_claims,
    )
    from authkit.oidc.discovery import Discovery, ProviderMetadata
    from authkit.oidc.fetch import (
        DiscoveryError,
        FetchError,
        FetchTimeoutError,
        IssuerMismatchError,
        ProviderError,
    )
    from authkit.oidc.issuers import DEFAULT_ISSUER, Issuers, VerifiedToken
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
        VerificationKey,
    )
    from authkit.oidc.profiles import PROFILES
    from authkit.oidc.registered import (
        Claims,
        Leeways,
        verify_audience_is_bound,
        verify_registered_claims,
    )
    from authkit.oidc.remote import RemoteStatus
    from authkit.oidc.tokens import TokenVerifier

__all__ = [
    "ALGORITHMS",
    "DEFAULT_ISSUER",
    "PROFILES",
    "Check",
    "Checks",
    "Claims",
    "CombinedKeys",
    "DiscoveredKeys",
    "Discovery",
    "DiscoveryError",
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
    "ProviderError",
    "ProviderMetadata",
    "Record",
    "RemoteStatus",
    "RenewableKeySource",
    "StaticKeys",
    "TokenVerifier",
    "UnverifiedToken",
    "VerificationKey",
    "VerifiedToken",
    "add_claims",
    "get_claim",
    "groups_from_claim",
    "metadata_from_claims",
    "parse_jwks",
    "set_claim",
    "split_token",
    "user_name",
    "verify_audience_is_bound",
    "verify_bound_claims",
    "verify_registered_claims",
    "verify_signature",
]

_HOMES = {
    "checks": {"Check", "Checks", "Explanation", "Record"},
    "claims": {
        "add_claims",
        "set_claim",
        "get_claim",
        "groups_from_claim",
        "metadata_from_claims",
        "user_name",
        "verify_bound_claims",
    },
    "discovery": {"Discovery", "ProviderMetadata"},
    "fetch": {"DiscoveryError", "IssuerMismatchError", "FetchError", "FetchTimeoutError", "ProviderError"},
    "issuers": {"DEFAULT_ISSUER", "Issuers", "VerifiedToken"},
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
        "VerificationKey",
    },
    "profiles": {"PROFILES"},
    "registered": {
        "Claims",
        "Leeways",
        "verify_audience_is_bound",
        "verify_registered_claims",
    },
    "remote": {"RemoteStatus"},
    "tokens": {"TokenVerifier"},
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
