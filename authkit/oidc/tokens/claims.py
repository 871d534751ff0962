"""Rules on the claims of a verified token: access by name, bound claims, and the identity in them.

Pure functions. Registered claims: see `authkit.oidc.tokens.registered_claims`. The rules are those of
vault-plugin-auth-jwt 0.26 (claims.go, path_login.go createIdentity); a deliberate difference is named in the
docstring of its function.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from typing import Any

from authkit.errors import TokenError
from authkit.globs import matches_glob
from authkit.oidc.tokens.checks import NO_RECORD, Checks
from authkit.oidc.tokens.registered_claims import Claims
from authkit.printable import quote
from authkit.values import verify_collections

__all__ = [
    "PROTECTED_CLAIMS",
    "add_claims",
    "get_claim",
    "groups_from_claim",
    "metadata_from_claims",
    "set_claim",
    "user_name",
    "verify_bound_claims",
]

MAX_EXACT_FLOAT = 2**53
"""Above it one float represents several integers, so that a comparison could accept the wrong one."""

MAX_SHOWN_CHARACTERS = 100
"""How much of a wrong value a message repeats."""

PROTECTED_CLAIMS = frozenset({"iss", "sub", "aud", "azp", "exp", "nbf", "iat", "nonce"})
"""Claims that nothing but the verified token says."""

_LIST_INDEX = re.compile(r"0|[1-9][0-9]{0,8}")

_log = logging.getLogger(__name__)


def get_claim(claims: Claims, name: str) -> Any:
    """Return the claim's value, `None` for "no value": missing, null, or a pointer that leads nowhere.

    A name that begins with `/` is a JSON pointer (RFC 6901), any other a key of the top level:
    `https://example.com/groups` is a plain key. Numbers are returned as they are;
    vault-plugin-auth-jwt makes integer texts of them here.
    """
    if not name.startswith("/"):
        return claims.get(name)
    value: Any = claims
    for token in name[1:].split("/"):
        value = _get_member(value, token.replace("~1", "/").replace("~0", "~"))
        if value is None:
            _log.warning("no value at the JSON pointer %s in the claims", quote(name))
            return None
    return value


def set_claim(claims: Claims, name: str, value: Any) -> Claims:
    """Return the claims with this one set, found as `get_claim` finds it.

    Nothing is set where a pointer has no parent to lead to.
    """
    if not name.startswith("/"):
        return {**claims, name: value}
    tokens = [token.replace("~1", "/").replace("~0", "~") for token in name[1:].split("/")]
    changed: dict[str, Any] = dict(claims)
    place: Any = changed
    for token in tokens[:-1]:
        child = _get_member(place, token)
        if not isinstance(child, dict | list):
            _log.warning("nowhere to set the claim at the JSON pointer %s", quote(name))
            return claims
        # Copied on the way, so that the claims of the token stay what they were.
        place = _put_member(place, token, child.copy())
    if isinstance(place, list) and _get_member(place, tokens[-1]) is None:
        return claims
    _put_member(place, tokens[-1], value)
    return changed


def add_claims(claims: Claims, others: Mapping[str, Any]) -> Claims:
    """Return the claims with others added, or put in place of those of the same name.

    Claims that a verification was about stay: `PROTECTED_CLAIMS`. vault-plugin-auth-jwt 0.26 lets
    a provider replace them.
    """
    return {**claims, **{name: value for name, value in others.items() if name not in PROTECTED_CLAIMS}}


def user_name(claims: Claims, user_claim: str, json_pointer: bool) -> str:
    """Return who the token names. `user_claim` is a plain key unless `json_pointer` is set.

    An empty name is returned as such.

    Raises:
        TokenError: there is no value, or it is not a string.
    """
    value = get_claim(claims, user_claim) if json_pointer else claims.get(user_claim)
    if value is None:
        raise _refuse("user_claim_missing", f"the token has no claim {quote(user_claim)}", claim=user_claim)
    if not isinstance(value, str):
        text = f"the claim {quote(user_claim)} is not a string"
        raise _refuse("user_claim_not_text", text, claim=user_claim)
    return value


def groups_from_claim(claims: Claims, groups_claim: str) -> list[str]:
    """Return the groups, in their order and with duplicates; empty names are left out.

    Without a `groups_claim` there are none. A single value counts as a list of one.

    Raises:
        TokenError: there is no value, or something in it is not a string.
    """
    if not groups_claim:
        return []
    value = get_claim(claims, groups_claim)
    if value is None:
        text = f"the token has no claim {quote(groups_claim)} with groups"
        raise _refuse("groups_claim_missing", text, claim=groups_claim)
    if isinstance(value, dict):
        text = f"the claim {quote(groups_claim)} is not a list of strings"
        raise _refuse("groups_claim_not_list", text, claim=groups_claim)
    groups = value if isinstance(value, list) else [value]
    for group in groups:
        if not isinstance(group, str):
            text = f"the value {_show(group)} in the groups claim is not a string"
            raise _refuse("group_not_text", text, value=_show(group))
    return [group for group in groups if group]


def metadata_from_claims(claims: Claims, mappings: Mapping[str, str]) -> dict[str, str]:
    """Return metadata by key. `mappings` leads from claim name or pointer to key; no value, no key.

    Raises:
        TokenError: a value is not a string.
    """
    verify_collections(mappings=mappings)
    metadata = {}
    for claim, key in mappings.items():
        value = get_claim(claims, claim)
        if value is None:
            continue
        if not isinstance(value, str):
            text = f"the claim {quote(claim)} is not a string, so it cannot be metadata"
            raise _refuse("metadata_claim_not_text", text, claim=claim)
        metadata[key] = value
    return metadata


def verify_bound_claims(
    claims: Claims, bound: Mapping[str, Any], kind: str, *, checks: Checks = NO_RECORD
) -> None:
    """Refuse the claims unless each claim of `bound` has one of the values bound to it.

    Both sides may be one value or a list. With the kind `string` value and type must be equal;
    with `glob` the bound texts are patterns (`authkit.globs`).

    Numbers differ from vault-plugin-auth-jwt: they match inside lists too, integers of any size
    match exactly, and a fraction is not cut off. 5.0 and 5 in a token are the bound integer 5; any
    other number with a fraction, or a float from 2**53 on, matches nothing. Values are not repeated
    in the texts.

    Raises:
        TokenError: a claim is missing, of the wrong kind, or does not match.
        ValueError: `kind` is neither `string` nor `glob`.
    """
    verify_collections(bound=bound)
    if kind not in ("string", "glob"):
        raise ValueError(f"invalid 'bound_claims_type': {kind}")
    for name, expected in bound.items():
        actual = get_claim(claims, name)
        code = _find_refusal(actual, expected, kind)
        checks.require(
            f"bound claim {name}",
            not code,
            f"the claim {quote(name)} {_BOUND[code]}" if code else "",
            code=code,
            facts={"claim": name},
            expected=("{}", expected),
            had=actual,
        )


_BOUND = {
    "bound_claim_missing": "is missing",
    "bound_claim_is_object": "is an object, which no bound value matches",
    "bound_value_is_object": "is bound to an object or null, which nothing matches",
    "bound_value_not_text": "is bound to a value that is not a text, and so not a pattern",
    "bound_claim_mismatch": "has none of the bound values",
}
"""Why a bound claim refuses a token, by the code of the refusal."""


def _find_refusal(actual: Any, expected: Any, kind: str) -> str:
    """Return the code for why the value is not one of those bound; empty if it is."""
    if actual is None:
        return "bound_claim_missing"
    if isinstance(actual, dict):
        return "bound_claim_is_object"
    if not isinstance(expected, str | int | float | list | tuple):
        return "bound_value_is_object"
    values = _as_list(expected)
    # All of them first: whether a mistake of the operator shows must not depend on the token.
    if kind == "glob" and not all(isinstance(value, str) for value in values):
        return "bound_value_not_text"
    is_match = _is_any_equal if kind == "string" else _is_any_glob_match
    if not is_match(_as_list(actual), values):
        return "bound_claim_mismatch"
    return ""


def _refuse(code: str, text: str, **facts: str) -> TokenError:
    return TokenError(text, code=code, facts=facts)


def _get_member(value: Any, token: str) -> Any:
    if isinstance(value, Mapping):
        return value.get(token)
    if isinstance(value, list) and _LIST_INDEX.fullmatch(token) and int(token) < len(value):
        return value[int(token)]
    return None


def _put_member(value: Any, token: str, member: Any) -> Any:
    value[int(token) if isinstance(value, list) else token] = member
    return member


def _as_list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _is_any_equal(actual: list[Any], expected: list[Any]) -> bool:
    comparable = {_comparable(value) for value in actual} - {None}
    return any(_comparable_bound(value) in comparable for value in expected)


def _comparable(value: Any) -> tuple[type, Any] | None:
    """Return what is equal for equal values of one kind, `None` for what equals nothing."""
    # `bool` first: it is a kind of `int` in Python.
    if isinstance(value, bool | str):
        return type(value), value
    if isinstance(value, int):
        return int, value
    if isinstance(value, float) and value.is_integer() and abs(value) < MAX_EXACT_FLOAT:
        return int, int(value)
    return None


def _comparable_bound(value: Any) -> tuple[type, Any] | None:
    # A bound `5.0` is not `5`: in vault-plugin-auth-jwt its digits are compared, and match nothing.
    return None if isinstance(value, float) else _comparable(value)


def _is_any_glob_match(actual: list[Any], patterns: list[str]) -> bool:
    texts = [value for value in actual if isinstance(value, str)]
    return any(matches_glob(pattern, text) for pattern in patterns for text in texts)


def _show(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= MAX_SHOWN_CHARACTERS else text[:MAX_SHOWN_CHARACTERS] + "..."
