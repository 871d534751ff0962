"""Roles of the JWT method."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from factories import Mount
from jwt_auth import JWTAuth

from authkit.errors import UserError

GOOD = {"role_type": "jwt", "user_claim": "sub", "bound_audiences": "vault"}


async def test_read() -> None:
    """A role reads with durations in seconds and lists that are never null."""
    mount = Mount(JWTAuth)
    fields = {"bound_claims": {"team": ["a", "b"]}, "expiration_leeway": "-1s", "token_ttl": "1h"}
    assert await mount.write("role/Dev", GOOD | fields) is None
    found = await mount.read("role/dev")
    assert found is not None
    assert found["bound_audiences"] == ["vault"]
    assert found["bound_claims"] == {"team": ["a", "b"]}
    assert found["bound_claims_type"] == "string"
    assert (found["expiration_leeway"], found["token_ttl"]) == (-1, 3600)
    assert (found["token_policies"], found["claim_mappings"]) == ([], {})
    assert await mount.list("role/") == ["dev"]


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"role_type": "oidc"}, "'role_type' is 'oidc' or unspecified; only 'jwt' is supported"),
        ({"role_type": ""}, "'role_type' is 'oidc' or unspecified; only 'jwt' is supported"),
        ({"role_type": "JWT"}, "invalid 'role_type': JWT"),
        ({"bound_claims_type": "regex"}, "invalid 'bound_claims_type': regex"),
        ({"bound_claims_type": ""}, "invalid 'bound_claims_type': "),
        ({"bound_claims_type": "glob", "bound_claims": {"a": 5}}, "claim is not a string or list"),
        ({"bound_claims_type": "glob", "bound_claims": {"a": True}}, "claim is not a string"),
        ({"bound_claims_type": "glob", "bound_claims": {"a": ["b", 5]}}, "claim is not a string"),
        (
            {"claim_mappings": {"a": "role"}},
            'metadata key "role" is reserved and may not be a mapping destination',
        ),
        ({"claim_mappings": {"a": "x", "b": "x"}}, 'multiple keys are mapped to metadata key "x"'),
        ({"user_claim": ""}, "a user claim must be defined on the role"),
        ({"bound_audiences": ""}, "must have at least one bound constraint when creating/updating a role"),
        (
            {"token_period": "769h"},
            "'period' of '\"769h0m0s\"' is greater than the backend's maximum lease TTL of '\"768h0m0s\"'",
        ),
        ({"token_ttl": 2, "token_max_ttl": 1}, "'token_ttl' cannot be greater than 'token_max_ttl'"),
    ],
)
async def test_refused_roles(fields: dict[str, Any], text: str) -> None:
    """A role that contradicts itself, or lets everybody in, is not stored."""
    mount = Mount(JWTAuth)
    with pytest.raises(UserError) as caught:
        await mount.write("role/dev", GOOD | fields)
    assert str(caught.value).startswith(text)
    assert await mount.read("role/dev") is None


async def test_absent_fields_on_update() -> None:
    """Most keep their value; `role_type` and `bound_claims_type` go back to their defaults."""
    mount = Mount(JWTAuth)
    await mount.write("role/dev", GOOD | {"bound_claims": {"a": "b*"}, "bound_claims_type": "glob"})
    with pytest.raises(UserError, match="'role_type' is 'oidc'"):
        await mount.write("role/dev", token_ttl=5)
    await mount.write("role/dev", role_type="jwt", token_ttl=5)
    found = await mount.read("role/dev")
    assert found is not None
    assert (found["bound_claims_type"], found["bound_claims"]) == ("string", {"a": "b*"})
    assert (found["bound_audiences"], found["token_ttl"]) == (["vault"], 5)


async def test_a_long_lifetime_is_a_warning() -> None:
    """The operator learns that the mount's maximum will cut it."""
    mount = Mount(JWTAuth)
    mount.system.max_ttl = timedelta(hours=1)
    response = await mount.write("role/dev", GOOD | {"token_max_ttl": "2h"})
    assert response is not None
    assert [text.partition(" is greater")[0] for text in response.warnings] == ["token max ttl"]
    assert await mount.read("role/dev") is not None
