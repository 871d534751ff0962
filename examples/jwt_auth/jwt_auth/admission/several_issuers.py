"""Several issuers on one mount: the rules that keep their users apart.

A server knows users by the names of their aliases, and ignores case in them. Which issuer a token belongs
to is decided by `authkit.oidc.Issuers`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from authkit import UserError, fold_name
from authkit.oidc import Checks, Issuers, TokenVerifier
from jwt_auth.settings.config import JWTConfig
from jwt_auth.settings.issuer import JWTIssuer
from jwt_auth.settings.role import JWTRole

__all__ = [
    "distinct",
    "find_problem",
    "find_refusal",
    "has_several",
    "verify_config",
    "verify_issuer",
    "verify_roles",
    "verify_user",
]

USERS_RULE: Final = (
    "'user_claim' has to begin with '{iss}|', as in '{iss}|{sub}', where a mount has several issuers: "
    "otherwise two of them can name the same user. A role with exactly one issuer in 'bound_issuers' can set "
    "'shares_users_across_issuers' instead"
)
"""How a role names users."""

GROUPS_RULE: Final = (
    "'groups_claim' is not for mounts with several issuers: two of them can name the same group. A role "
    "with exactly one issuer in 'bound_issuers' can set 'shares_groups_across_issuers'"
)
"""How a role names groups."""


def has_several(config: JWTConfig | None, issuers: Mapping[str, JWTIssuer]) -> bool:
    """Whether tokens of more than one issuer can be accepted."""
    return len(issuers) + (config is not None and config.has_source) > 1


def verify_config(config: JWTConfig, issuers: Mapping[str, JWTIssuer]) -> None:
    """Check that the default issuer can be told apart from the further ones.

    Raises:
        UserError: it has no `iss`, or that of another issuer; case is ignored.
    """
    if not issuers or not config.has_source:
        return
    if config.jwks_pairs:
        raise UserError(
            "'jwks_pairs' cannot be used on a mount with further issuers: write an issuer for each of them"
        )
    if not config.all_iss:
        raise UserError(
            "'bound_issuer' must be set on a mount with further issuers: otherwise the keys of this "
            "configuration can sign for users of an issuer that is added later"
        )
    for name, issuer in issuers.items():
        if fold_name(issuer.iss) in map(fold_name, config.all_iss):
            raise UserError(f"issuer {name!r} is for tokens with the same 'iss'; case is ignored")


def verify_issuer(
    name: str, new: JWTIssuer, config: JWTConfig | None, issuers: Mapping[str, JWTIssuer]
) -> None:
    """Check that a further issuer can be told apart from the default one and from the others.

    Raises:
        UserError: another issuer has the same `iss`, case ignored; or the default one has none.
    """
    for other, issuer in issuers.items():
        if other != name and fold_name(issuer.iss) == fold_name(new.iss):
            raise UserError(f"issuer {other!r} is for tokens with the same 'iss'; case is ignored")
    if config is None or not config.has_source:
        return
    if fold_name(new.iss) in map(fold_name, config.all_iss):
        raise UserError("the issuer in 'config' is for tokens with the same 'iss'; case is ignored")
    try:
        verify_config(config, {name: new})
    except UserError as error:
        raise UserError(f"the configuration has to be changed first: {error}") from error


def find_problem(config: JWTConfig | None, issuers: Mapping[str, JWTIssuer]) -> str:
    """Return what would be refused today of issuers that an earlier version has stored; empty for nothing."""
    for name, issuer in issuers.items():
        try:
            verify_issuer(name, issuer, config, issuers)
        except UserError as error:
            return f"issuer {name!r} cannot be used: {error}"
    try:
        for settings in filter(None, (config, *issuers.values())):
            for source, url in settings.urls:
                settings.verify_protection(source, url)
    except (UserError, ValueError) as error:
        return str(error)
    return ""


def find_refusal(role: JWTRole) -> str:
    """Return why a role cannot be used where there are several issuers; empty if it can."""
    broken = ((role.keeps_users_apart, USERS_RULE), (role.keeps_groups_apart, GROUPS_RULE))
    return "; ".join(rule for is_kept, rule in broken if not is_kept)


def find_refusals(roles: Mapping[str, JWTRole]) -> dict[str, str]:
    """Return the roles that cannot be used where there are several issuers, and why."""
    refusals = {name: find_refusal(role) for name, role in roles.items()}
    return {name: refusal for name, refusal in refusals.items() if refusal}


def verify_roles(roles: Mapping[str, JWTRole]) -> None:
    """Check that every role can be used where there are several issuers.

    Raises:
        UserError: a role cannot be used: every login with it would fail.
    """
    for name, refusal in find_refusals(roles).items():
        raise UserError(f"role {name!r} has to be changed before there can be another issuer: {refusal}")


def verify_user(
    issuers: Issuers, role: JWTRole, role_name: str, issuer: str, user: str, checks: Checks
) -> None:
    """Check that no other issuer can name this user or these groups, unless the operator allows it.

    Raises:
        LoginError: another issuer can.
    """
    if not issuers.are_several:
        return
    refusal = find_refusal(role)
    checks.require(
        "role for several issuers",
        not refusal,
        f"role {role_name!r} cannot be used: {refusal}",
        expected=("users and groups of one issuer only",),
        had=("user claim {} and groups claim {}", role.user_claim, role.groups_claim),
    )
    issuers.verify_user(user, issuer, checks)


def distinct(verifiers: Mapping[str, TokenVerifier]) -> dict[str, TokenVerifier]:
    """Return one verifier per `iss`, the first by name: two writes at the same moment can store two."""
    names = {fold_name(verifiers[name].issuer): name for name in sorted(verifiers, reverse=True)}
    return {name: verifiers[name] for name in names.values()}
