"""Verification of a login's token: signature, then the registered claims and their times.

Claims that a role binds, and the identity in them, are left to `authkit.oidc.claims`. Rules and
texts are those of hashicorp/cap 0.13 (jwt/jwt.go, Validate), which vault-plugin-auth-jwt 0.26 uses;
every difference is named where it is made.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeAlias

from authkit.errors import TokenError
from authkit.masking import Secret
from authkit.oidc.jsontext import parse_object, quote
from authkit.oidc.jws import SIGNATURE_ERROR, UnverifiedToken, split_token, verify_algorithm, verify_signature
from authkit.oidc.keys import ALGORITHMS, KeySource, RenewableKeySource, StaticKeys

__all__ = ["Claims", "Leeways", "TokenVerifier", "verify_registered_claims"]

Claims: TypeAlias = Mapping[str, Any]
"""The claims of a verified token as parsed JSON: integers are exact, other numbers finite floats."""

MAX_DATE = 253_402_300_799
"""The last second of the year 9999. A date beyond it is a mistake, or a try to overflow a clock."""

_DEFAULT_EXPIRATION_LEEWAY = timedelta(seconds=150)
_DEFAULT_NOT_BEFORE_LEEWAY = timedelta(seconds=150)
_DEFAULT_CLOCK_SKEW_LEEWAY = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Leeways:
    """How generously the times of a token are read. Zero means the default, negative means none."""

    expiration: timedelta = timedelta(0)
    """Set by the role. Lifetime of a token that has no `exp`, counted from the later of `iat` and `nbf`; it
    never prolongs one that has. Default: 150 seconds."""
    not_before: timedelta = timedelta(0)
    """Set by the role. How long before `exp` a token with neither `nbf` nor `iat` began to be valid; of no
    other use. Default: 150 seconds."""
    clock_skew: timedelta = timedelta(0)
    """Set by the role. How far the issuer's clock may be off, for every comparison. Default: 60 seconds."""


class TokenVerifier:
    """Verifies tokens of one issuer with the keys of one source.

    Raises:
        ValueError: `algorithms` names one outside `authkit.oidc.keys.ALGORITHMS`.
    """

    def __init__(
        self,
        keys: KeySource,
        *,
        algorithms: Collection[str] = (),
        issuer: str = "",
        now: Callable[[], float] = time.time,
    ) -> None:
        if isinstance(algorithms, str):
            raise TypeError("algorithms is a collection of names")
        for algorithm in algorithms:
            if algorithm not in ALGORITHMS:
                raise ValueError(f"unsupported signing algorithm {quote(algorithm)}")
        self._keys = keys
        self._algorithms = frozenset(algorithms) or frozenset(ALGORITHMS)
        self._issuer = issuer
        self._now = now
        # The words differ with the source in vault-plugin-auth-jwt too.
        self._failure = (
            "no known key successfully validated the token signature"
            if isinstance(keys, StaticKeys)
            else "failed to verify id token signature"
        )

    async def verify(
        self,
        token: Secret | str,
        *,
        audiences: Collection[str] = (),
        subject: str = "",
        leeways: Leeways = Leeways(),
    ) -> Claims:
        """Return the claims of `token` if it is authentic, meant for us and valid now.

        An empty `issuer`, `audiences` or `subject` binds nothing; that a token with an `aud` needs
        a bound audience is a rule of the login. A disallowed algorithm is refused before keys are
        asked for, so that such tokens cost no fetch; cap looks at it after the signature.

        Raises:
            TokenError: it is not; the text is the one for the caller, without the prefix
                `error validating token: ` of a login.
        """
        unverified = split_token(token.reveal() if isinstance(token, Secret) else token)
        verify_algorithm(unverified, self._algorithms)
        await self._verify_signature(unverified)
        claims = _parse_claims(unverified.payload)
        verify_registered_claims(
            claims,
            issuer=self._issuer,
            audiences=audiences,
            subject=subject,
            leeways=leeways,
            now=self._now(),
        )
        return claims

    async def _verify_signature(self, token: UnverifiedToken) -> None:
        keys = await self._keys.find_keys(token.kid)
        try:
            verify_signature(token, keys, self._algorithms, failure=self._failure)
        except TokenError:
            # A provider may have replaced a key and kept its id, or gives no ids at all.
            if not keys or not isinstance(self._keys, RenewableKeySource):
                raise
            newer = await self._keys.find_newer_keys(token.kid)
            if not newer:
                raise
            verify_signature(token, newer, self._algorithms, failure=self._failure)


def verify_registered_claims(
    claims: Claims,
    *,
    issuer: str = "",
    audiences: Collection[str] = (),
    subject: str = "",
    leeways: Leeways = Leeways(),
    now: float,
) -> None:
    """Return if the registered claims (RFC 7519 section 4.1) are well-formed, as bound, and valid at `now`.

    Differs from cap in one rule: a date of 0 is a date (1970) there it is, not an absent one.
    Dates beyond the year 9999 are refused as malformed; fractions of a second are cut off.

    Raises:
        TokenError: they are not.
    """
    if isinstance(audiences, str):
        raise TypeError("audiences is a collection of names")
    found_issuer, found_subject = _get_text(claims, "iss"), _get_text(claims, "sub")
    _get_text(claims, "jti")
    found_audiences = _get_audiences(claims)
    issued, expires, begins = (_get_date(claims, name) for name in ("iat", "exp", "nbf"))

    if issuer and found_issuer != issuer:
        raise TokenError("invalid issuer (iss) claim")
    if subject and found_subject != subject:
        raise TokenError("invalid subject (sub) claim")
    if audiences and not any(audience in audiences for audience in found_audiences):
        raise TokenError("invalid audience (aud) claim: audience claim does not match any expected audience")
    _verify_times(issued, expires, begins, leeways, now)


def _parse_claims(payload: bytes) -> Claims:
    try:
        return parse_object(payload)
    except ValueError as error:
        raise TokenError(f"{SIGNATURE_ERROR}malformed claims: {error}") from error


def _verify_times(
    issued: int | None, expires: int | None, begins: int | None, leeways: Leeways, now: float
) -> None:
    if issued is None and expires is None and begins is None:
        raise TokenError("no issued at (iat), not before (nbf), or expiration time (exp) claims in token")
    skew = _seconds(leeways.clock_skew, _DEFAULT_CLOCK_SKEW_LEEWAY)
    starts = [date for date in (issued, begins) if date is not None]
    end: float = (
        max(starts) + _seconds(leeways.expiration, _DEFAULT_EXPIRATION_LEEWAY) if expires is None else expires
    )
    start: float
    if begins is not None:
        start = begins
    elif issued is not None:
        start = issued
    else:
        start = end - _seconds(leeways.not_before, _DEFAULT_NOT_BEFORE_LEEWAY)
    # Each comparison is written so that a clock that gives NaN lets nobody in.
    if not now + skew >= start:
        raise TokenError("invalid not before (nbf) claim: token not yet valid")
    if not now - skew <= end:
        raise TokenError("invalid expiration time (exp) claim: token is expired")
    if issued is not None and not now + skew >= issued:
        raise TokenError("invalid issued at (iat) claim: token issued in the future")


def _seconds(leeway: timedelta, default: timedelta) -> float:
    return max((leeway or default).total_seconds(), 0.0)


def _get_text(claims: Claims, name: str) -> str:
    value = claims.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        kind = _json_kind(value)
        raise TokenError(f"json: cannot unmarshal {kind} into Go struct field Claims.{name} of type string")
    return value


def _get_audiences(claims: Claims) -> list[str]:
    value = claims.get("aud", [])
    if isinstance(value, str):
        return [value]
    if isinstance(value, list) and all(isinstance(audience, str) for audience in value):
        return value
    raise TokenError("go-jose/go-jose/jwt: expected string or array value to unmarshal to Audience")


def _get_date(claims: Claims, name: str) -> int | None:
    value = claims.get(name)
    if value is None:
        return None
    # `bool` is a kind of `int` in Python. The comparison also fails for NaN.
    if isinstance(value, bool) or not isinstance(value, int | float) or not -MAX_DATE <= value <= MAX_DATE:
        raise TokenError(
            "go-jose/go-jose/jwt: expected number value to unmarshal NumericDate",
            f"claim {name} is no date, or one beyond the year 9999",
        )
    return int(value)


def _json_kind(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "number"
    return "array" if isinstance(value, list) else "object"
