"""What an operator learns about logins: explanations, references, status."""

from __future__ import annotations

import os
import re
from time import process_time
from typing import Any

import pytest
from cachetools import TTLCache
from identity_provider import Provider
from jwt_auth import JWTAuth
from jwt_auth_keys import make_token
from jwt_auth_mounts import JWTMount

from authkit.errors import LoginError, NotFoundError, UserError
from authkit.logical import Operation
from authkit.masking import Secret

REFERENCE = re.compile(r" \(reference ([a-z2-9]{8})\)$")


async def explain(mount: JWTMount, **fields: Any) -> dict[str, Any]:
    """Ask for an explanation."""
    response = await mount.request(Operation.UPDATE, "explain", fields)
    assert response is not None
    assert response.data is not None
    return dict(response.data)


async def denied(mount: JWTMount, **fields: Any) -> tuple[str, str]:
    """Return text and reference of a denied login."""
    with pytest.raises(LoginError) as caught:
        await mount.login(**fields)
    found = REFERENCE.search(caught.value.public)
    assert found is not None
    return caught.value.public[: found.start()], found[1]


async def test_a_login_that_would_be_allowed(mount: JWTMount) -> None:
    """Every check is named, with what was expected and what the token had; nobody is logged in."""
    token = make_token()
    found = await explain(mount, role="Dev", jwt=token)
    assert (found["allowed"], found["error"]) == (True, "")
    assert all(check["passed"] for check in found["checks"])
    names = [check["name"] for check in found["checks"]]
    assert names.index("form") < names.index("signature") < names.index("aud") < names.index("user claim")
    assert token not in repr(found)
    assert found["checks"][names.index("aud")]["expected"] == 'one of ["vault"]'


async def test_a_login_that_would_be_denied(mount: JWTMount) -> None:
    """The error is the login's, and checks after the first that failed are made as well."""
    await mount.write_role(bound_claims={"team": "a"})
    token = make_token(exp=5, iat=1, aud="other", team="b")
    found = await explain(mount, role="dev", jwt=token)
    text, _ = await denied(mount, role="dev", jwt=token)
    assert (found["allowed"], found["error"]) == (False, text)
    failed = {check["name"] for check in found["checks"] if not check["passed"]}
    assert failed == {"aud", "exp", "bound claim team"}


async def test_both_ways_show_the_same(mount: JWTMount) -> None:
    """The members, and the words of each check that both have made."""
    token = make_token(aud="other")
    dry = await explain(mount, role="dev", jwt=token)
    _, reference = await denied(mount, role="dev", jwt=token)
    looked_up = await mount.read(f"explain/{reference}")
    assert looked_up is not None
    assert looked_up.keys() == dry.keys()
    shown = {check["name"]: check for check in dry["checks"]}
    for check in looked_up["checks"]:
        assert check.keys() == shown[check["name"]].keys()
        if check["name"] not in ("nbf", "exp", "iat"):
            assert check == shown[check["name"]]


async def test_every_check_holds_the_value_that_was_compared(mount: JWTMount) -> None:
    """Claims by name; nothing stands for a claim that is not there, and no word for one that is."""
    await mount.write_role(
        groups_claim="groups", claim_mappings={"team": "team"}, bound_claims={"org": "acme"}
    )
    token = make_token(groups=["a", 5], team="red")
    had = {check["name"]: check["had"] for check in (await explain(mount, role="dev", jwt=token))["checks"]}
    assert had["user claim"] == '{"sub": "ann"}'
    assert had["claim mappings"] == '{"team": "red"}'
    assert had["groups claim"] == '{"groups": ["a", 5]}'
    had = {
        check["name"]: check["had"]
        for check in (await explain(mount, role="dev", jwt=make_token(groups=["a"])))["checks"]
    }
    assert had["bound claim org"] == "nothing"
    assert had["claim mappings"] == '{"team": null}'


async def test_what_cannot_be_explained(mount: JWTMount) -> None:
    """A role that is not there, and a request without a token."""
    with pytest.raises(UserError, match='role "nobody" could not be found'):
        await explain(mount, role="nobody", jwt="x")
    with pytest.raises(UserError, match="missing jwt"):
        await explain(mount, role="dev")


async def test_a_reference_leads_to_the_reason(mount: JWTMount) -> None:
    """A denial can be looked up by what it was told, with its checks and without its token."""
    token = make_token(sub="eve", aud="other")
    text, reference = await denied(mount, role="dev", jwt=token, address="198.51.100.7")
    found = await mount.read(f"explain/{reference}")
    assert found is not None
    assert (found["role"], found["error"], found["remote_addr"]) == ("dev", text, "198.51.100.7")
    assert [check["name"] for check in found["checks"] if not check["passed"]] == ["aud"]
    assert not any(part in repr(found) for part in token.split("."))
    with pytest.raises(NotFoundError):
        await mount.read("explain/abcdefgh")


async def test_an_explanation_tells_nothing_of_other_secrets(mount: JWTMount) -> None:
    """Claims come back as the token has them, also when they hold the client secret of another mount."""
    stored_elsewhere = Secret("the-client-secret-of-another-mount")
    await mount.write_role(bound_claims={"team": "a"})
    token = make_token(team=f"x-{stored_elsewhere.reveal()}-y")
    _, reference = await denied(mount, role="dev", jwt=token)
    for found in (await explain(mount, role="dev", jwt=token), await mount.read(f"explain/{reference}")):
        assert found is not None
        team = next(check for check in found["checks"] if check["name"] == "bound claim team")
        assert "x-the-client-secret-of-another-mount-y" in team["had"]


async def test_a_refused_login_costs_the_same_however_many_secrets_live(mount: JWTMount) -> None:
    """Strangers cause refusals: what other mounts and logins hold must not make them expensive."""

    async def cost() -> float:
        times = []
        for _ in range(15):
            begin = process_time()
            await denied(mount, role="dev", jwt=token)
            times.append(process_time() - begin)
        return min(times)

    token = make_token(aud="other")
    with_few = await cost()
    many = [Secret(os.urandom(20).hex()) for _ in range(10_000)]
    assert await cost() < 3 * with_few
    assert len(many) == 10_000


async def test_references_are_for_a_while(mount: JWTMount) -> None:
    """Only so many, only so long."""
    kept = mount.backend.denials._kept
    assert isinstance(kept, TTLCache)
    assert (kept.maxsize, kept.ttl) == (1000, 600)
    _, first = await denied(mount, role="dev", jwt="junk")
    for _ in range(1000):
        with pytest.raises(LoginError):
            await mount.login(role="dev", jwt="junk")
    assert len(kept) == 1000
    with pytest.raises(NotFoundError):
        await mount.read(f"explain/{first}")


def test_who_may_ask() -> None:
    """Explanations need the capability `sudo`; of all paths only those of logins are open."""
    special = JWTAuth.route_table.special
    assert set(special.root) == {"explain", "explain/*"}
    assert set(special.unauthenticated) == {
        "login",
        "oidc/auth_url",
        "oidc/callback",
        "oidc/jwks",
        "oidc/poll",
    }


async def test_status(mount: JWTMount, provider: Provider) -> None:
    """Per issuer its keys, and logins by outcome; nothing secret."""
    await mount.configure(bound_issuer="https://people")
    await mount.write_role(user_claim="{iss}|{sub}", bound_issuers="default,cloud")
    await mount.write("issuer/cloud", oidc_discovery_url=provider.url)
    before = await mount.read("status")
    assert before is not None
    (source,) = before["issuers"]["issuer/cloud"]["keys"]
    assert (source["source"], source["keys"], source["fetched_at"]) == (f"{provider.url}", 0, None)
    await mount.login(role="dev", jwt=make_token(key="first", iss=provider.url))
    people = {"iss": "https://people"}
    await mount.login(role="dev", jwt=make_token(**people))
    for jwt in ("junk", make_token(exp=5, iat=1, **people), make_token(key="wrong", **people)):
        await denied(mount, role="dev", jwt=jwt)
    after = await mount.read("status")
    assert after is not None
    assert after["issuers"]["default"] == {
        "iss": "https://people",
        "keys": [{"source": "static keys", "keys": 1}],
    }
    (source,) = after["issuers"]["issuer/cloud"]["keys"]
    assert (source["keys"], source["fetches"], source["last_error"]) == (1, 1, "")
    assert (source["metadata"]["fetches"], source["metadata"]["last_error"]) == (1, "")
    assert source["fetched_at"] < source["next_fetch_at"] < source["usable_until"]
    assert after["logins"] == {"allowed": 2, "denied": {"exp": 1, "form": 1, "signature": 1}}


async def test_status_of_a_provider_that_is_down(mount: JWTMount, provider: Provider) -> None:
    """The last error is told, without what the provider sent."""
    await mount.write("config", jwks_url=provider.keys_url)
    await mount.backend.invalidate_key("config")
    provider.answers["/keys"] = (500, "secret stack trace")
    await denied(mount, role="dev", jwt=make_token(key="first"))
    found = await mount.read("status")
    assert found is not None
    (source,) = found["issuers"]["default"]["keys"]
    assert "500" in source["last_error"]
    assert "stack trace" not in repr(found)
    assert (source["keys"], source["failures"]) == (0, 1)


async def test_status_before_anything(bare: JWTMount) -> None:
    """A mount that nobody has configured has no issuers."""
    logins = {"allowed": 0, "denied": {}}
    assert await bare.read("status") == {"issuers": {}, "problem": "", "refused_roles": {}, "logins": logins}
