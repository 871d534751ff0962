"""The response of a userinfo endpoint (OpenID Connect Core 1.0 section 5.3).

Differences: vault-plugin-auth-jwt 0.26 lets every member replace the ID token's claim of that name, `aud` and
`iss` included; here the claims that were verified stay.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from authkit.errors import TokenError
from authkit.oidc.http.client import HTTPResponse
from authkit.oidc.keys.key import KeySource
from authkit.oidc.tokens.checks import NO_RECORD
from authkit.oidc.tokens.claims import add_claims
from authkit.oidc.tokens.jws import STRICT_READER, verify_algorithm
from authkit.oidc.tokens.registered_claims import Claims, get_audiences, get_date, get_text
from authkit.oidc.tokens.verifier import parse_claims, take_apart, verify_signer

__all__ = ["JWT_MEDIA_TYPE", "merge_userinfo", "read_userinfo"]

JWT_MEDIA_TYPE = "application/jwt"
"""Of an answer that is signed (OpenID Connect Core 1.0 section 5.3.2)."""


async def read_userinfo(
    response: HTTPResponse, keys: KeySource, *, client_id: str, algorithms: Collection[str], now: float
) -> Mapping[str, Any]:
    """Return the object in the response. A signed response must be signed by the provider.

    Raises:
        TokenError: it is not an object, not signed by the provider, or for another client.
        KeySourceError: the provider's keys cannot be set up.
    """
    if response.content_type != JWT_MEDIA_TYPE:
        try:
            return STRICT_READER.read_object(response.body)
        except ValueError as error:
            raise TokenError("the userinfo is no usable JSON object", str(error)) from None
    token = take_apart(response.body.decode(errors="replace"), NO_RECORD)
    verify_algorithm(token, algorithms)
    await verify_signer(token, keys, NO_RECORD)
    claims = parse_claims(token)
    # A token that the provider has signed for something else is no answer of this endpoint.
    audiences, expires = get_audiences(claims), get_date(claims, "exp")
    if audiences and client_id not in audiences:
        raise TokenError("the userinfo is for another client")
    if expires is not None and not now < expires:
        raise TokenError("the userinfo has expired")
    return claims


def merge_userinfo(claims: Claims, userinfo: Mapping[str, Any], issuer: str) -> Claims:
    """Return the claims with those of the userinfo added, in place of others of the same name.

    Every other member replaces the claim of its name as a whole, null included.

    Raises:
        TokenError: it is about somebody else than the claims, or of another issuer. It would let one
            user in as another (OpenID Connect Core 1.0 section 5.3.2).
    """
    subject, found = get_text(claims, "sub"), get_text(userinfo, "sub")
    if not subject or found != subject:
        raise TokenError("the userinfo is about somebody else than the ID token", "sub is another")
    if userinfo.get("iss") not in (None, issuer):
        raise TokenError("the userinfo is of another issuer than the ID token")
    return add_claims(claims, userinfo)
