"""Several issuers side by side: a token's `iss` picks the one whose keys may have signed it.

Verification: `authkit.oidc.tokens.verifier`. vault-plugin-auth-jwt 0.26 has one issuer
per mount, or several key sets that all sign for everybody.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from authkit.errors import TokenError
from authkit.masking import Secret
from authkit.names import fold_name
from authkit.oidc.tokens.checks import NO_RECORD, Checks
from authkit.oidc.tokens.jws import UnverifiedToken
from authkit.oidc.tokens.registered_claims import DEFAULT_LEEWAYS, Claims, Leeways
from authkit.oidc.tokens.verifier import TokenVerifier, parse_claims, take_apart
from authkit.values import Value, verify_collections

__all__ = ["DEFAULT_ISSUER", "ISSUER_SEPARATOR", "Issuers", "VerifiedToken"]

ISSUER_SEPARATOR: Final = "|"
"""What separates an issuer's `iss` from the rest of a user's name, and cannot be part of a URL (RFC 3986)."""

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

    A token's `iss` picks the issuer that verifies it: no other key can sign for it. Without named issuers
    all tokens are the default issuer's, also those without `iss`.

    Issuers are picked without regard to case, and then their `iss` must be exact: a server ignores case in
    the names of users, so that two issuers, or two spellings of one, would share them. Beside named issuers
    the default one needs an `issuer` too: its keys could sign for users of an issuer that is named later.

    Args:
        named: by name, each with an `issuer` of its own; one with that of the default takes its place.
        default: that of the plain configuration; `None` if there is none.
        also_default: further `iss` with which the default issuer names users elsewhere, as in browser logins.

    Raises:
        ValueError: a named issuer has no `issuer`, two have the same but for case, or one has the
            default's name.
    """

    def __init__(
        self,
        named: Mapping[str, TokenVerifier] = {},
        default: TokenVerifier | None = None,
        *,
        also_default: Collection[str] = (),
    ) -> None:
        verify_collections(named=named, also_default=also_default)
        self._by_iss: dict[str, tuple[str, TokenVerifier]] = {}
        for name, verifier in named.items():
            if name == DEFAULT_ISSUER:
                raise ValueError(f"{name!r} is the name of the default issuer")
            if not verifier.issuer:
                raise ValueError(f"issuer {name!r} has no iss by which to pick it")
            other, _ = self._by_iss.setdefault(fold_name(verifier.issuer), (name, verifier))
            if other != name:
                raise ValueError(f"issuers {other!r} and {name!r} have the same iss")
        self._default = default
        self._is_default_alone = default is not None and not named
        self.are_several = len(named) + (default is not None) > 1
        """Whether tokens of more than one issuer can be accepted."""
        if default is not None and default.issuer:
            self._by_iss.setdefault(fold_name(default.issuer), (DEFAULT_ISSUER, default))
        self._owners = dict.fromkeys(map(fold_name, also_default), DEFAULT_ISSUER)
        self._owners |= {iss: name for iss, (name, _) in self._by_iss.items()}

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

        An issuer outside `among` is not asked for keys, and no other can sign for it. The other
        arguments, and errors: `TokenVerifier.verify`.
        """
        verify_collections(among=among, audiences=audiences)
        unverified = take_apart(token, checks)
        name, verifier = self._pick(unverified, among, checks)
        claims = await verifier.verify_unverified(unverified, audiences, subject, leeways, profile, checks)
        return VerifiedToken(claims, name, verifier)

    def verify_user(self, name: str, issuer: str, checks: Checks = NO_RECORD) -> None:
        """Refuse a user name of `issuer` that belongs to another issuer.

        Names that begin with an `iss` and `ISSUER_SEPARATOR` are that issuer's, whatever their case.

        Raises:
            TokenError: the name is another issuer's.
        """
        iss, separator, _ = name.partition(ISSUER_SEPARATOR)
        owner = self._owners.get(fold_name(iss), issuer) if separator else issuer
        checks.require(
            "user of the issuer",
            owner == issuer,
            "the user claim names a user of another issuer",
            code="user_of_another_issuer",
            expected=("a user of issuer {}", issuer),
            had=("{}, a user of issuer {}", name, owner),
        )

    def _pick(
        self, token: UnverifiedToken, among: Collection[str], checks: Checks
    ) -> tuple[str, TokenVerifier]:
        if self._is_default_alone and self._default is not None and DEFAULT_ISSUER in among:
            return DEFAULT_ISSUER, self._default
        iss = _read_issuer(token)
        rest = self._default if self._is_default_alone else None
        name, picked = self._by_iss.get(fold_name(iss), (DEFAULT_ISSUER, rest))
        is_unnamed = (
            picked is None and name in among and self._default is not None and not self._default.issuer
        )
        checks.require(
            "issuer",
            picked is not None and name in among,
            "the token is of no issuer that is accepted here (iss)",
            code="issuer_not_accepted",
            facts={"is_default_unnamed": is_unnamed},
            expected=("that of an issuer among {}", list(among)),
            had=("{}, which no issuer has", iss) if picked is None else ("{}, which is issuer {}", iss, name),
            detail=f"the token's issuer is not one of those allowed here: {', '.join(among)}",
            is_last=True,
        )
        if picked is None:
            text = "the token is of no issuer that is accepted here (iss)"
            raise TokenError(text, "the token's issuer is unknown", code="issuer_not_accepted")
        return name, picked


def _read_issuer(token: UnverifiedToken) -> str:
    """Return the `iss` of an unverified token, to choose its issuer; empty for malformed claims."""
    try:
        issuer = parse_claims(token).get("iss")
    except TokenError:
        return ""
    return issuer if isinstance(issuer, str) else ""
