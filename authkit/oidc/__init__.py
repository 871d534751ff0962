"""What identity providers need: keys, key sets, JWT verification, rules on claims.

Imports nothing heavy: httpx and cryptography come with the first use. Interactive logins are not here.
"""

from authkit.oidc.claims import (
    get_claim,
    groups_from_claim,
    metadata_from_claims,
    user_name,
    verify_bound_claims,
)
from authkit.oidc.discovery import Discovery, DiscoveryError, IssuerMismatchError, ProviderMetadata
from authkit.oidc.fetch import FetchError, FetchTimeoutError, ProviderError
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
from authkit.oidc.remote import RemoteStatus
from authkit.oidc.tokens import Claims, Leeways, TokenVerifier, verify_registered_claims

__all__ = [
    "ALGORITHMS",
    "Claims",
    "CombinedKeys",
    "DiscoveredKeys",
    "Discovery",
    "DiscoveryError",
    "FetchError",
    "FetchTimeoutError",
    "IssuerMismatchError",
    "JWKSKeys",
    "KeySet",
    "KeySource",
    "KeySourceError",
    "KeyStatus",
    "Leeways",
    "ProviderError",
    "ProviderMetadata",
    "RemoteStatus",
    "RenewableKeySource",
    "StaticKeys",
    "TokenVerifier",
    "UnverifiedToken",
    "VerificationKey",
    "get_claim",
    "groups_from_claim",
    "metadata_from_claims",
    "parse_jwks",
    "split_token",
    "user_name",
    "verify_bound_claims",
    "verify_registered_claims",
    "verify_signature",
]
