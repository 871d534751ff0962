"""Several issuers on one mount."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from identity_provider import Provider, serve_provider
from jwt_auth import JWTAuth
from jwt_auth.settings.issuer import JWTIssuer
from jwt_auth_keys import make_token, public_jwk, public_pem
from jwt_auth_mounts import GOOD_ROLE, JWTMount

from authkit.errors import LoginError, UserError
from authkit.logical import StorageEntry
from authkit.testing import MovableClock

PEOPLE = "https://people"


@pytest.fixture
async def mount(mount: JWTMount) -> JWTMount:
    """A mount that is ready for further issuers."""
    await mount.configure(bound_issuer=PEOPLE)
    await write_role(mount)
    return mount


async def write_role(mount: JWTMount, **fields: Any) -> None:
    """Write the role `dev`, whose users are named with their issuers."""
    await mount.write_role(**({"user_claim": "{iss}|{sub}"} | fields))


def people_token(**claims: Any) -> str:
    """Return a token of the default issuer."""
    return make_token(**({"iss": PEOPLE} | claims))


async def test_an_issuer_signs_for_itself_only(mount: JWTMount) -> None:
    """A token's `iss` picks the issuer, and no other key can sign for it."""
    await mount.write("issuer/ci", bound_issuer="https://ci", jwt_validation_pubkeys=public_pem("ci"))
    await write_role(mount, bound_issuers="default,ci")
    await mount.login(role="dev", jwt=make_token(key="ci", iss="https://ci"))
    await mount.login(role="dev", jwt=people_token())
    for forged in (make_token(iss="https://ci"), people_token(key="ci")):
        with pytest.raises(LoginError, match="no known key successfully validated"):
            await mount.login(role="dev", jwt=forged)
    for unknown in (make_token(key="ci"), make_token(), make_token(key="ci", iss="https://ci/")):
        with pytest.raises(LoginError, match=r"invalid issuer \(iss\) claim"):
            await mount.login(role="dev", jwt=unknown)


async def test_a_mount_of_issuers_only(bare: JWTMount) -> None:
    """With issuers the configuration needs no keys; tokens of nobody are refused."""
    await bare.write("issuer/ci", bound_issuer="https://ci", jwt_validation_pubkeys=public_pem("ci"))
    await bare.write("config", default_role="dev")
    await write_role(bare, bound_issuers="ci")
    await bare.login(jwt=make_token(key="ci", iss="https://ci"))
    for token in (make_token(iss="https://other"), people_token()):
        with pytest.raises(LoginError, match=r"error validating token: invalid issuer \(iss\) claim"):
            await bare.login(jwt=token)
    await bare.delete("issuer/ci")
    with pytest.raises(LoginError, match=r"invalid issuer \(iss\) claim"):
        await bare.login(jwt=make_token(key="ci", iss="https://ci"))


async def test_what_an_issuer_asks_for(mount: JWTMount) -> None:
    """Its audiences, algorithms and leeways apply beside those of the role."""
    keys = {"bound_issuer": "https://ci", "jwt_validation_pubkeys": public_pem("ci")}
    await mount.write("issuer/ci", keys, bound_audiences="internal")
    await write_role(mount, bound_issuers="default,ci")
    token = {"key": "ci", "iss": "https://ci"}
    await mount.login(role="dev", jwt=make_token(**token, aud=["vault", "internal"]))
    with pytest.raises(LoginError, match="invalid audience"):
        await mount.login(role="dev", jwt=make_token(**token))
    await mount.write(
        "role/open", role_type="jwt", user_claim="{iss}|{sub}", bound_subject="ann", bound_issuers="ci"
    )
    await mount.login(role="open", jwt=make_token(**token, aud="internal"))
    await mount.write("issuer/ci", keys, bound_audiences="", jwt_supported_algs="RS256")
    with pytest.raises(LoginError, match="token signed with unexpected algorithm"):
        await mount.login(role="dev", jwt=make_token(**token))
    await mount.write("issuer/ci", jwt_supported_algs="", clock_skew_leeway="1h")
    await mount.login(role="dev", jwt=make_token(**token, iat=1, exp=make_expiry(-1800)))
    with pytest.raises(LoginError, match="token is expired"):
        await mount.login(role="dev", jwt=people_token(iat=1, exp=make_expiry(-1800)))


def make_expiry(seconds: int) -> int:
    """Return a date that is so many seconds from now."""
    import time

    return int(time.time()) + seconds


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({}, "exactly one of 'jwt_validation_pubkeys', 'jwks_url' or 'oidc_discovery_url' must be set"),
        ({"jwt_validation_pubkeys": "{pem}"}, "'bound_issuer' must be set"),
        ({"jwt_validation_pubkeys": "x", "bound_issuer": "y"}, "error parsing public key"),
        ({"jwks_url": "{url}/broken", "bound_issuer": "y"}, "error checking jwks URL {url}/broken"),
        ({"oidc_discovery_url": "{url}/other"}, "error checking oidc discovery URL"),
        (
            {"jwt_validation_pubkeys": "{pem}", "bound_issuer": "y", "jwt_supported_algs": "none"},
            "invalid jwt_supported_algs",
        ),
        (
            {"jwt_validation_pubkeys": "{pem}", "bound_issuer": "https://ci"},
            "issuer 'ci' is for tokens with the same 'iss'",
        ),
    ],
    ids=str,
)
async def test_refused_issuers(
    mount: JWTMount, provider: Provider, fields: dict[str, Any], text: str
) -> None:
    """An issuer without keys or name, or a second one of the same tokens, is not stored."""
    await mount.write("issuer/ci", bound_issuer="https://ci", jwt_validation_pubkeys=public_pem("ci"))
    filled = {
        name: each.replace("{url}", provider.url).replace("{pem}", public_pem())
        for name, each in fields.items()
    }
    with pytest.raises(UserError) as caught:
        await mount.write("issuer/new", filled)
    assert str(caught.value).startswith(text.replace("{url}", provider.url))
    assert await mount.list("issuer/") == ["ci"]


async def test_discovery_names_the_issuer(mount: JWTMount, provider: Provider) -> None:
    """Without `bound_issuer` the discovery URL is the `iss`, and the keys are those of its document."""
    await mount.write("issuer/cloud", oidc_discovery_url=provider.url)
    found = await mount.read("issuer/cloud")
    assert found is not None
    assert (found["oidc_discovery_url"], found["bound_issuer"]) == (provider.url, "")
    await write_role(mount, bound_issuers="cloud")
    await mount.login(role="dev", jwt=make_token(key="first", iss=provider.url))


async def test_a_dead_provider_concerns_its_own_issuer_only(mount: JWTMount, provider: Provider) -> None:
    """Its logins are refused; those of others go on, without a call to it."""
    await mount.write("issuer/cloud", oidc_discovery_url=provider.url)
    await write_role(mount, bound_issuers="default,cloud")
    await mount.backend.invalidate_key("issuer/cloud")
    provider.answers |= dict.fromkeys(("/keys", "/.well-known/openid-configuration"), (500, "out of order"))
    with pytest.raises(LoginError, match="error configuring token validator: keyset configuration error"):
        await mount.login(role="dev", jwt=make_token(key="first", iss=provider.url))
    fetches = len(provider.fetches)
    await mount.login(role="dev", jwt=people_token())
    await mount.read("config")
    await write_role(mount, bound_issuers="default,cloud")
    assert len(provider.fetches) == fetches


async def test_a_warm_login_asks_nobody(mount: JWTMount, provider: Provider) -> None:
    """Neither the provider nor the host's storage, however many issuers there are."""
    await mount.write("issuer/cloud", oidc_discovery_url=provider.url)
    await mount.write("issuer/ci", bound_issuer="https://ci", jwt_validation_pubkeys=public_pem("ci"))
    await write_role(mount, bound_issuers="default,cloud,ci")
    tokens = [
        make_token(key="first", iss=provider.url),
        make_token(key="ci", iss="https://ci"),
        people_token(),
    ]
    for token in tokens:
        await mount.login(role="dev", jwt=token)
    before = mount.storage.reads, len(provider.fetches)
    for token in tokens:
        await mount.login(role="dev", jwt=token)
    assert (mount.storage.reads, len(provider.fetches)) == before


async def test_keys_of_an_issuer_that_is_gone(provider: Provider) -> None:
    """Its provider is asked no more, though nobody logs in; the others keep theirs."""
    clock = MovableClock()
    mount = JWTMount(JWTAuth, clock=clock)
    await mount.backend.initialize()
    await mount.configure(bound_issuer=PEOPLE)
    await write_role(mount, bound_issuers="gone,kept")
    for name in ("gone", "kept"):
        await mount.write(f"issuer/{name}", bound_issuer=name, jwks_url=provider.keys_url)
        await mount.login(role="dev", jwt=make_token(key="first", iss=name))
    verifiers = mount.backend.other_issuer.each(await mount.backend.issuers.all())
    await mount.delete("issuer/gone")
    for _ in range(2):
        clock.tick(600)
        await mount.tick()
    planned = {name: verifier.keys.status()[0].remote for name, verifier in verifiers.items()}
    assert planned["gone"] is not None
    assert planned["kept"] is not None
    assert planned["gone"].next_fetch_at is None
    assert planned["kept"].next_fetch_at is not None
    await mount.backend.cleanup()
    assert verifiers["kept"].keys.status()[0].remote.next_fetch_at is None  # type: ignore[union-attr]


async def test_two_issuers_of_one_name(mount: JWTMount) -> None:
    """Written at the same moment; the first by name counts, and nobody else is locked out."""
    for name, key in (("b", "second"), ("a", "first")):
        issuer = JWTIssuer(bound_issuer="https://ci", jwt_validation_pubkeys=[public_pem(key)])
        await mount.backend.issuers.put(name, issuer)
    await write_role(mount, bound_issuers="default,a,b")
    await mount.login(role="dev", jwt=make_token(key="first", iss="https://ci"))
    await mount.login(role="dev", jwt=people_token())
    with pytest.raises(LoginError):
        await mount.login(role="dev", jwt=make_token(key="second", iss="https://ci"))


@pytest.mark.parametrize(
    ("bound", "accepted"),
    [
        ("", {"default"}),
        ("default", {"default"}),
        ("ci", {"ci"}),
        ("CI", {"ci"}),
        ("ci,default", {"default", "ci"}),
        ("gone", set()),
    ],
)
async def test_a_role_names_its_issuers(mount: JWTMount, bound: str, accepted: set[str]) -> None:
    """A further issuer logs nobody in before a role names it; then nobody else's tokens do for it."""
    for name in ("ci", "other"):
        await mount.write(
            f"issuer/{name}", bound_issuer=f"https://{name}", jwt_validation_pubkeys=public_pem(name)
        )
    await write_role(mount, bound_issuers=bound)
    tokens = {name: make_token(key=name, iss=f"https://{name}") for name in ("ci", "other")}
    for name, token in (tokens | {"default": people_token()}).items():
        if name in accepted:
            await mount.login(role="dev", jwt=token)
        else:
            with pytest.raises(LoginError, match=r"^error validating token: invalid issuer \(iss\) claim"):
                await mount.login(role="dev", jwt=token)


async def test_a_role_of_an_issuer_that_is_gone(mount: JWTMount) -> None:
    """Its logins end with its issuer; the default does not step in, and a new issuer of its name does."""
    keys = {"bound_issuer": "https://ci", "jwt_validation_pubkeys": public_pem("ci")}
    await mount.write("issuer/ci", keys)
    await write_role(mount, bound_issuers="ci")
    await mount.delete("issuer/ci")
    for token in (people_token(), make_token(iss="https://ci"), make_token(key="ci", iss="https://ci")):
        with pytest.raises(LoginError, match=r"invalid issuer \(iss\) claim"):
            await mount.login(role="dev", jwt=token)
    await mount.write("issuer/ci", keys)
    await mount.login(role="dev", jwt=make_token(key="ci", iss="https://ci"))


async def test_issuers_that_are_not_there_yet(mount: JWTMount) -> None:
    """Whoever writes the role is told; it is stored all the same."""
    response = await mount.write("role/dev", GOOD_ROLE, bound_issuers="default,ci,CI,cloud")
    assert response is not None
    assert response.warnings == (
        "there is no issuer 'ci' yet; until then its tokens are refused",
        "there is no issuer 'cloud' yet; until then its tokens are refused",
    )
    found = await mount.read("role/dev")
    assert found is not None
    assert found["bound_issuers"] == ["default", "ci", "CI", "cloud"]


async def test_the_name_of_the_default_issuer_is_taken(mount: JWTMount) -> None:
    """Roles that name it mean the configuration."""
    for name in ("default", "Default"):
        with pytest.raises(UserError, match=r"^'default' is the name of the issuer in 'config'$"):
            await mount.write(f"issuer/{name}", bound_issuer="x", jwt_validation_pubkeys=public_pem())


@pytest.mark.parametrize(
    "stored",
    [
        {"jwks_url": "https://keys.example:/jwks"},
        {"oidc_discovery_url": "https://keys.example/?tenant=1"},
        {"jwt_validation_pubkeys": ["-----BEGIN PUBLIC KEY-----\nx\n-----END PUBLIC KEY-----"]},
    ],
    ids=str,
)
async def test_a_stored_issuer_that_is_refused_today_locks_nobody_else_out(
    bare: JWTMount, stored: dict[str, Any]
) -> None:
    """Its own tokens are refused, and the status names it."""
    await bare.configure(bound_issuer="https://good")
    await bare.write("issuer/old", jwt_validation_pubkeys=public_pem(), bound_issuer="https://old")
    await bare.write_role(user_claim="{iss}|{sub}", bound_issuers="default,old")
    entry = await bare.storage.get("issuer/old")
    assert entry is not None
    record = json.loads(entry.value) | {"jwt_validation_pubkeys": []} | stored
    await bare.storage.put(StorageEntry("issuer/old", json.dumps(record).encode()))
    await bare.backend.invalidate_key("issuer/old")
    auth = await bare.login(role="dev", jwt=make_token(iss="https://good"))
    assert auth.alias is not None
    assert auth.alias.name == "https://good|ann"
    with pytest.raises(LoginError, match="error configuring token validator: keyset configuration error"):
        await bare.login(role="dev", jwt=make_token(iss="https://old"))
    status = await bare.read("status")
    assert status is not None
    assert status["problem"].startswith("issuer 'old' cannot be used: ")


@pytest.mark.parametrize("place", ["issuer/z", "config"])
async def test_attack_an_issuer_whose_keys_come_late(bare: JWTMount, place: str) -> None:
    """It is compared again when its provider has answered: another one has its `iss` by then."""
    await bare.write("issuer/first", jwt_validation_pubkeys=public_pem("first"), bound_issuer="https://first")
    await bare.write("config", default_role="dev")
    await bare.write_role(user_claim="{iss}|{sub}", bound_issuers="default,z,a")
    with serve_provider(public_jwk("evil")) as evil:
        evil.delays["/keys"] = 2.0
        late = asyncio.create_task(bare.write("issuer/a", jwks_url=evil.keys_url, bound_issuer="https://z"))
        await asyncio.sleep(0.2)
        await bare.write(place, jwt_validation_pubkeys=public_pem("good"), bound_issuer="https://z")
        with pytest.raises(UserError, match="is for tokens with the same 'iss'"):
            await late
    await bare.login(role="dev", jwt=make_token(key="good", iss="https://z"))
    with pytest.raises(LoginError, match="token signature"):
        await bare.login(role="dev", jwt=make_token(key="evil", iss="https://z"))


async def test_attack_a_configuration_whose_keys_come_late(bare: JWTMount) -> None:
    """The same for the default issuer."""
    await bare.write_role(user_claim="{iss}|{sub}", bound_issuers="default,z")
    with serve_provider(public_jwk("evil")) as evil:
        evil.delays["/keys"] = 2.0
        late = asyncio.create_task(bare.write("config", jwks_url=evil.keys_url, bound_issuer="https://Z"))
        await asyncio.sleep(0.2)
        await bare.write("issuer/z", jwt_validation_pubkeys=public_pem("good"), bound_issuer="https://z")
        with pytest.raises(UserError, match="is for tokens with the same 'iss'"):
            await late
