"""The checks of an ID token that a login at its provider has brought (OpenID Connect Core 1.0, 3.1.3.7).

Requests for tokens: `authkit.oidc.client.client`. Bound claims: `authkit.oidc.tokens.claims`. Tokens that
callers bring themselves: `authkit.oidc.tokens.verifier`, whose strict parsing is used here.

Order and rules are those of hashicorp/cap 0.13 (oidc/provider.go, VerifyIDToken) and go-oidc 3.11,
which vault-plugin-auth-jwt 0.26 uses. Refused beyond that are tokens without `kid` of an issuer with several
keys that fit, those whose `typ` says that they are of another kind, and dates beyond the year 9999.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Collection, Sequence
from typing import Any, ClassVar

from authkit.base64url import encode_base64url
from authkit.errors import TokenError
from authkit.masking import Secret
from authkit.oidc.keys.key import KeySource
from authkit.oidc.tokens.check_values import (
    CLAIMS_FORM,
    JWT_FORM,
    REGISTERED_FORM,
    show_claims,
    show_form,
    show_registered,
)
from authkit.oidc.tokens.checks import NO_RECORD, Checks
from authkit.oidc.tokens.jws import UnknownAlgorithmError, UnverifiedToken
from authkit.oidc.tokens.registered_claims import (
    DEFAULT_LEEWAYS,
    Claims,
    Leeways,
    get_audiences,
    get_date,
    get_text,
    verify_times,
)
from authkit.oidc.tokens.token_types import PROFILES, find_profile
from authkit.oidc.tokens.verifier import parse_claims, take_apart, verify_signer
from authkit.printable import quote, to_printable
from authkit.values import Value

__all__ = [
    "DEFAULT_ALGORITHMS",
    "IDTokenRules",
    "verify_age",
    "verify_id_token",
    "verify_token_hash",
]

DEFAULT_ALGORITHMS = ("RS256",)
"""What an ID token is signed with unless a client says otherwise (OpenID Connect Core 1.0, 3.1.3.7)."""

NOT_BEFORE_LEEWAY = 300
"""Seconds, as in go-oidc 3.11."""

CLOCK_LEEWAY = 60
"""Seconds for `iat` and `auth_time`, as in cap 0.13."""

_MAX_SHOWN_CHARACTERS = 200
"""How much of a claim a message repeats."""

_SHOWN_OF_NONCE = 6
"""How many characters of a nonce a check shows."""

_GOOGLE = "https://accounts.google.com"
"""The issuer whose tokens may leave out the scheme, as Google documents."""


class IDTokenRules(Value, frozen=True, kw_only=True):
    """What an ID token has to be. Made by `OIDCClient` from itself and the request of the login."""

    issuer: str
    """Exactly the `iss`, from the provider's metadata."""
    client_id: str
    """For whom it has to be."""
    algorithms: tuple[str, ...] = DEFAULT_ALGORITHMS
    """What it may be signed with."""
    nonce: str | None = None
    """What the login's request held; `None` for a token without such a request."""
    subject: str = ""
    """The `sub` it must have, for tokens of a refresh; empty for any."""
    audiences: tuple[str, ...] = ()
    """One of which it must be for, as the role binds them; empty for none beside the client's."""
    max_age: int = 0
    """Seconds since the user has last proven who they are, at most; 0 if the request did not ask."""
    requested_at: float = 0.0
    """When the login began, in seconds since 1970, for `max_age`."""
    profile: str = "any"
    """The kind of token that it must be besides an ID token, as a role binds it."""
    leeways: Leeways = DEFAULT_LEEWAYS
    """Those that a role sets: they bound the dates besides the rules for ID tokens, and never widen these."""

    unshown: ClassVar = ("nonce",)


async def verify_id_token(
    token: Secret | str,
    keys: KeySource,
    rules: IDTokenRules,
    *,
    now: float,
    checks: Checks = NO_RECORD,
) -> tuple[UnverifiedToken, Claims]:
    """Return the token taken apart, which is verified then, and its claims.

    A token of another issuer, an expired one and one with a disallowed algorithm are refused before keys are
    asked for.

    Raises:
        TokenError: it is not acceptable.
        KeySourceError: the keys cannot be set up.
        ValueError: there is no such profile.
    """
    kind = find_profile(rules.profile)
    unverified = _take_apart(token, checks)
    with checks.step("claims", CLAIMS_FORM, lambda: show_claims(unverified.payload)):
        claims = parse_claims(unverified)
    with checks.step("registered claims", REGISTERED_FORM, lambda: show_registered(claims)):
        issuer, subject = get_text(claims, "iss"), get_text(claims, "sub")
        party = get_text(claims, "azp") if "azp" in claims else None
        expires, begins, issued = (get_date(claims, name) for name in ("exp", "nbf", "iat"))
        audiences = get_audiences(claims)
    _verify_sources(claims, checks)
    _verify_issuer(issuer, rules.issuer, checks)
    _verify_validity(expires, begins, now, checks)
    PROFILES["id_token"].verify_header(unverified, checks=checks)
    kind.verify_header(unverified, checks=checks)
    _verify_algorithm(unverified, rules.algorithms, checks)
    await verify_signer(unverified, keys, checks, is_kid_needed=True)
    _verify_nonce(claims.get("nonce"), rules.nonce, checks)
    _verify_issued(issued, now, checks)
    if rules.leeways != DEFAULT_LEEWAYS:
        verify_times(issued, expires, begins, rules.leeways, now, checks=checks)
    _verify_subject(subject, rules.subject, checks)
    _verify_audiences(audiences, rules, checks)
    _verify_party(party, audiences, rules.client_id, checks)
    if rules.max_age > 0:
        verify_age(claims, rules.max_age, rules.requested_at, checks=checks)
    kind.verify_claims(claims, checks=checks)
    return unverified, claims


def verify_token_hash(
    token: UnverifiedToken, claims: Claims, name: str, value: Secret, checks: Checks
) -> None:
    """Refuse the token if its claim `name` is not the hash of `value` by the algorithm of the token.

    Which hash belongs to EdDSA is not settled: such tokens are not looked at, as in cap 0.13.

    Raises:
        TokenError: it is another's.
    """
    found = claims.get(name)
    if found is None or token.algorithm == "EdDSA":
        return
    digest = hashlib.new(f"sha{token.algorithm[2:]}", value.reveal().encode()).digest()
    expected = encode_base64url(digest[: len(digest) // 2])
    checks.require(
        name,
        isinstance(found, str) and hmac.compare_digest(found.encode(), expected.encode()),
        f"the token is not for what came with it ({name})",
        code=f"id_token_{name}_mismatch",
        expected=("{}, the hash of what came with the token", expected),
        had=found,
    )


def _take_apart(token: Secret | str, checks: Checks) -> UnverifiedToken:
    with checks.step("form", JWT_FORM, lambda: show_form(token)):
        try:
            return take_apart(token, NO_RECORD)
        except UnknownAlgorithmError as error:
            code = "id_token_algorithm_unknown"
            raise TokenError(error.public, error.detail, code=code, facts=error.facts) from error


def _verify_sources(claims: Claims, checks: Checks) -> None:
    names, sources = claims.get("_claim_names"), claims.get("_claim_sources")
    if names is None:
        return
    known: Collection[Any] = sources if isinstance(sources, dict) else ()
    checks.require(
        "claim sources",
        isinstance(names, dict)
        and all(isinstance(source, str) and source in known for source in names.values()),
        "the token names a claim source that it does not have",
        code="id_token_claim_source_missing",
        expected=("for each claim one of {}", sorted(known)),
        had=names,
    )


def _verify_issuer(found: str, issuer: str, checks: Checks) -> None:
    is_google = issuer == _GOOGLE and found == _GOOGLE.removeprefix("https://")
    checks.require(
        "iss",
        found == issuer or is_google,
        f"the token is of another issuer (iss), {quote(_cut(found))} instead of {quote(issuer)}",
        code="id_token_issuer_mismatch",
        facts={"expected": issuer, "found": _cut(found)},
        expected=issuer,
        had=found or None,
        # Keys of this issuer say nothing of tokens of another.
        is_last=True,
    )


def _verify_validity(expires: int | None, begins: int | None, now: float, checks: Checks) -> None:
    # Each comparison fails for a clock that returns NaN.
    checks.require(
        "exp",
        expires is not None and now < expires,
        "the token has expired (exp)",
        code="id_token_expired",
        facts={"expires": expires},
        expected=("later than {:date}", now),
        had=None if expires is None else ("{:date}", expires),
    )
    if begins is not None:
        checks.require(
            "nbf",
            now + NOT_BEFORE_LEEWAY >= begins,
            "the token is not valid yet (nbf)",
            code="id_token_not_yet_valid",
            facts={"now": now, "begins": begins},
            expected=("{:date} or before", now + NOT_BEFORE_LEEWAY),
            had=("{:date}", begins),
        )


def _verify_algorithm(token: UnverifiedToken, algorithms: Sequence[str], checks: Checks) -> None:
    checks.require(
        "algorithm",
        token.algorithm in algorithms,
        "the token is signed with an algorithm that is not allowed (alg)",
        code="id_token_algorithm_not_allowed",
        facts={"expected": algorithms, "algorithm": token.algorithm},
        expected=("one of {}", algorithms),
        had=token.algorithm,
        is_last=True,
    )


def _verify_nonce(found: Any, nonce: str | None, checks: Checks) -> None:
    if nonce is None:
        return
    checks.require(
        "nonce",
        # A request without a nonce proves nothing: then no token will do.
        bool(nonce) and isinstance(found, str) and hmac.compare_digest(found.encode(), nonce.encode()),
        "the token is for another login (nonce)",
        code="id_token_nonce_mismatch",
        expected=("{}, the nonce of this login", _beginning(nonce)),
        had=_beginning(found) if isinstance(found, str) else found,
    )


def _verify_issued(issued: int | None, now: float, checks: Checks) -> None:
    if issued is None:
        return
    checks.require(
        "iat",
        now + CLOCK_LEEWAY >= issued,
        "the token was issued in the future (iat)",
        code="id_token_issued_in_future",
        facts={"now": now, "issued": issued},
        expected=("{:date} or before", now + CLOCK_LEEWAY),
        had=("{:date}", issued),
    )


def _verify_subject(found: str, subject: str, checks: Checks) -> None:
    checks.require(
        "sub",
        bool(found),
        "the token has no subject (sub)",
        code="id_token_subject_missing",
        expected=("a subject",),
        had=found or None,
    )
    if subject:
        checks.require(
            "same sub",
            found == subject,
            "the token is about another subject (sub) than the login",
            code="id_token_subject_mismatch",
            expected=subject,
            had=found or None,
        )


def _verify_audiences(audiences: Sequence[str], rules: IDTokenRules, checks: Checks) -> None:
    checks.require(
        "aud",
        bool(audiences),
        "the token has no audience (aud)",
        code="id_token_audience_missing",
        expected=("an audience",),
        had=audiences or None,
    )
    if rules.audiences:
        checks.require(
            "bound aud",
            any(audience in rules.audiences for audience in audiences),
            "the token is for none of the bound audiences (aud)",
            code="id_token_audience_mismatch",
            expected=("one of {}", rules.audiences),
            had=audiences,
        )
    checks.require(
        "aud has the client",
        len(audiences) < 2 or rules.client_id in audiences,
        "the token has several audiences (aud), and the client is none of them",
        code="id_token_client_not_in_audience",
        facts={"audiences": _cut(" ".join(audiences)), "client_id": rules.client_id},
        expected=("{} among several", rules.client_id),
        had=audiences,
    )


def _verify_party(party: str | None, audiences: Sequence[str], client_id: str, checks: Checks) -> None:
    is_only = list(audiences) == [client_id]
    checks.require(
        "azp",
        party == client_id or (party is None and is_only),
        "the token is for another client (azp)",
        code="id_token_party_mismatch",
        facts={
            "party": None if party is None else _cut(party),
            "audiences": _cut(" ".join(audiences)),
            "are_several": len(audiences) > 1,
            "client_id": client_id,
        },
        expected=("{}, or none where that is the only aud", client_id),
        had=party,
    )


def verify_age(claims: Claims, max_age: float, requested_at: float, *, checks: Checks = NO_RECORD) -> None:
    """Compare when the user last proved who they are (`auth_time`) with the longest age that is allowed.

    Args:
        max_age: seconds between that and `requested_at`, at most; a minute is added for clocks.
        requested_at: when the login began, in seconds since 1970.

    Raises:
        TokenError: it was longer ago, or the token does not say when it was.
    """
    found: Any = claims.get("auth_time")
    is_number = isinstance(found, int | float) and not isinstance(found, bool)
    checks.require(
        "auth_time",
        is_number,
        "the token does not say when the user last logged in (auth_time)",
        code="auth_time_missing",
        expected=("a date",),
        had=("{:date}", found) if is_number else found,
        is_last=True,
    )
    earliest = requested_at - max_age
    checks.require(
        "max_age",
        found + CLOCK_LEEWAY > earliest,
        "the user last logged in longer ago than is allowed (auth_time)",
        code="auth_time_too_old",
        facts={"auth_time": found, "max_age": max_age, "earliest": earliest},
        expected=("later than {:date}", earliest - CLOCK_LEEWAY),
        had=("{:date}", found),
    )


def _beginning(nonce: str) -> str:
    """Return enough of a nonce to compare it, and too little to use it."""
    return nonce[: min(_SHOWN_OF_NONCE, len(nonce) // 4)] + "..."


def _cut(text: str) -> str:
    return to_printable(text if len(text) <= _MAX_SHOWN_CHARACTERS else text[:_MAX_SHOWN_CHARACTERS] + "...")
