"""Logins and renewals of the JWT method."""

from __future__ import annotations

from typing import Any

import pytest
from jwt_auth_keys import make_token, public_pem
from jwt_auth_mounts import JWTMount

from authkit.errors import FieldError, LoginError, PermissionDeniedError, UserError
from authkit.logical import Operation, Response


async def test_login(mount: JWTMount) -> None:
    """Claims become alias, metadata and groups; the role's name is everywhere it is looked for."""
    mappings = {"mail": "email", "none": "none"}
    await mount.write_role(groups_claim="/team/names", claim_mappings=mappings, token_ttl=60)
    token = make_token(mail="a@b.test", team={"names": ["g", "h"]})
    auth = await mount.login(role="Dev", jwt=f"\n{token}\n")
    assert auth.alias is not None
    assert auth.alias.name == auth.display_name == "ann"
    assert auth.alias.metadata == auth.metadata == {"email": "a@b.test", "role": "dev"}
    assert [alias.name for alias in auth.group_aliases] == ["g", "h"]
    assert auth.internal_data == {"role": "dev"}
    assert auth.policies == ("p",)
    assert (auth.lease.ttl.total_seconds(), auth.lease.renewable) == (60, True)


@pytest.mark.parametrize(
    ("claims", "role", "text"),
    [
        ({"exp": 5, "iat": 1}, {}, "error validating token: invalid expiration time (exp) claim"),
        ({"aud": "other"}, {}, "error validating token: invalid audience (aud) claim"),
        ({"key": "another"}, {}, "error validating token: error verifying token signature: no known key"),
        ({}, {"bound_subject": "bob"}, "error validating token: invalid subject (sub) claim"),
        (
            {},
            {"bound_audiences": "", "bound_subject": "ann"},
            "audience claim found in JWT but no audiences bound to the role",
        ),
        ({}, {"user_claim": "mail"}, 'claim "mail" not found in token'),
        ({"mail": 5}, {"user_claim": "mail"}, 'claim "mail" could not be converted to string'),
        ({"mail": ""}, {"user_claim": "mail"}, "missing name in alias"),
        ({}, {"groups_claim": "g"}, 'failed to fetch groups: "g" claim not found in token'),
        ({"m": 5}, {"claim_mappings": {"m": "m"}}, "error converting claim 'm' to string"),
        ({}, {"bound_claims": {"t": "a"}}, 'error validating claims: claim "t" is missing'),
        ({"t": "b"}, {"bound_claims": {"t": "a"}}, 'error validating claims: claim "t" does not match'),
        ({"t": "5"}, {"bound_claims": {"t": 5}}, 'error validating claims: claim "t" does not match'),
    ],
)
async def test_refused_tokens(
    mount: JWTMount, claims: dict[str, Any], role: dict[str, Any], text: str
) -> None:
    """Each reason has the words that clients of vault-plugin-auth-jwt know."""
    await mount.write_role(**role)
    with pytest.raises(LoginError) as caught:
        await mount.login(role="dev", jwt=make_token(**claims))
    assert str(caught.value).startswith(text)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({}, "missing role"),
        ({"role": "nobody", "jwt": "x"}, 'role "nobody" could not be found'),
        ({"role": "dev"}, "missing token"),
        ({"role": "dev", "jwt": ""}, "missing token"),
        ({"role": "dev", "jwt": "x" * 70_000}, "error converting input for field"),
        ({"role": "dev", "jwt": "a.b.c"}, "error validating token: error verifying token signature"),
    ],
)
async def test_refused_requests(mount: JWTMount, fields: dict[str, Any], text: str) -> None:
    """What is no login is told so before any key is touched."""
    with pytest.raises((UserError, LoginError, FieldError)) as caught:
        await mount.login(**fields)
    assert str(caught.value).startswith(text)


async def test_without_configuration(bare: JWTMount) -> None:
    """A mount that nobody configured refuses everybody."""
    with pytest.raises(UserError, match="could not load configuration"):
        await bare.login(role="dev", jwt=make_token())


async def test_bound_claims(mount: JWTMount) -> None:
    """Numbers match as numbers, globs as globs, lists by any of their values."""
    for bound, kind, claims in [
        ({"n": 5, "t": ["a", "b"]}, "string", {"n": 5, "t": ["x", "b"]}),
        ({"/deep/0": True}, "string", {"deep": [True]}),
        ({"t": "a*z"}, "glob", {"t": ["abcz"]}),
    ]:
        await mount.write_role(bound_claims=bound, bound_claims_type=kind)
        await mount.login(role="dev", jwt=make_token(**claims))


async def test_issuer_and_default_role(mount: JWTMount) -> None:
    """A bound issuer must match, and the default role is used when none is named."""
    await mount.write(
        "config", jwt_validation_pubkeys=public_pem(), bound_issuer="https://i", default_role="DEV"
    )
    await mount.login(jwt=make_token(iss="https://i"))
    with pytest.raises(LoginError, match="invalid issuer"):
        await mount.login(jwt=make_token(iss="https://j"))
    found = await mount.request(Operation.RESOLVE_ROLE, "login", {"jwt": "x"})
    assert found == Response(data={"role": "dev"})


async def test_addresses(mount: JWTMount) -> None:
    """A wrong address is denied whatever the token; an unknown one as well."""
    await mount.write_role(token_bound_cidrs="192.0.2.0/24")
    await mount.login(role="dev", jwt=make_token())
    for address in ("198.51.100.1", None):
        with pytest.raises(PermissionDeniedError):
            await mount.login(role="dev", jwt="junk", address=address)


async def test_new_keys_count_at_once(mount: JWTMount) -> None:
    """After the configuration changed, only its keys verify."""
    await mount.login(role="dev", jwt=make_token())
    await mount.write("config", jwt_validation_pubkeys=public_pem("new"))
    await mount.login(role="dev", jwt=make_token(key="new"))
    with pytest.raises(LoginError):
        await mount.login(role="dev", jwt=make_token())


async def test_renewal(mount: JWTMount) -> None:
    """A token lives on with its role's lifetimes, and ends with its role."""
    await mount.write_role(token_ttl=60)
    auth = await mount.login(role="dev", jwt=make_token())
    await mount.write("role/dev", role_type="jwt", token_ttl=90)
    renewed = await mount.renew(auth)
    assert renewed.lease.ttl.total_seconds() == 90
    assert (renewed.metadata, renewed.alias) == (auth.metadata, auth.alias)
    await mount.delete("role/dev")
    with pytest.raises(UserError, match="role dev does not exist during renewal"):
        await mount.renew(auth)


async def test_no_token_is_kept(mount: JWTMount) -> None:
    """Neither storage nor what goes back at renewal has the token in it."""
    token = make_token()
    auth = await mount.login(role="dev", jwt=token)
    assert token not in repr(auth) + repr(auth.internal_data)
    for key in ("config", "role/dev"):
        entry = await mount.storage.get(key)
        assert entry is not None
        assert token.encode() not in entry.value
