"""The texts of refusals by code: those of vault-plugin-auth-jwt 0.26 and of the Go libraries in it.

Operators' scripts and command lines look for these texts: those of hashicorp/cap 0.13 (jwt/jwt.go,
oidc/provider.go), go-oidc 3.11, go-jose 4 and Go's encoding/json. `authkit.oidc` says what is wrong by code
and facts; a refusal without a code keeps its own text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from authkit.oidc import show_date
from jwt_auth.texts.quoting import quote

__all__ = ["TEXTS", "Facts", "describe_grant"]

Facts = Mapping[str, Any]

SIGNATURE: Final = "error verifying token signature: "
MALFORMED: Final = f"{SIGNATURE}oidc: malformed jwt: "
SOURCES: Final = {"code": "auth code exchange", "device_code": "device authorization"}
GRANTS: Final = {
    "code": "unable to exchange auth code with provider: ",
    "refresh_token": "unable to refresh with provider: ",
}
HASH: Final = "failed verification: VerifyAccessToken: verifyHashClaim:"


def describe_grant(facts: Facts) -> str:
    """Return how the texts about a token endpoint begin."""
    return GRANTS.get(facts.get("grant", ""), "")


def _of_grant(text: str) -> Callable[[Facts], str]:
    return lambda facts: describe_grant(facts) + text


def _claim(text: str) -> Callable[[Facts], str]:
    return lambda facts: text.format(quote(facts["claim"]))


def _date(seconds: float | None) -> str:
    return "none" if seconds is None else show_date(int(seconds))


def _not_string(facts: Facts) -> str:
    kind, claim = facts["kind"], facts["claim"]
    return f"json: cannot unmarshal {kind} into Go struct field Claims.{claim} of type string"


def _algorithm_unknown(facts: Facts) -> str:
    expected = " ".join(map(quote, facts["expected"]))
    return f"{MALFORMED}unexpected signature algorithm {quote(facts['algorithm'])}; expected [{expected}]"


def _bad_signature(facts: Facts) -> str:
    if facts["is_static"]:
        return f"{SIGNATURE}no known key successfully validated the token signature"
    return f"{SIGNATURE}failed to verify id token signature"


def _keys_not_fetched(facts: Facts) -> str:
    words = "" if facts["is_timeout"] else "oidc: get keys failed: "
    return f"{SIGNATURE}fetching keys {words}{facts['reason']}"


def _issuer_not_accepted(facts: Facts) -> str:
    hint = ": 'bound_issuer' of the configuration has to be set, as there are further issuers"
    return "invalid issuer (iss) claim" + (hint if facts.get("is_default_unnamed") else "")


def _id_token_issuer(facts: Facts) -> str:
    return (
        "invalid id_token: oidc: id token issued by a different provider, "
        f"expected {quote(facts['expected'])} got {quote(facts['found'])}: invalid issuer"
    )


def _id_token_algorithm(facts: Facts) -> str:
    expected = " ".join(map(quote, facts["expected"]))
    return (
        "invalid id_token: oidc: id token signed with unsupported algorithm, "
        f"expected [{expected}] got {quote(facts['algorithm'])}: unsupported signing algorithm"
    )


def _id_token_begins(facts: Facts) -> str:
    return (
        f"invalid id_token: oidc: current time {_date(facts['now'])} before the nbf (not before) time: "
        f"{_date(facts['begins'])}: invalid not before"
    )


def _id_token_issued(facts: Facts) -> str:
    return (
        f"invalid id_token current time {_date(facts['now'])} before the iat (issued at) time "
        f"{_date(facts['issued'])}: invalid issued at (iat)"
    )


def _id_token_expired(facts: Facts) -> str:
    expires = _date(facts["expires"])
    return f"invalid id_token: oidc: token is expired (Token Expiry: {expires}): token is expired"


def _id_token_client(facts: Facts) -> str:
    return (
        f"invalid id_token: multiple audiences ([{facts['audiences']}]) and one of them is not equal "
        f"client_id ({facts['client_id']}): invalid audience"
    )


def _id_token_party(facts: Facts) -> str:
    client_id, audiences = facts["client_id"], facts["audiences"]
    if facts["party"] is not None:
        subject = "authorized party"
    elif facts["are_several"]:
        subject = "multiple audiences and authorized party"
    else:
        subject = f"one audience ({audiences}) which is not the client_id ({client_id}) and authorized party"
    party = facts["party"] or ""
    return (
        f"invalid id_token: {subject} ({party}) is not equal client_id ({client_id}): "
        "invalid authorized party (azp)"
    )


def _auth_time(facts: Facts) -> str:
    return (
        f"auth_time ({_date(facts['auth_time'])}) is beyond max age "
        f"({facts['max_age']:.0f} / {_date(facts['earliest'])}): expired auth_time"
    )


TEXTS: Final[Mapping[str, str | Callable[[Facts], str]]] = {
    # the form of a token, and its signature
    "malformed_token": lambda facts: f"{MALFORMED}{facts['reason']}",
    "not_three_parts": f"{MALFORMED}go-jose/go-jose: compact JWS format must have three parts",
    "algorithm_unknown": _algorithm_unknown,
    "algorithm_not_allowed": (
        "invalid algorithm (alg) header parameter: token signed with unexpected algorithm"
    ),
    "bad_signature": _bad_signature,
    "kid_missing": (
        f"{SIGNATURE}failed to verify id token signature: no key id (kid) though the issuer has several keys"
    ),
    "malformed_claims": lambda facts: f"{SIGNATURE}malformed claims: {facts['reason']}",
    "keys_not_fetched": _keys_not_fetched,
    "keys_not_set_up": lambda facts: (
        f"error configuring token validator: keyset configuration error: {facts['reason']}"
    ),
    # registered claims
    "claim_not_text": _not_string,
    "audience_not_text": "go-jose/go-jose/jwt: expected string or array value to unmarshal to Audience",
    "claim_not_date": "go-jose/go-jose/jwt: expected number value to unmarshal NumericDate",
    "issuer_mismatch": "invalid issuer (iss) claim",
    "issuer_not_accepted": _issuer_not_accepted,
    "subject_mismatch": "invalid subject (sub) claim",
    "audience_mismatch": (
        "invalid audience (aud) claim: audience claim does not match any expected audience"
    ),
    "audience_not_bound": "audience claim found in JWT but no audiences bound to the role",
    "dates_missing": "no issued at (iat), not before (nbf), or expiration time (exp) claims in token",
    "not_yet_valid": "invalid not before (nbf) claim: token not yet valid",
    "expired": "invalid expiration time (exp) claim: token is expired",
    "issued_in_future": "invalid issued at (iat) claim: token issued in the future",
    # the kind of token that a role binds; the official plugin has none
    "type_mismatch": lambda facts: f"invalid type (typ) header parameter: token is no {facts['type']}",
    "algorithm_of_type_mismatch": lambda facts: (
        f"invalid algorithm (alg) header parameter: not one of a {facts['type']}"
    ),
    "claims_of_type_missing": lambda facts: (
        f"missing claims of a {facts['type']}: {', '.join(facts['claims'])}"
    ),
    "subject_not_spiffe_id": "invalid subject (sub) claim: not a SPIFFE ID",
    # the user, groups and metadata
    "user_claim_missing": _claim("claim {} not found in token"),
    "user_claim_not_text": _claim("claim {} could not be converted to string"),
    "groups_claim_missing": _claim("failed to fetch groups: {} claim not found in token"),
    "groups_claim_not_list": _claim("{} claim could not be converted to string list"),
    "group_not_text": lambda facts: f"value {facts['value']} in groups claim could not be parsed as string",
    "metadata_claim_not_text": lambda facts: f"error converting claim '{facts['claim']}' to string",
    # bound claims
    "bound_claim_missing": _claim("claim {} is missing"),
    "bound_claim_is_object": "received claim is not a string, bool, int or list: an object",
    "bound_value_is_object": "bound claim is not a string, bool, int or list: an object or null",
    "bound_value_not_text": "received claim is not a glob string: a bound value is no text",
    "bound_claim_mismatch": _claim("claim {} does not match any associated bound claim values"),
    # ID tokens of browser logins
    "id_token_algorithm_unknown": lambda facts: f"{_algorithm_unknown(facts)}: unsupported signing algorithm",
    "id_token_claim_source_missing": "invalid id_token: oidc: source does not exist",
    "id_token_issuer_mismatch": _id_token_issuer,
    "id_token_expired": _id_token_expired,
    "id_token_not_yet_valid": _id_token_begins,
    "id_token_algorithm_not_allowed": _id_token_algorithm,
    "id_token_nonce_mismatch": "invalid id_token nonce: invalid nonce",
    "id_token_issued_in_future": _id_token_issued,
    "id_token_subject_missing": "invalid id_token: sub: missing required claim",
    "id_token_subject_mismatch": "invalid id_token: sub is not the one of the login: invalid subject",
    "id_token_audience_missing": "invalid id_token: aud: missing required claim",
    "id_token_audience_mismatch": (
        "invalid id_token audiences: verifyAudiences: invalid id_token audiences: invalid audience"
    ),
    "id_token_client_not_in_audience": _id_token_client,
    "id_token_party_mismatch": _id_token_party,
    "id_token_at_hash_mismatch": (f"access_token {HASH} access_token hash does not match value in id_token"),
    "id_token_c_hash_mismatch": (
        f"code hash {HASH} authorization code hash does not match value in id_token"
    ),
    # the provider's endpoints
    "metadata_not_fetched": lambda facts: f"error getting provider for login operation: {facts['reason']}",
    "no_authorization_endpoint": "no authorization endpoint url discovered",
    "no_device_endpoint": "no device auth endpoint url discovered",
    "no_token_endpoint": _of_grant("no token endpoint url discovered"),
    "token_request_failed": lambda facts: (
        f"{describe_grant(facts)}oauth2: cannot fetch token: {facts['reason']}"
    ),
    "no_access_token": _of_grant("oauth2: server response missing access_token: access_token is missing"),
    "no_id_token": lambda facts: f"id_token is missing from {SOURCES[facts['grant']]}: id_token is missing",
    "implicit_flow": "request should not be using the implicit flow: invalid OIDC flow",
    "request_expired": "authentication request is expired: invalid parameter",
    "auth_time_missing": "missing auth_time claim when max age was requested: missing required claim",
    "auth_time_too_old": _auth_time,
}
"""By the code of the refusal: the text, or what makes it from the facts."""
