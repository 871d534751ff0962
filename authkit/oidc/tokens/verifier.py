"""Verification of a login's token: form, kind, signature, then the registered claims and their times.

Choice of an issuer: `authkit.oidc.tokens.issuers`. Bound claims and identity: `authkit.oidc.tokens.claims`.
The order of the steps is that of hashicorp/cap 0.13 (jwt/jwt.go, Validate) except for the algorithm, which is
checked before keys are fetched.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from copy import copy
from typing import Any, cast

from authkit.errors import TokenError
from authkit.masking import Secret
from authkit.oidc.keys.key import (
    ALGORITHMS,
    KeySource,
    RenewableKeySource,
    StaticKeys,
    VerificationKey,
)
from authkit.oidc.tokens.check_values import CLAIMS_FORM, JWT_FORM, show_claims, show_form
from authkit.oidc.tokens.checks import NO_RECORD, Checks
from authkit.oidc.tokens.jws import (
    STRICT_READER,
    UnverifiedToken,
    find_signer,
    require_signature,
    split_token,
    verify_algorithm,
)
from authkit.oidc.tokens.registered_claims import (
    DEFAULT_LEEWAYS,
    Claims,
    Leeways,
    get_audiences,
    verify_audience,
    verify_registered_claims,
)
from authkit.oidc.tokens.token_types import find_profile
from authkit.printable import quote
from authkit.values import verify_collections

__all__ = ["TokenVerifier", "parse_claims", "take_apart", "verify_signer"]


class TokenVerifier:
    """Verifies tokens of one issuer with the keys of one source.

    Args:
        keys: the only ones that can sign for this issuer.
        algorithms: those of the issuer; empty for all that there are.
        issuer: exactly the `iss` of its tokens; empty for any.
        audiences: one of which a token must name, beside what a login binds; empty for any.
        leeways: for logins that leave them at their defaults.
        now: seconds since 1970.

    Raises:
        ValueError: `algorithms` names one outside `authkit.oidc.keys.key.ALGORITHMS`.
    """

    def __init__(
        self,
        keys: KeySource,
        *,
        algorithms: Collection[str] = (),
        issuer: str = "",
        audiences: Collection[str] = (),
        leeways: Leeways = DEFAULT_LEEWAYS,
        now: Callable[[], float] = time.time,
    ) -> None:
        verify_collections(algorithms=algorithms, audiences=audiences)
        for algorithm in algorithms:
            if algorithm not in ALGORITHMS:
                raise ValueError(f"unsupported signing algorithm {quote(algorithm)}")
        self.keys = keys
        self.issuer = issuer
        self.audiences = frozenset(audiences)
        self._algorithms = frozenset(algorithms) or frozenset(ALGORITHMS)
        self._leeways = leeways
        self._now = now
        self._last_signer: VerificationKey | None = None

    async def verify(
        self,
        token: Secret | str,
        *,
        audiences: Collection[str] = (),
        subject: str = "",
        leeways: Leeways = DEFAULT_LEEWAYS,
        profile: str = "any",
        checks: Checks = NO_RECORD,
    ) -> Claims:
        """Return the claims of `token` if it is authentic, meant for us and valid now.

        An empty `audiences` or `subject` binds nothing; that a token with an `aud` needs a bound
        audience is a rule of the login. A disallowed algorithm is refused before keys are asked for,
        so that such tokens cost no fetch; cap looks at it after the signature.

        Raises:
            TokenError: it is not authentic, for others, or not valid now.
            KeySourceError: the issuer's keys cannot be set up.
            ValueError: there is no such profile.
        """
        verify_collections(audiences=audiences)
        unverified = take_apart(token, checks)
        return await self.verify_unverified(unverified, audiences, subject, leeways, profile, checks)

    async def verify_unverified(
        self,
        token: UnverifiedToken,
        audiences: Collection[str],
        subject: str,
        leeways: Leeways,
        profile: str,
        checks: Checks,
    ) -> Claims:
        """Do what `verify` does with a token that was already taken apart."""
        kind = find_profile(profile)
        kind.verify_header(token, checks=checks)
        verify_algorithm(token, self._algorithms, checks=checks)
        signer = await verify_signer(token, self.keys, checks, likely=self._last_signer)
        self._last_signer = signer or self._last_signer
        with checks.step("claims", CLAIMS_FORM, lambda: show_claims(token.payload)):
            claims = parse_claims(token)
        verify_registered_claims(
            claims,
            issuer=self.issuer,
            audiences=audiences,
            subject=subject,
            leeways=leeways.or_else(self._leeways),
            now=self._now(),
            checks=checks,
        )
        if self.audiences:
            verify_audience(get_audiences(claims), self.audiences, "aud of the issuer", checks)
        kind.verify_claims(claims, checks=checks)
        return claims

    def for_issuer(self, issuer: str) -> TokenVerifier:
        """Return a verifier with the same keys for tokens of exactly this `issuer`. Close one of the two."""
        bound = copy(self)
        bound.issuer = issuer
        return bound

    async def close(self) -> None:
        """Close the connections and stop the tasks of the keys. Safe to call more than once."""
        await self.keys.close()


_KEYS = ("keys of the issuer",)


async def verify_signer(
    token: UnverifiedToken,
    source: KeySource,
    checks: Checks,
    *,
    is_kid_needed: bool = False,
    likely: VerificationKey | None = None,
) -> VerificationKey | None:
    """Refuse the token unless a key of `source` signed it; return that key. Call `verify_algorithm` first.

    `likely`, the key that signed the last token, is tried first. `None` is returned to an explanation alone.

    With `is_kid_needed` a token without key id is taken only from an issuer with one key that fits
    (OpenID Connect Core 1.0 section 10.1).

    Raises:
        TokenError: the signature is not by one of the keys, or they cannot be fetched.
        KeySourceError: the provider's metadata cannot be fetched or used.
    """
    keys: Sequence[VerificationKey] = ()
    with checks.step("keys", _KEYS, lambda: ("{} at hand, kid {} asked for", len(keys), token.kid)):
        keys = await source.find_keys(token.kid)
    if is_kid_needed:
        _require_kid(token, keys, checks)
    signer = find_signer(token, keys, likely)
    # A provider may have replaced a key and kept its id, or gives no ids at all (`RenewableKeySource`).
    # Not `isinstance`: for a Protocol it takes 6 us, for each token that a stranger makes up.
    if signer is None and keys and hasattr(source, "find_newer_keys"):
        keys = await cast(RenewableKeySource, source).find_newer_keys(token.kid) or keys
        if is_kid_needed:
            _require_kid(token, keys, checks)
        signer = find_signer(token, keys)
    require_signature(token, keys, signer is not None, checks, is_static=isinstance(source, StaticKeys))
    return signer


def _require_kid(token: UnverifiedToken, keys: Sequence[VerificationKey], checks: Checks) -> None:
    fitting = sum(key.is_for(token.algorithm) for key in keys)
    checks.require(
        "kid",
        token.kid is not None or fitting <= 1,
        "the token names no key (kid), and the issuer has several",
        code="kid_missing",
        expected=("a kid, or one key alone that fits",),
        had=("kid {}, and {} keys that fit", token.kid, fitting),
        is_last=True,
    )


def take_apart(token: Secret | str, checks: Checks) -> UnverifiedToken:
    """Return the token taken apart.

    Raises:
        TokenError: it is no compact JWS, or not one that a login takes.
    """
    with checks.step("form", JWT_FORM, lambda: show_form(token)):
        return split_token(token.reveal() if isinstance(token, Secret) else token)


def parse_claims(token: UnverifiedToken) -> dict[str, Any]:
    """Return what the token claims. Nothing in it may be believed before its signature was verified.

    Raises:
        TokenError: it is not a JSON object in strict form.
    """
    try:
        return STRICT_READER.read_object(token.payload)
    except ValueError as error:
        text = f"the claims are malformed: {error}"
        raise TokenError(text, code="malformed_claims", facts={"reason": str(error)}) from error
