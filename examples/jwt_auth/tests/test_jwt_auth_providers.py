"""Lookups at the default issuer's provider; each provider by itself is tested with `authkit.oidc`."""

from __future__ import annotations

from typing import Any

import pytest
from jwt_auth_keys import make_token, public_pem
from jwt_auth_mounts import JWTMount

from authkit.errors import LoginError, UserError


@pytest.mark.parametrize(
    ("provider", "claim", "groups"),
    [
        ("secureauth", "a,b", ["a", "b"]),
        ("secureauth", "a, b,", ["a", " b"]),
        ("secureauth", ["a,b"], ["a,b"]),
        ("ibmisam", "a b", ["a", "b"]),
        ("azure", ["a", "b"], ["a", "b"]),
    ],
)
async def test_groups(mount: JWTMount, provider: str, claim: Any, groups: list[str]) -> None:
    """What the provider makes of the groups claim counts, for group aliases and for bound claims."""
    await mount.configure(provider_config={"provider": provider})
    await mount.write_role(groups_claim="/x/groups", bound_claims={"/x/groups": groups[0]})
    auth = await mount.login(role="dev", jwt=make_token(x={"groups": claim}))
    assert [alias.name for alias in auth.group_aliases] == groups


async def test_lookups_are_the_default_issuer_s(mount: JWTMount) -> None:
    """Nobody is asked about the users of another issuer."""
    await mount.configure(provider_config={"provider": "secureauth"}, bound_issuer="https://people")
    apart = {"user_claim": "{iss}|{sub}", "shares_groups_across_issuers": True}
    await mount.write_role(groups_claim="groups", bound_issuers="ci", **apart)
    await mount.write("issuer/ci", bound_issuer="https://ci", jwt_validation_pubkeys=public_pem("ci"))
    auth = await mount.login(role="dev", jwt=make_token(key="ci", iss="https://ci", groups="a,b"))
    assert [alias.name for alias in auth.group_aliases] == ["a,b"]


async def test_groups_that_cannot_be_had(mount: JWTMount) -> None:
    """The login is denied, and says at which step."""
    await mount.configure(provider_config={"provider": "azure", "graph_host": "graph.test"})
    await mount.write_role(groups_claim="groups")
    pointer = {
        "_claim_names": {"groups": "s"},
        "_claim_sources": {"s": {"endpoint": "https://graph.test/x"}},
    }
    for claims, text in (
        ({}, "unable to get claim sources: unable to locate groups claim"),
        (pointer, "access token is empty. Cannot call Microsoft Graph API"),
    ):
        with pytest.raises(
            LoginError, match=r'^failed to fetch groups: "groups" claim not found in token: '
        ) as caught:
            await mount.login(role="dev", jwt=make_token(**claims))
        assert text in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"provider": "azure", "fetch_groups": "true"}, 'error initializing "azure" provider_config: '),
        ({"provider": "okta", "fetch_groups": True}, 'error initializing "okta" provider_config: '),
        ({"provider": "kubernetes"}, 'error initializing "kubernetes" provider_config: '),
        (
            {"provider": "gsuite", "gsuite_service_account": "x"},
            'error initializing "gsuite" provider_config: ',
        ),
    ],
    ids=str,
)
async def test_settings_that_do_not_fit(mount: JWTMount, settings: dict[str, Any], text: str) -> None:
    """They are refused in the words of the official plugin, as far as those are not Go's."""
    source = {"jwt_validation_pubkeys": ""} if settings["provider"] == "kubernetes" else {}
    with pytest.raises(UserError) as caught:
        await mount.configure(provider_config=settings, **source)
    assert str(caught.value).startswith(f"invalid provider_config: {text}")
