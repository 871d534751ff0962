"""Kinds of tokens (RFC 8725 section 3.11): what their header says, and what they cannot be without.

A token made for one purpose must not serve for another. Everything that all kinds have in common is
in `authkit.oidc.tokens.jws` and `authkit.oidc.tokens.registered_claims`.
"""

from __future__ import annotations

import re

from authkit.oidc.keys.key import ALGORITHMS
from authkit.oidc.tokens.checks import NO_RECORD, Checks
from authkit.oidc.tokens.jws import UnverifiedToken
from authkit.oidc.tokens.registered_claims import Claims
from authkit.printable import quote
from authkit.values import Value

__all__ = ["PROFILES", "Profile", "find_profile"]

_MAX_SHOWN_CHARACTERS = 64
"""How much of a header parameter a message repeats."""

_SPIFFE_ID = re.compile(r"spiffe://[a-z0-9._-]{1,255}(?:/[A-Za-z0-9._-]+)+")
"""SPIFFE-ID section 2; a JWT-SVID names a workload, so there is a path. Dots alone are checked apart."""

_MAX_SPIFFE_ID_BYTES = 2048


class Profile(Value, frozen=True):
    """One kind of token. Use those of `PROFILES`."""

    name: str
    """As a role names it."""
    types: tuple[str, ...] = ()
    """The `typ` headers it may have, in lower case and without `application/`; empty for any."""
    is_type_required: bool = False
    """Whether it must have a `typ`."""
    claims: tuple[str, ...] = ()
    """The claims it must have."""
    algorithms: tuple[str, ...] = ALGORITHMS
    """What it may be signed with."""

    def verify_header(self, token: UnverifiedToken, *, checks: Checks = NO_RECORD) -> None:
        """Refuse a token whose header is of another kind. It need not be verified yet.

        Raises:
            TokenError: `typ` or `alg` is of another kind.
        """
        if not self.types:
            return
        found = token.type
        kind = found.lower().removeprefix("application/") if isinstance(found, str) else found
        checks.require(
            "typ",
            kind in self.types or (found is None and not self.is_type_required),
            f"the token is not of the type {self.name} (typ)",
            code="type_mismatch",
            facts={"type": self.name},
            expected=("one of {}", self.types)
            if self.is_type_required
            else ("none, or one of {}", self.types),
            had=found,
        )
        checks.require(
            "algorithm of the kind",
            token.algorithm in self.algorithms,
            f"the token is signed with an algorithm that {self.name} does not have (alg)",
            code="algorithm_of_type_mismatch",
            facts={"type": self.name},
            expected=("one of {}", self.algorithms),
            had=token.algorithm,
        )

    def verify_claims(self, claims: Claims, *, checks: Checks = NO_RECORD) -> None:
        """Refuse claims that such a token cannot have.

        Raises:
            TokenError: one is missing or has another form.
        """
        if not self.claims:
            return
        missing = [name for name in self.claims if claims.get(name) in (None, "", [])]
        checks.require(
            "claims of the kind",
            not missing,
            f"the token lacks claims of the type {self.name}: {', '.join(missing)}",
            code="claims_of_type_missing",
            facts={"type": self.name, "claims": missing},
            expected=("all of {}", self.claims),
            had=[name for name in self.claims if name not in missing],
        )
        if self.name == "jwt-svid":
            subject = claims.get("sub")
            checks.require(
                "SPIFFE ID",
                isinstance(subject, str) and _is_spiffe_id(subject),
                "the subject is not a SPIFFE ID (sub)",
                code="subject_not_spiffe_id",
                expected=("spiffe://<trust domain>/<path>",),
                had=subject,
            )


PROFILES = {
    profile.name: profile
    for profile in (
        Profile("any"),
        # OpenID Connect Core 1.0 section 2 asks for these claims, and for no typ. Tokens for another
        # purpose have one: at+jwt, logout+jwt, secevent+jwt, dpop+jwt.
        Profile("id_token", ("jwt",), claims=("iss", "sub", "aud", "exp", "iat")),
        # RFC 9068 sections 2.1, 2.2 and 4.
        Profile(
            "at+jwt",
            ("at+jwt",),
            is_type_required=True,
            claims=("iss", "exp", "aud", "sub", "client_id", "iat", "jti"),
        ),
        # SPIFFE JWT-SVID sections 2 and 3.
        Profile(
            "jwt-svid",
            ("jwt", "jose"),
            claims=("sub", "aud", "exp"),
            algorithms=tuple(name for name in ALGORITHMS if name != "EdDSA"),
        ),
    )
}
"""What a role may ask for. `any` asks for nothing, as vault-plugin-auth-jwt 0.26 does."""


def find_profile(name: str) -> Profile:
    """Return the profile of this name.

    Raises:
        ValueError: the name is unknown.
    """
    if name not in PROFILES:
        known = ", ".join(PROFILES)
        raise ValueError(f"unknown token type {quote(name[:_MAX_SHOWN_CHARACTERS])}; known are {known}")
    return PROFILES[name]


def _is_spiffe_id(text: str) -> bool:
    if len(text) > _MAX_SPIFFE_ID_BYTES or not _SPIFFE_ID.fullmatch(text):
        return False
    return not {".", ".."} & set(text.split("/"))
