"""The registered claims of RFC 7519 section 4.1: their form, whom they name, and their times.

Signatures: `authkit.oidc.tokens.verifier`. Other claims: `authkit.oidc.tokens.claims`. The rules are those of
hashicorp/cap 0.13 (jwt/jwt.go, Validate), which vault-plugin-auth-jwt 0.26
uses; every difference is named where it is made.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any, TypeAlias

from authkit.errors import TokenError
from authkit.oidc.tokens.check_values import REGISTERED_FORM, show_registered
from authkit.oidc.tokens.checks import NO_RECORD, Checks
from authkit.printable import quote
from authkit.values import Value, verify_collections

__all__ = [
    "DEFAULT_LEEWAYS",
    "Claims",
    "Leeways",
    "get_audiences",
    "get_date",
    "get_text",
    "verify_audience",
    "verify_audience_is_bound",
    "verify_registered_claims",
    "verify_times",
]

Claims: TypeAlias = Mapping[str, Any]
"""The claims of a verified token as parsed JSON: integers are exact, other numbers finite floats."""

MAX_DATE = 253_402_300_799
"""The last second of the year 9999. A date beyond it is a mistake, or a try to overflow a clock."""

MAX_CLOCK_SKEW_LEEWAY = timedelta(hours=1)
"""RFC 7519 section 4.1.4 speaks of a few minutes. A token that ended longer ago is never accepted."""

MAX_LIFETIME_LEEWAY = timedelta(days=1)
"""How long a token lives that does not say when it ends, or begins before it ends, at most: as long as a
withdrawn key can stay trusted (`authkit.oidc.keys.cache.MAX_AGE`)."""

_DEFAULT_EXPIRATION_LEEWAY = timedelta(seconds=150)
_DEFAULT_NOT_BEFORE_LEEWAY = timedelta(seconds=150)
_DEFAULT_CLOCK_SKEW_LEEWAY = timedelta(seconds=60)


class Leeways(Value, frozen=True):
    """How generously the times of a token are read. Zero means the default, negative means none.

    A longer one than `MAX_CLOCK_SKEW_LEEWAY` or `MAX_LIFETIME_LEEWAY` counts as that.
    """

    expiration: timedelta = timedelta(0)
    """Set by the role. Lifetime of a token that has no `exp`, counted from the later of `iat` and `nbf`; it
    never prolongs one that has. Default: 150 seconds."""
    not_before: timedelta = timedelta(0)
    """Set by the role. How long before `exp` a token with neither `nbf` nor `iat` began to be valid; of no
    other use. Default: 150 seconds."""
    clock_skew: timedelta = timedelta(0)
    """Set by the role. How far the issuer's clock may be off, for every comparison. Default: 60 seconds."""

    def verify(self) -> None:
        """Refuse leeways beyond their maxima.

        Raises:
            ValueError: one is too long.
        """
        longest = {
            "expiration": MAX_LIFETIME_LEEWAY,
            "not_before": MAX_LIFETIME_LEEWAY,
            "clock_skew": MAX_CLOCK_SKEW_LEEWAY,
        }
        for name, limit in longest.items():
            if getattr(self, name) > limit:
                raise ValueError(f"'{name}_leeway' is longer than {limit // timedelta(hours=1)} h")

    def or_else(self, others: Leeways) -> Leeways:
        """Return these, and those of `others` where these are zero."""
        if others is DEFAULT_LEEWAYS:
            return self
        return Leeways(
            self.expiration or others.expiration,
            self.not_before or others.not_before,
            self.clock_skew or others.clock_skew,
        )


DEFAULT_LEEWAYS = Leeways()
"""Those of a role that says nothing."""


def verify_registered_claims(
    claims: Claims,
    *,
    issuer: str = "",
    audiences: Collection[str] = (),
    subject: str = "",
    leeways: Leeways = DEFAULT_LEEWAYS,
    now: float,
    checks: Checks = NO_RECORD,
) -> None:
    """Refuse registered claims (RFC 7519 section 4.1) that are malformed, not bound, or not valid at `now`.

    Differs from cap in one rule: a date of 0 is a date (1970) there it is, not an absent one.
    Dates beyond the year 9999 are refused as malformed; fractions of a second are cut off.

    Raises:
        TokenError: the claims are refused.
    """
    verify_collections(audiences=audiences)
    with checks.step("registered claims", REGISTERED_FORM, lambda: show_registered(claims)):
        found_issuer, found_subject = get_text(claims, "iss"), get_text(claims, "sub")
        get_text(claims, "jti")
        found_audiences = get_audiences(claims)
        issued, expires, begins = get_date(claims, "iat"), get_date(claims, "exp"), get_date(claims, "nbf")

    if issuer:
        checks.require(
            "iss",
            found_issuer == issuer,
            "the token is of another issuer (iss)",
            code="issuer_mismatch",
            expected=issuer,
            had=found_issuer or None,
        )
    if subject:
        checks.require(
            "sub",
            found_subject == subject,
            "the token is about another subject (sub)",
            code="subject_mismatch",
            expected=subject,
            had=found_subject or None,
        )
    if audiences:
        verify_audience(found_audiences, audiences, "aud", checks)
    verify_times(issued, expires, begins, leeways, now, checks=checks)


def verify_audience(found: Sequence[str], bound: Collection[str], name: str, checks: Checks) -> None:
    """Refuse a token without a bound audience. The comparison is exact.

    Raises:
        TokenError: no audience is bound.
    """
    checks.require(
        name,
        # A blank audience never matches, even if it is bound.
        any(audience in bound and audience.strip() for audience in found),
        "the token is for none of the expected audiences (aud)",
        code="audience_mismatch",
        expected=("one of {}", bound),
        had=found,
    )


def verify_audience_is_bound(claims: Claims, is_bound: bool, *, checks: Checks = NO_RECORD) -> None:
    """Refuse a token with an audience where none is bound.

    A rule of the login, not of the token: without any bound audience a token for another service
    would do.

    Raises:
        TokenError: it has an audience, and none is bound.
    """
    checks.require(
        "aud is bound",
        is_bound or not claims.get("aud"),
        "the token has an audience (aud), and none is bound",
        code="audience_not_bound",
        expected=("no aud, or a bound audience",),
        had=claims.get("aud"),
    )


def verify_times(
    issued: int | None,
    expires: int | None,
    begins: int | None,
    leeways: Leeways,
    now: float,
    *,
    checks: Checks = NO_RECORD,
) -> None:
    """Compare the dates in `iat`, `exp` and `nbf` with the clock, each `None` without such a claim.

    Raises:
        TokenError: the token is not valid now, or has no date at all.
    """
    checks.require(
        "dates",
        issued is not None or expires is not None or begins is not None,
        "the token has no date: neither iat, nbf nor exp",
        code="dates_missing",
        expected=("iat, nbf or exp",),
        had=("iat {:date}, nbf {:date}, exp {:date}", issued, begins, expires),
        is_last=True,
    )
    skew = _seconds(leeways.clock_skew, _DEFAULT_CLOCK_SKEW_LEEWAY, MAX_CLOCK_SKEW_LEEWAY)
    start, end = _validity(issued, expires, begins, leeways)
    # Each comparison fails for a clock that returns NaN.
    checks.require(
        "nbf",
        now + skew >= start,
        "the token is not valid yet (nbf)",
        code="not_yet_valid",
        expected=("{:date} or before", now + skew),
        had=("{:date}", start),
    )
    checks.require(
        "exp",
        now - skew <= end,
        "the token has expired (exp)",
        code="expired",
        expected=("{:date} or after", now - skew),
        had=("{:date}", end),
    )
    if issued is not None:
        checks.require(
            "iat",
            now + skew >= issued,
            "the token was issued in the future (iat)",
            code="issued_in_future",
            expected=("{:date} or before", now + skew),
            had=("{:date}", issued),
        )


def _validity(
    issued: int | None, expires: int | None, begins: int | None, leeways: Leeways
) -> tuple[float, float]:
    """Return when a token begins and ends to be valid; a leeway stands in for a date that is missing."""
    starts = [date for date in (issued, begins) if date is not None]
    end: float = (
        max(starts) + _seconds(leeways.expiration, _DEFAULT_EXPIRATION_LEEWAY, MAX_LIFETIME_LEEWAY)
        if expires is None
        else expires
    )
    if begins is not None:
        return begins, end
    if issued is not None:
        return issued, end
    return end - _seconds(leeways.not_before, _DEFAULT_NOT_BEFORE_LEEWAY, MAX_LIFETIME_LEEWAY), end


def _seconds(leeway: timedelta, default: timedelta, longest: timedelta) -> float:
    return max(min(leeway or default, longest).total_seconds(), 0.0)


def get_text(claims: Claims, name: str) -> str:
    """Return the text of a claim, empty without one.

    Raises:
        TokenError: it is no string.
    """
    value = claims.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        facts = {"claim": name, "kind": _json_kind(value)}
        raise TokenError(f"the claim {quote(name)} is not a string", code="claim_not_text", facts=facts)
    return value


def get_audiences(claims: Claims) -> Sequence[str]:
    """Return the audiences of the token; none if it has no `aud`.

    Raises:
        TokenError: `aud` is neither a string nor a list of strings.
    """
    value = claims.get("aud", [])
    if isinstance(value, str):
        return [value]
    if isinstance(value, list) and all(isinstance(audience, str) for audience in value):
        return value
    text = 'the claim "aud" is neither a string nor a list of strings'
    raise TokenError(text, code="audience_not_text")


def get_date(claims: Claims, name: str) -> int | None:
    """Return the seconds since 1970 that a claim holds, `None` without one; fractions are cut off.

    Raises:
        TokenError: it is no number, or one beyond the year 9999.
    """
    value = claims.get(name)
    if value is None or (type(value) is int and 0 <= value <= MAX_DATE):
        return value  # nearly always
    # `bool` is a kind of `int` in Python. The comparison also fails for NaN.
    if isinstance(value, bool) or not isinstance(value, int | float) or not -MAX_DATE <= value <= MAX_DATE:
        raise TokenError(
            f"the claim {quote(name)} is not a date",
            f"claim {name} is no date, or one beyond the year 9999",
            code="claim_not_date",
        )
    return int(value)


def _json_kind(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "number"
    return "array" if isinstance(value, list) else "object"
