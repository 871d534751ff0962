"""Several issuers side by side: a token's `iss` picks the one whose keys may have signed it.

The verification itself is left to `authkit.oidc.tokens`. vault-plugin-auth-jwt 0.26 has one issuer
per mount, or several key sets that all sign for everybody.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from authkit.errors import TokenError
from authkit.masking import Secret
from authkit.oidc.checks import NO_RECORD, Checks
from authkit.oidc.jws import UnverifiedToken
from authkit.oidc.registered import DEFAULT_LEEWAYS, Claims, Leeways
from authkit.oidc.tokens import TokenVerifier, parse_claims, take_apart

__all__ = ["Issuers", "VerifiedToken"]


@dataclass(frozen=True, slots=True)
class VerifiedToken:
    """A token that is authentic, meant for us, and valid."""

    claims: Claims
    """What it says."""
    issuer: TokenVerifier
    """Who vouches for that."""


class Issuers:
    """The issuers of one mount.

    A token whose `iss` is exactly that of a named issuer is verified by that one alone: no other
    key can sign for it. Every other token, also one without `iss`, is the default issuer's.

    Args:
        named: each with an `issuer` of its own.
        default: for all other tokens, as if there were no named ones; `None` refuses them.

    Raises:
        ValueError: a named issuer has no `issuer`, or two have the same.
    """

    def __init__(self, named: Sequence[TokenVerifier] = (), default: TokenVerifier | None = None) -> None:
        self._named: dict[str, TokenVerifier] = {}
        for verifier in named:
            if not verifier.issuer:
                raise ValueError(f"issuer {verifier.name!r} has no iss by which to pick it")
            if verifier.issuer in self._named:
                other = self._named[verifier.issuer].name
                raise ValueError(f"issuers {other!r} and {verifier.name!r} have the same iss")
            self._named[verifier.issuer] = verifier
        self._default = default

    async def verify(
        self,
        token: Secret | str,
        *,
        audiences: Collection[str] = (),
        subject: str = "",
        leeways: Leeways = DEFAULT_LEEWAYS,
        profile: str = "any",
        checks: Checks = NO_RECORD,
    ) -> VerifiedToken:
        """Return the token as its issuer verified it. Arguments and errors: `TokenVerifier.verify`."""
        unverified = take_apart(token, checks)
        issuer = self._pick(unverified, checks)
        claims = await issuer.verify_unverified(unverified, audiences, subject, leeways, profile, checks)
        return VerifiedToken(claims, issuer)

    def _pick(self, token: UnverifiedToken, checks: Checks) -> TokenVerifier:
        picked = self._default
        if self._named:
            iss = _read_issuer(token)
            picked = self._named.get(iss, picked)
            checks.require(
                "issuer",
                picked is not None,
                "invalid issuer (iss) claim",
                expected=("one of {}", list(self._named)) if picked is None else ("one that is known",),
                had=("{}, which is issuer {}", iss, picked.name or "by default") if picked else iss,
                is_last=True,
            )
        if picked is None:
            raise TokenError("invalid issuer (iss) claim", "there is no issuer at all")
        return picked


def _read_issuer(token: UnverifiedToken) -> str:
    """Return what the token says, for picking only; empty for claims that nobody could accept."""
    try:
        issuer = parse_claims(token).get("iss")
    except TokenError:
        return ""
    return issuer if isinstance(issuer, str) else ""
