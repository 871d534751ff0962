"""Logins and renewals of the JWT method."""

from __future__ import annotations

from typing import Any

import pytest
from identity_provider import Provider
from jwt_auth_keys import make_token, public_pem
from jwt_auth_mounts import JWTMount

from authkit.errors import BadRequestError, FieldError, LoginError, PermissionDeniedError, UserError
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
    assert auth.internal_data == {"role": "dev", "roles": "role/"}
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


async def test_web_interfaces_ask_for_a_token(bare: JWTMount, provider: Provider) -> None:
    """They know by one exact text that a mount takes tokens and no browsers."""
    with pytest.raises(UserError, match=r"^could not load configuration$"):
        await bare.write("oidc/auth_url", role="", redirect_uri="http://x")
    await bare.configure()
    with pytest.raises(UserError, match=r"^OIDC login is not configured for this mount$"):
        await bare.write("oidc/auth_url", role="", redirect_uri="http://x")


async def test_alias_lookahead(mount: JWTMount) -> None:
    """A host may ask which alias a login would have; the token is verified, and nobody logs in."""
    found = await mount.request(Operation.ALIAS_LOOKAHEAD, "login", {"role": "dev", "jwt": make_token()})
    assert found is not None
    assert found.auth is not None
    assert found.auth.alias is not None
    assert (found.auth.alias.name, found.auth.policies) == ("ann", ())
    for body in ({"role": "dev", "jwt": "junk"}, {"role": "dev"}, {"role": "nobody", "jwt": make_token()}):
        with pytest.raises(BadRequestError):
            await mount.request(Operation.ALIAS_LOOKAHEAD, "login", body)
    status = await mount.read("status")
    assert status is not None
    assert status["logins"] == {"allowed": 0, "denied": {}}


async def test_roles_for_browsers_take_no_token(mount: JWTMount) -> None:
    """Said before anything about the token."""
    await mount.write("role/web", user_claim="sub", allowed_redirect_uris="http://localhost/x")
    for jwt in ("", "junk", make_token()):
        with pytest.raises(UserError, match=r"^role with oidc role_type is not allowed$"):
            await mount.login(role="web", jwt=jwt)


async def test_metadata_that_no_alias_can_have(mount: JWTMount) -> None:
    """It is on the token alone, with a word of warning; the login goes on."""
    await mount.write_role(claim_mappings={"long": "long", "odd": "o.d.d", "mail": "mail"})
    body = {"role": "dev", "jwt": make_token(long="x" * 513, odd="y", mail="z")}
    response = await mount.request(Operation.UPDATE, "login", body)
    assert response is not None
    assert response.auth is not None
    assert response.auth.alias is not None
    assert response.auth.alias.metadata == {"role": "dev", "mail": "z"}
    assert response.auth.metadata == {"role": "dev", "long": "x" * 513, "o.d.d": "y", "mail": "z"}
    assert [text.rpartition(": ")[2] for text in response.warnings] == ["long", "o.d.d"]


async def test_kinds_of_tokens(mount: JWTMount) -> None:
    """A role may take one kind only, by its type and the claims that it must have."""
    access = {"iss": "https://i", "client_id": "c", "jti": "1"}
    await mount.write_role(bound_token_type="at+jwt")
    await mount.login(role="dev", jwt=make_token(headers={"typ": "at+jwt"}, **access))
    for jwt in (make_token(**access), make_token(headers={"typ": "at+jwt"})):
        with pytest.raises(LoginError, match="at\\+jwt"):
            await mount.login(role="dev", jwt=jwt)
    await mount.write_role(bound_token_type="id_token")
    with pytest.raises(LoginError, match="token is no id_token"):
        await mount.login(role="dev", jwt=make_token(headers={"typ": "at+jwt"}, **access))
    await mount.write_role(bound_token_type="jwt-svid")
    await mount.login(role="dev", jwt=make_token(sub="spiffe://example.org/shop"))
    with pytest.raises(LoginError, match="not a SPIFFE ID"):
        await mount.login(role="dev", jwt=make_token())


async def test_verbose_logging_has_no_token(mount: JWTMount, caplog: pytest.LogCaptureFixture) -> None:
    """A role that asks for it has the claims of its logins logged, and never the token."""
    caplog.set_level("DEBUG")
    token = make_token(mail="a@b.test")
    await mount.login(role="dev", jwt=token)
    assert "a@b.test" not in caplog.text
    await mount.write_role(verbose_oidc_logging=True)
    await mount.login(role="dev", jwt=token)
    assert "a@b.test" in caplog.text
    assert not any(part in caplog.text for part in token.split("."))
