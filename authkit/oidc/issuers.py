"""Several issuers side by side: a token's `iss` picks the one whose keys may have signed it.

The verification itself is left to `authkit.oidc.tokens`. vault-plugin-auth-jwt 0.26 has one issuer
per mount, or several key sets that all sign for everybody.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from authkit.errors import TokenError
from authkit.masking import Secret
from authkit.oidc.checks import NO_RECORD, Checks
from authkit.oidc.jws import UnverifiedToken
from authkit.oidc.registered import DEFAULT_LEEWAYS, Claims, Leeways
from authkit.oidc.tokens import TokenVerifier, parse_claims, take_apart
from authkit.values import Value, verify_collections

__all__ = ["DEFAULT_ISSUER", "Issuers", "VerifiedToken"]

DEFAULT_ISSUER: Final = "default"
"""The name of the issuer of all tokens that no other issuer has: that of the plain configuration."""


class VerifiedToken(Value, frozen=True):
    """A token that is authentic, meant for us, and valid."""

    claims: Claims
    """What it says."""
    issuer: str
    """The name of who vouches for that."""
    verifier: TokenVerifier
    """What has verified it."""


class Issuers:
    """The issuers of one mount.

    A token whose `iss` is exactly that of a named issuer is verified by that one alone: no other
    key can sign for it. Every other token, also one without `iss`, is the default issuer's.

    Args:
        named: by name, each with an `issuer` of its own.
        default: for all other tokens, as if there were no named ones; `None` refuses them.

    Raises:
        ValueError: a named issuer has no `issuer`, two have the same, or one has the default's name.
    """

    def __init__(self, named: Mapping[str, TokenVerifier] = {}, default: TokenVerifier | None = None) -> None:
        verify_collections(named=named)
        self._by_iss: dict[str, tuple[str, TokenVerifier]] = {}
        for name, verifier in named.items():
            if name == DEFAULT_ISSUER:
                raise ValueError(f"{name!r} is the name of the default issuer")
            if not verifier.issuer:
                raise ValueError(f"issuer {name!r} has no iss by which to pick it")
            other, _ = self._by_iss.setdefault(verifier.issuer, (name, verifier))
            if other != name:
                raise ValueError(f"issuers {other!r} and {name!r} have the same iss")
        self._default = default

    async def verify(
        self,
        token: Secret | str,
        *,
        among: Collection[str],
        audiences: Collection[str] = (),
        subject: str = "",
        leeways: Leeways = DEFAULT_LEEWAYS,
        profile: str = "any",
        checks: Checks = NO_RECORD,
    ) -> VerifiedToken:
        """Return the token as its issuer verified it, if that is one of those named in `among`.

        An issuer outside `among` is not asked for keys, and nobody else can sign for it. The other
        arguments, and errors: `TokenVerifier.verify`.
        """
        verify_collections(among=among, audiences=audiences)
        unverified = take_apart(token, checks)
        name, verifier = self._pick(unverified, among, checks)
        claims = await verifier.verify_unverified(unverified, audiences, subject, leeways, profile, checks)
        return VerifiedToken(claims, name, verifier)

    def _pick(
        self, token: UnverifiedToken, among: Collection[str], checks: Checks
    ) -> tuple[str, TokenVerifier]:
        if not self._by_iss and self._default is not None and DEFAULT_ISSUER in among:
            return DEFAULT_ISSUER, self._default
        iss = _read_issuer(token)
        name, picked = self._by_iss.get(iss, (DEFAULT_ISSUER, self._default))
        checks.require(
            "issuer",
            picked is not None and name in among,
            "invalid issuer (iss) claim",
            expected=("that of an issuer among {}", list(among)),
            had=("{}, which no issuer has", iss) if picked is None else ("{}, which is issuer {}", iss, name),
            detail=f"the token's issuer is none of {', '.join(among)}",
            is_last=True,
        )
        if picked is None:
            raise TokenError("invalid issuer (iss) claim", "the token's issuer is unknown")
        return name, picked


def _read_issuer(token: UnverifiedToken) -> str:
    """Return what the token says, for picking only; empty for claims that nobody could accept."""
    try:
        issuer = parse_claims(token).get("iss")
    except TokenError:
        return ""
    return issuer if isinstance(issuer, str) else ""
