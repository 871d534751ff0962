"""The digest of the terms of a login."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from jwt_auth.settings.config import JWTConfig
from jwt_auth.settings.role import JWTRole
from jwt_auth.settings.terms import login_terms

CONFIG: dict[str, Any] = {
    "oidc_discovery_url": "https://idp.example",
    "oidc_client_id": "vault",
    "oidc_client_secret": "first",
    "provider_config": {"provider": "okta", "org_url": "https://a.okta.com", "api_token": "one"},
}
ROLE: dict[str, Any] = {
    "user_claim": "sub",
    "bound_claims": {"team": ["a", "b"], "level": 1.5},
    "token_policies": ["p"],
    "token_ttl": 60,
}


def terms(role: dict[str, Any] | None = None, config: dict[str, Any] | None = None) -> str:
    """The digest of changed settings."""
    return login_terms(JWTRole(**ROLE | (role or {})), JWTConfig(**CONFIG | (config or {})))


def test_the_digest_is_short_and_the_same_everywhere() -> None:
    """It does not depend on the process, nor on whether the objects come from storage."""
    stored = [json.dumps(each.to_stored()) for each in (JWTRole(**ROLE), JWTConfig(**CONFIG))]
    role, config = JWTRole.from_stored(json.loads(stored[0])), JWTConfig.from_stored(json.loads(stored[1]))
    assert login_terms(role, config) == terms()
    assert re.fullmatch(r"[A-Za-z0-9_-]{22}", terms())


@pytest.mark.parametrize(
    ("role", "config"),
    [
        ({"token_policies": ["p", "q"]}, {}),
        ({"bound_claims": {"team": ["a"]}}, {}),
        ({"bound_claims": {"team": ["a", "b"], "level": 2}}, {}),
        ({"bound_issuers": ["other"]}, {}),
        ({"max_age": 1}, {}),
        ({"callback_mode": "direct"}, {}),
        ({"oidc_disable_confirmation": True}, {}),
        ({"token_bound_cidrs": ["10.0.0.0/8"]}, {}),
        ({}, {"oidc_discovery_url": "https://other.example"}),
        ({}, {"oidc_client_id": "other"}),
        ({}, {"bound_issuer": "https://idp.example"}),
        ({}, {"oidc_response_types": ["code"]}),
        ({}, {"provider_config": {**CONFIG["provider_config"], "org_url": "https://b.okta.com"}}),
        ({}, {"provider_config": {}}),
    ],
)
def test_every_setting_counts(role: dict[str, Any], config: dict[str, Any]) -> None:
    """A changed role or configuration has another digest."""
    assert terms(role, config) != terms()


@pytest.mark.parametrize(
    "config",
    [
        {"oidc_client_secret": "second"},
        {"provider_config": {**CONFIG["provider_config"], "api_token": "two"}},
        {"skip_jwks_validation": True},
    ],
)
def test_credentials_do_not_count(config: dict[str, Any]) -> None:
    """They can be rotated while logins are under way."""
    assert terms({}, config) == terms()
