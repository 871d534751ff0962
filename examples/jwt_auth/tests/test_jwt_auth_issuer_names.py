"""Users of several issuers: who can be taken for whom. A server ignores case in the names of aliases."""

from __future__ import annotations

import json
from typing import Any

import pytest
from identity_provider import Provider
from jwt_auth.settings.config import JWTConfig
from jwt_auth.settings.issuer import JWTIssuer
from jwt_auth.settings.role import JWTRole
from jwt_auth_keys import make_token, public_pem
from jwt_auth_mounts import GOOD_ROLE, JWTMount

from authkit.errors import LoginError, UserError
from authkit.names import fold_name

CI = {"bound_issuer": "https://ci", "jwt_validation_pubkeys": public_pem("ci")}
PEOPLE = {"bound_issuer": "https://people"}
BOTH = "{iss}|{sub}"


async def alias_of(mount: JWTMount, role: str = "dev", **token: Any) -> str:
    """Return the alias of a login, as a server compares it; empty if it is refused."""
    try:
        auth = await mount.login(role=role, jwt=make_token(**token))
    except LoginError:
        return ""
    assert auth.alias is not None
    return fold_name(auth.alias.name)


async def store(mount: JWTMount, *, config: dict[str, Any], role: dict[str, Any], **issuers: Any) -> None:
    """Store objects as an earlier version has stored them, without today's rules."""
    await mount.backend.config.put(JWTConfig(**({"jwt_validation_pubkeys": public_pem()} | config)))
    await mount.backend.roles.put("dev", JWTRole(**(GOOD_ROLE | role)))
    for name, fields in issuers.items():
        await mount.backend.issuers.put(name, JWTIssuer(**fields))


async def test_attack_issuers_that_differ_in_case(mount: JWTMount) -> None:
    """The second one would name the users of the first."""
    await mount.configure(**PEOPLE)
    await mount.write_role(bound_issuers="default,ci", user_claim=BOTH)
    await mount.write("issuer/ci", CI)
    other = {"bound_issuer": "https://CI", "jwt_validation_pubkeys": public_pem("other")}
    with pytest.raises(UserError, match=r"^issuer 'ci' is for tokens with the same 'iss'"):
        await mount.write("issuer/other", other)
    with pytest.raises(UserError, match=r"^issuer 'ci' is for tokens with the same 'iss'"):
        await mount.configure(bound_issuer="https://Ci")
    with pytest.raises(UserError, match=r"^the issuer in 'config' is for tokens with the same 'iss'"):
        await mount.write("issuer/people", other, bound_issuer="HTTPS://people")


async def test_attack_issuers_that_differ_in_case_and_are_stored(bare: JWTMount) -> None:
    """The first by name goes on; tokens of the other are nobody's, and no user has two issuers."""
    other = {"bound_issuer": "https://CI", "jwt_validation_pubkeys": public_pem("other")}
    role = {"bound_issuers": "a,b", "user_claim": BOTH}
    await store(bare, config=PEOPLE, role=role, a=CI, b=other)
    assert await alias_of(bare, key="ci", iss="https://ci") == "https://ci|ann"
    assert await alias_of(bare, key="other", iss="https://CI") == ""
    assert await alias_of(bare, key="other", iss="https://ci") == ""
    assert await alias_of(bare, key="ci", iss="https://CI") == ""


async def test_attack_an_iss_that_the_default_spells_otherwise(bare: JWTMount) -> None:
    """The holder of the default's key would name the users of another issuer."""
    await store(bare, config={}, role={"bound_issuers": "default,ci", "user_claim": BOTH}, ci=CI)
    assert await alias_of(bare, key="ci", iss="https://ci") == "https://ci|ann"
    for iss in ("https://CI", "HTTPS://ci", "https://C\u0130", "https://later", None):
        for key in ("", "ci"):
            assert await alias_of(bare, key=key, iss=iss) == ""
    with pytest.raises(LoginError, match="'bound_issuer' of the configuration has to be set"):
        await bare.login(role="dev", jwt=make_token(iss="https://later"))


async def test_attack_users_that_two_roles_share(bare: JWTMount) -> None:
    """Whoever may sign as one issuer would be every user of the other that the first cares to name."""
    await store(bare, config=PEOPLE, role={"bound_issuers": "ci"}, ci=CI)
    await bare.backend.roles.put("people", JWTRole(**GOOD_ROLE))
    victim = await alias_of(bare, "people", iss="https://people")
    attacker = await alias_of(bare, "dev", key="ci", iss="https://ci")
    assert not victim or victim != attacker


async def test_attack_a_user_claim_with_the_issuer_in_another_place(bare: JWTMount) -> None:
    """Issuers choose the other claims, and with them what stands in front of theirs."""
    await store(bare, config=PEOPLE, role={"bound_issuers": "ci", "user_claim": "{sub}|{iss}"}, ci=CI)
    await bare.backend.roles.put("people", JWTRole(**(GOOD_ROLE | {"user_claim": BOTH})))
    victim = await alias_of(bare, "people", iss="https://people", sub="https://ci")
    assert victim == "https://people|https://ci"
    assert await alias_of(bare, "dev", key="ci", iss="https://ci", sub="https://people") != victim


async def test_attack_a_user_named_like_one_of_another_issuer(bare: JWTMount) -> None:
    """A role that shares users with other issuers names none of those who begin with another's `iss`."""
    role = {"bound_issuers": "ci", "shares_users_across_issuers": True}
    await store(bare, config=PEOPLE, role=role, ci=CI)
    assert await alias_of(bare, key="ci", iss="https://ci", sub="bob") == "bob"
    for name in ("https://people|ann", "HTTPS://People|ann"):
        with pytest.raises(LoginError, match="names a user of another issuer"):
            await bare.login(role="dev", jwt=make_token(key="ci", iss="https://ci", sub=name))


@pytest.mark.parametrize("separator", ["k", "K", "\u212a"])
async def test_attack_a_separator_in_another_case(mount: JWTMount, separator: str) -> None:
    """Two users would differ only in where one claim ends."""
    await mount.write_role(user_claim=f"{{team}}{separator}{{sub}}")
    first = await alias_of(mount, team="a", sub="bkc")
    assert first == "akbkc"
    for team in ("akb", "aKb", "a\u212ab"):
        assert await alias_of(mount, team=team, sub="c") == ""


async def test_attack_groups_that_two_roles_share(bare: JWTMount) -> None:
    """Whoever may sign as one issuer would be in every group that the other's users are in."""
    role = {"bound_issuers": "ci", "user_claim": BOTH, "groups_claim": "groups"}
    await store(bare, config=PEOPLE, role=role, ci=CI)
    assert await alias_of(bare, key="ci", iss="https://ci", groups=["ops"]) == ""
    with pytest.raises(UserError, match="'groups_claim' is not for mounts with several issuers"):
        await bare.write("role/dev", role_type="jwt", groups_claim="groups")
    await bare.write("role/dev", role_type="jwt", shares_groups_across_issuers=True)
    assert await alias_of(bare, key="ci", iss="https://ci", groups=["ops"]) == "https://ci|ann"


MUST_BEGIN = r"^'user_claim' has to begin with '\{iss\}\|', as in '\{iss\}\|\{sub\}'"


@pytest.mark.parametrize(
    ("fields", "is_taken"),
    [
        ({"user_claim": "sub"}, False),
        ({"user_claim": "iss"}, False),
        ({"user_claim": "{sub}|{iss}"}, False),
        ({"user_claim": "{iss}:{sub}"}, False),
        ({"user_claim": "x{iss}|{sub}"}, False),
        ({"user_claim": "{/iss}|{sub}"}, False),
        ({"user_claim": "{/iss}|{sub}", "user_claim_json_pointer": True}, True),
        ({"user_claim": "{iss}|{sub}", "user_claim_json_pointer": True}, True),
        ({"user_claim": "{iss}|{sub}"}, True),
        ({"user_claim": "{iss}|{team}|{sub}"}, True),
        ({"user_claim": "sub", "shares_users_across_issuers": True}, True),
        ({"user_claim": "sub", "shares_users_across_issuers": True, "bound_issuers": ""}, True),
        ({"user_claim": "sub", "shares_users_across_issuers": True, "bound_issuers": "ci,CI"}, True),
        ({"user_claim": "sub", "shares_users_across_issuers": True, "bound_issuers": "ci,default"}, False),
        ({"user_claim": "{iss}|{sub}", "bound_issuers": "ci,default"}, True),
    ],
    ids=str,
)
async def test_roles_of_a_mount_with_several_issuers(
    bare: JWTMount, fields: dict[str, Any], is_taken: bool
) -> None:
    """A role names users by their issuer, or is of one issuer and says that it shares them."""
    await bare.write("issuer/ci", CI)
    await bare.write("issuer/other", bound_issuer="https://other", jwt_validation_pubkeys=public_pem("other"))
    await bare.write("config", default_role="dev")
    role = GOOD_ROLE | {"bound_issuers": "ci"} | fields
    if is_taken:
        await bare.write("role/dev", role)
    else:
        with pytest.raises(UserError, match=MUST_BEGIN):
            await bare.write("role/dev", role)
    await bare.backend.roles.put("stored", JWTRole(**role))
    if role["bound_issuers"]:
        token = {"key": "ci", "iss": "https://ci", "team": "a"}
        assert bool(await alias_of(bare, "stored", **token)) == is_taken


async def test_an_issuer_that_would_end_the_logins_of_a_role(mount: JWTMount) -> None:
    """It is refused until the role is changed; what makes a second one of the configuration, too."""
    await mount.configure(bound_issuer="https://people")
    text = r"^role 'dev' has to be changed before there can be another issuer: 'user_claim' has to begin"
    with pytest.raises(UserError, match=text):
        await mount.write("issuer/ci", CI)
    assert await alias_of(mount, iss="https://people") == "ann"
    await mount.write_role(shares_users_across_issuers=True)
    await mount.write("issuer/ci", CI)
    assert await alias_of(mount, iss="https://people") == "ann"
    await mount.write("config", default_role="dev")
    await mount.write_role(shares_users_across_issuers=False)
    with pytest.raises(UserError, match=text):
        await mount.configure(bound_issuer="https://people")


async def test_a_role_that_a_second_issuer_has_overtaken(bare: JWTMount) -> None:
    """Written at the same moment, or by an earlier version: its logins and `status` say what to do."""
    await store(bare, config=PEOPLE, role={}, ci=CI)
    with pytest.raises(LoginError, match=r"^role 'dev' cannot be used: 'user_claim' has to begin") as caught:
        await bare.login(role="dev", jwt=make_token(iss="https://people"))
    assert "'shares_users_across_issuers'" in str(caught.value)
    refused = (await bare.read("status"))["refused_roles"]
    assert list(refused) == ["dev"]
    assert refused["dev"].startswith("'user_claim' has to begin with '{iss}|'")


async def test_a_shared_name_is_nobodys_of_an_issuer(mount: JWTMount) -> None:
    """A role that shares its users names none of those that roles with `{iss}|` have."""
    await mount.configure(bound_issuer="https://people")
    await mount.write_role(shares_users_across_issuers=True, bound_issuers="ci")
    await mount.write("issuer/ci", CI)
    token = {"key": "ci", "iss": "https://ci"}
    assert await alias_of(mount, **token, sub="https://people|ann") == ""
    assert await alias_of(mount, **token, sub="HTTPS://PEOPLE|ann") == ""
    assert await alias_of(mount, **token, sub="auth0|ann") == "auth0|ann"


@pytest.mark.parametrize(
    ("config", "text"),
    [
        ({"jwt_validation_pubkeys": "{pem}"}, "'bound_issuer' must be set on a mount with further issuers"),
        ({"jwks_url": "{url}/keys"}, "'bound_issuer' must be set on a mount with further issuers"),
        ({"jwks_pairs": [{"jwks_url": "{url}/keys"}]}, "'jwks_pairs' cannot be used on a mount with further"),
        ({"jwks_url": "{url}/keys", "bound_issuer": "https://people"}, ""),
        ({"oidc_discovery_url": "{url}"}, ""),
        ({"default_role": "dev"}, ""),
    ],
    ids=str,
)
async def test_the_default_issuer_beside_others(
    bare: JWTMount, provider: Provider, config: dict[str, Any], text: str
) -> None:
    """It needs an `iss`, whichever of the two is written first. A discovery URL is one."""
    config = json.loads(
        json.dumps(config).replace("{url}", provider.url).replace("{pem}", json.dumps(public_pem())[1:-1])
    )
    await bare.write("issuer/ci", CI)
    if not text:
        await bare.write("config", config)
        await bare.write("issuer/ci", CI)
        return
    with pytest.raises(UserError, match=f"^{text}"):
        await bare.write("config", config)
    await bare.delete("issuer/ci")
    await bare.write("config", config)
    with pytest.raises(UserError, match=f"^the configuration has to be changed first: {text}"):
        await bare.write("issuer/ci", CI)


async def test_a_discovery_url_is_the_iss_of_the_default_beside_others(
    mount: JWTMount, provider: Provider
) -> None:
    """Alone on its mount the keys decide, as with the official plugin."""
    await mount.write("config", oidc_discovery_url=provider.url)
    await mount.write_role(user_claim=BOTH)
    assert await alias_of(mount, key="first", iss="https://other") == "https://other|ann"
    await mount.write("issuer/ci", CI)
    assert await alias_of(mount, key="first", iss="https://other") == ""
    assert await alias_of(mount, key="first", iss=provider.url) == f"{provider.url}|ann"


async def test_status_names_issuers_that_cannot_be_used(bare: JWTMount) -> None:
    """Those of an earlier version that differ in case, and a default one without a name."""
    await store(bare, config={}, role={}, a=CI, b=CI | {"bound_issuer": "https://CI"})
    status = await bare.read("status")
    assert status is not None
    assert status["problem"].startswith("issuer 'a' cannot be used: issuer 'b' is for tokens with the same")
    await bare.delete("issuer/b")
    status = await bare.read("status")
    assert status is not None
    assert "'bound_issuer' must be set on a mount with further issuers" in status["problem"]


async def test_an_iss_with_the_separator_of_names(bare: JWTMount) -> None:
    """Its users would begin with another issuer's name."""
    with pytest.raises(UserError, match=r"^'bound_issuer' must not hold '\|'"):
        await bare.write("issuer/ci", CI, bound_issuer="https://people|ci")
