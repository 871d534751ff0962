"""Roles of the JWT method."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from jwt_auth.settings.bounds import ROLE_BOUNDS, RoleBound
from jwt_auth.settings.role import JWTRole
from jwt_auth_keys import make_token, public_pem
from jwt_auth_mounts import GOOD_ROLE, JWTMount

from authkit.errors import FieldError, LoginError, UserError
from authkit.logical import Operation

NO_REDIRECT = "'allowed_redirect_uris' must be set if 'role_type' is 'oidc' or unspecified."
GOOD = {"role_type": "jwt", "user_claim": "sub", "bound_audiences": "vault"}
DEFAULTS = {
    "role_type": "jwt",
    "user_claim": "sub",
    "user_claim_json_pointer": False,
    "bound_audiences": ["vault"],
    "bound_subject": "",
    "bound_issuers": [],
    "callback_mode": "client",
    "oidc_disable_confirmation": False,
    "poll_interval": 0,
    "renew_at_provider": False,
    "shares_groups_across_issuers": False,
    "shares_users_across_issuers": False,
    "bound_token_type": "any",
    "bound_claims": None,
    "bound_claims_type": "string",
    "claim_mappings": None,
    "groups_claim": "",
    "oidc_scopes": None,
    "allowed_redirect_uris": None,
    "expiration_leeway": 0,
    "not_before_leeway": 0,
    "clock_skew_leeway": 0,
    "max_age": 0,
    "verbose_oidc_logging": False,
    "alias_metadata": {},
    "token_bound_cidrs": [],
    "token_explicit_max_ttl": 0,
    "token_max_ttl": 0,
    "token_no_default_policy": False,
    "token_num_uses": 0,
    "token_period": 0,
    "token_policies": [],
    "token_strictly_bind_ip": False,
    "token_ttl": 0,
    "token_type": "default",
}


async def test_read(bare: JWTMount) -> None:
    """A role reads with durations in seconds, and lists that nobody has set as null."""
    assert await bare.write("role/Dev", GOOD) is None
    assert await bare.read("role/dev") == DEFAULTS
    fields = {"bound_claims": {"team": ["a", "b"]}, "expiration_leeway": "-1s", "token_ttl": "1h"}
    await bare.write("role/dev", GOOD | fields)
    changed = {"bound_claims": {"team": ["a", "b"]}, "expiration_leeway": -1, "token_ttl": 3600}
    assert await bare.read("role/dev") == DEFAULTS | changed
    assert await bare.list("role/") == ["dev"]


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"role_type": "oidc"}, NO_REDIRECT),
        ({"role_type": ""}, NO_REDIRECT),
        ({"role_type": None}, NO_REDIRECT),
        ({"role_type": "JWT", "token_num_uses": -1}, "invalid 'role_type': JWT"),
        ({"bound_claims_type": "x", "token_num_uses": -1}, "'token_num_uses' cannot be negative"),
        ({"role_type": "JWT"}, "invalid 'role_type': JWT"),
        ({"bound_claims_type": "regex"}, "invalid 'bound_claims_type': regex"),
        ({"bound_claims_type": ""}, "invalid 'bound_claims_type': "),
        ({"bound_claims_type": "glob", "bound_claims": {"a": 5}}, "claim is not a string or list: 5"),
        (
            {"bound_claims_type": "glob", "bound_claims": {"a": {}}},
            "claim is not a string or list: an object",
        ),
        ({"bound_claims_type": "glob", "bound_claims": {"a": None}}, "claim is not a string or list: null"),
        ({"bound_claims_type": "glob", "bound_claims": {"a": True}}, "claim is not a string: true"),
        ({"bound_claims_type": "glob", "bound_claims": {"a": ["b", 5]}}, "claim is not a string: 5"),
        (
            {"claim_mappings": {"a": "role"}},
            'metadata key "role" is reserved and may not be a mapping destination',
        ),
        ({"claim_mappings": {"a": "x", "b": "x"}}, 'multiple keys are mapped to metadata key "x"'),
        ({"user_claim": "{a}{b}"}, "invalid 'user_claim': in a template"),
        ({"user_claim": ""}, "a user claim must be defined on the role"),
        ({"bound_audiences": ""}, "must have at least one bound constraint when creating/updating a role"),
        (
            {"token_period": "769h"},
            "'period' of '\"769h0m0s\"' is greater than the backend's maximum lease TTL of '\"768h0m0s\"'",
        ),
        ({"token_ttl": 2, "token_max_ttl": 1}, "'token_ttl' cannot be greater than 'token_max_ttl'"),
    ],
)
async def test_refused_roles(mount: JWTMount, fields: dict[str, Any], text: str) -> None:
    """A role that contradicts itself, or lets everybody in, is not stored."""
    with pytest.raises(UserError) as caught:
        await mount.write("role/new", GOOD | fields)
    assert str(caught.value).startswith(text)
    assert await mount.read("role/new") is None


@pytest.mark.parametrize(
    "fields",
    [
        {"bound_claims": "a=b"},
        {"claim_mappings": "a"},
        {"max_age": -1},
        {"expiration_leeway": "soon"},
        {"bound_subject": {"a": 1}},
        {"bound_token_type": "JWT"},
        {"token_ttl": -1},
    ],
    ids=str,
)
async def test_values_that_are_none(mount: JWTMount, fields: dict[str, Any]) -> None:
    """A value that does not fit its field is refused by the field's name."""
    with pytest.raises(FieldError) as caught:
        await mount.write("role/new", GOOD | fields)
    assert caught.value.field == next(iter(fields))


async def test_absent_fields_on_update(bare: JWTMount) -> None:
    """Most keep their value; `role_type` and `bound_claims_type` go back to their defaults."""
    await bare.write("role/dev", GOOD | {"bound_claims": {"a": "b*"}, "bound_claims_type": "glob"})
    with pytest.raises(UserError, match="'role_type' is 'oidc'"):
        await bare.write("role/dev", token_ttl=5)
    await bare.write("role/dev", role_type="jwt", token_ttl=5, alias_metadata={"team": "x"})
    await bare.write("role/dev", role_type="jwt", groups_claim="g")
    found = await bare.read("role/dev")
    changed = {
        "bound_claims": {"a": "b*"},
        "token_ttl": 5,
        "alias_metadata": {"team": "x"},
        "groups_claim": "g",
    }
    assert found == DEFAULTS | changed


async def test_roles_for_browsers(bare: JWTMount) -> None:
    """They need no bound, and are of that type unless it is said."""
    for kind in ({"role_type": "oidc"}, {"role_type": ""}, {}):
        await bare.write("role/web", kind, user_claim="sub", allowed_redirect_uris="http://localhost/x")
        found = await bare.read("role/web")
        assert found is not None
        assert (found["role_type"], found["allowed_redirect_uris"]) == ("oidc", ["http://localhost/x"])


async def test_a_patch_changes_only_what_it_names(mount: JWTMount) -> None:
    """Also the type, which a write would reset."""
    await mount.write_role(bound_claims={"a": "b", "c": "d"})
    await mount.request(Operation.PATCH, "role/dev", {"bound_claims": {"a": None}, "token_ttl": 5})
    found = await mount.read("role/dev")
    assert found is not None
    assert (found["role_type"], found["bound_claims"], found["token_ttl"]) == ("jwt", {"c": "d"}, 5)


async def test_warnings(bare: JWTMount) -> None:
    """The operator learns what the mount will cut, and what a role will log."""
    bare.system.max_ttl = timedelta(hours=1)
    response = await bare.write("role/dev", GOOD | {"token_max_ttl": "2h", "verbose_oidc_logging": True})
    assert response is not None
    cut, logged = response.warnings
    assert cut.startswith("token max ttl is greater than the system or backend mount's maximum TTL value; ")
    assert logged.startswith("verbose_oidc_logging has been enabled for this role. This is not recommended")
    assert await bare.read("role/dev") is not None


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"bound_audiences": [""]}, "'bound_audiences' holds an empty text"),
        ({"bound_audiences": ["vault", " "]}, "'bound_audiences' holds an empty text"),
        ({"bound_audiences": "vault,"}, "'bound_audiences' holds an empty text"),
        ({"bound_audiences": "", "bound_subject": " "}, "'bound_subject' is blank"),
        ({"bound_audiences": "", "bound_claims": {"team": ""}}, "'bound_claims' has an empty name or value"),
        ({"bound_audiences": "", "bound_claims": {"team": []}}, "'bound_claims' has an empty name or value"),
        ({"bound_audiences": "", "bound_claims": {"team": ["a", " "]}}, "'bound_claims' has an empty name"),
        ({"bound_audiences": "", "bound_claims": {" ": "a"}}, "'bound_claims' has an empty name or value"),
        ({"bound_audiences": "", "bound_claims": {}}, "must have at least one bound constraint"),
        (
            {"bound_audiences": "", "token_bound_cidrs": "0.0.0.0/0"},
            "must have at least one bound constraint",
        ),
        ({"bound_audiences": "", "token_bound_cidrs": "10.0.0.0/8,::/0"}, "must have at least one bound"),
    ],
    ids=str,
)
async def test_attack_bounds_that_bind_nothing(bare: JWTMount, fields: dict[str, Any], text: str) -> None:
    """A bound that every token can meet is no bound."""
    with pytest.raises(UserError, match=f"^{text}"):
        await bare.write("role/dev", GOOD_ROLE | fields)


ONE_OF_EACH: dict[str, Any] = {
    "bound_issuers": "default",
    "bound_audiences": "vault",
    "bound_subject": "ann",
    "bound_claims": {"team": "a"},
    "token_bound_cidrs": "10.0.0.0/8",
    "bound_token_type": "at+jwt",
    "expiration_leeway": -1,
    "not_before_leeway": "1m",
    "clock_skew_leeway": 1,
    "max_age": "1h",
}


@pytest.mark.parametrize("bound", ROLE_BOUNDS, ids=lambda bound: bound.field)
async def test_each_bound_by_itself(bare: JWTMount, bound: RoleBound) -> None:
    """A role knows what it binds, and which of its bounds are enough or need a token to be checked."""
    fields = GOOD_ROLE | {"bound_audiences": ""} | {bound.field: ONE_OF_EACH[bound.field]}
    role = JWTRole(**fields)
    assert [each.field for each in role.bounds] == [bound.field]
    assert (
        role.token_bounds != JWTRole(**GOOD_ROLE | {"bound_audiences": ""}).token_bounds
    ) == bound.needs_token
    if bound.is_constraint:
        await bare.write("role/dev", fields)
        return
    with pytest.raises(UserError, match="must have at least one bound constraint"):
        await bare.write("role/dev", fields)


async def test_attack_a_token_for_nobody_in_particular(mount: JWTMount) -> None:
    """A stored role that binds the empty audience logs nobody in: issuers let anybody choose it."""
    await mount.backend.roles.put("stored", JWTRole(**(GOOD_ROLE | {"bound_audiences": ["", " "]})))
    for audience in ("", " ", ["", " "], None):
        with pytest.raises(LoginError):
            await mount.login(role="stored", jwt=make_token(aud=audience))


@pytest.mark.parametrize(
    ("name", "longest"),
    [("clock_skew_leeway", "1h"), ("expiration_leeway", "24h"), ("not_before_leeway", "24h")],
)
async def test_attack_leeways_that_let_tokens_live_for_ever(mount: JWTMount, name: str, longest: str) -> None:
    """Refused in roles and issuers; those that are stored count as the longest."""
    refused = rf"^'{name}' is longer than {longest[:-1]} h$"
    issuer = {"bound_issuer": "https://ci", "jwt_validation_pubkeys": public_pem("ci")}
    for long in ("87600h", f"{int(longest[:-1]) * 3600 + 1}s"):
        with pytest.raises(UserError, match=refused):
            await mount.write_role(**{name: long})
        with pytest.raises(UserError, match=refused):
            await mount.write("issuer/ci", issuer | {name: long})
    await mount.write_role(**{name: longest})
    await mount.backend.roles.put("stored", JWTRole(**(GOOD_ROLE | {name: "87600h"})))
    with pytest.raises(LoginError, match="token is expired"):
        await mount.login(role="stored", jwt=make_token(iat=1, exp=2 * 86400))
    with pytest.raises(LoginError, match="token is expired"):
        await mount.login(role="stored", jwt=make_token(iat=1, exp=None))
