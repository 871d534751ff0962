"""Attacks on issuers, users and the secrets of the configuration, on a real server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from identity_provider import serve_provider
from livebed.factories import our_plugin
from livebed.mounts import Mount, mount_plugin
from livebed.server import Server
from livebed.tokens import ISSUER, Issuer

from authkit.names import fold_name

BOTH = "{iss}|{sub}"
CI = "https://ci.example"


@pytest.fixture
def mount(server: Server, issuer: Issuer) -> Iterator[Mount]:
    """A mount of ours."""
    plugin = our_plugin(server)
    plugin.register(server.client)
    with mount_plugin(server, plugin, issuer) as mounted:
        yield mounted


def refused(mount: Mount, path: str, *, method: str = "POST", **fields: Any) -> str:
    """Return why a write is refused."""
    options: dict[str, Any] = {}
    if method == "PATCH":
        options["headers"] = {"Content-Type": "application/merge-patch+json"}
    response = mount.client.raw(method, f"auth/{mount.path}/{path}", fields, **options)
    assert response.status_code == 400, response.text
    text: str = response.json()["errors"][0]
    return text


def patch(mount: Mount, **fields: Any) -> None:
    """Patch the configuration."""
    headers = {"Content-Type": "application/merge-patch+json"}
    response = mount.client.raw("PATCH", f"auth/{mount.path}/config", fields, headers=headers)
    assert response.status_code in (200, 204), response.text


def entity_of(mount: Mount, role: str, jwt: str) -> str:
    """Return the entity of a login; empty if it is refused."""
    request = {"role": role, "jwt": jwt}
    response = mount.client.with_token("").raw("POST", f"auth/{mount.path}/login", request)
    if response.status_code == 400:
        return ""
    auth = response.json()["auth"]
    mount.client.secrets.append(auth["client_token"])
    entity: str = auth["entity_id"]
    return entity


def write_ci(mount: Mount, issuer: Issuer, name: str = "ci", iss: str = CI) -> None:
    """Add an issuer."""
    keys = {"jwt_validation_pubkeys": issuer.public_pem}
    mount.client.write(f"auth/{mount.path}/issuer/{name}", bound_issuer=iss, **keys)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Carol", "carol"),
        ("k", "\u212a"),  # Kelvin sign
        ("i", "\u0130"),  # capital I with a dot
        ("\u03b1\u03c3", "\u0391\u03a3"),  # no final sigma
        ("s", "\u017f"),  # long s
        ("\u00e9", "e\u0301"),  # not composed
        ("ss", "\u00df"),
        ("a", "a "),
    ],
)
def test_whom_a_server_takes_for_one_user(mount: Mount, first: str, second: str) -> None:
    """Exactly those names that `fold_name` makes equal: an issuer must not give them to two people."""
    one, other = (entity_of(mount, "dev", mount.issuer.token(sub=name)) for name in (first, second))
    assert one
    assert other
    assert (one == other) == (fold_name(first) == fold_name(second))


def test_attack_issuers_that_a_server_takes_for_one(mount: Mount) -> None:
    """One that differs in case only is refused; a token that spells it so gets no entity."""
    ci, evil = Issuer.rsa("ci"), Issuer.rsa("evil")
    mount.write_role(user_claim=BOTH, bound_issuers=["default", "ci", "evil"])
    write_ci(mount, ci)
    upper = CI.upper().replace("HTTPS", "https")
    keys = {"jwt_validation_pubkeys": evil.public_pem}
    assert "is for tokens with the same 'iss'" in refused(mount, "issuer/evil", bound_issuer=upper, **keys)
    assert "is for tokens with the same 'iss'" in refused(mount, "config", bound_issuer=upper, **keys)
    assert "is for tokens with the same 'iss'" in refused(
        mount, "issuer/x", bound_issuer=ISSUER.upper(), **keys
    )
    assert "'bound_issuer' must be set" in refused(mount, "config", **keys)
    victim = entity_of(mount, "dev", ci.token(iss=CI))
    assert victim
    for signer in (ci, mount.issuer):
        assert entity_of(mount, "dev", signer.token(iss=upper)) == ""


def test_attack_a_user_of_another_issuer(mount: Mount) -> None:
    """Roles of two issuers share no user unless both say so."""
    ci = Issuer.rsa("ci")
    victim = entity_of(mount, "dev", mount.issuer.token())
    assert victim
    text = refused(mount, "issuer/ci", bound_issuer=CI, jwt_validation_pubkeys=ci.public_pem)
    assert text.startswith("role 'dev' has to be changed before there can be another issuer")
    mount.write_role(shares_users_across_issuers=True)
    write_ci(mount, ci)
    assert entity_of(mount, "dev", mount.issuer.token()) == victim
    role = {"role_type": "jwt", "bound_audiences": ["x"], "bound_issuers": "ci"}
    assert "'user_claim' has to begin" in refused(mount, "role/ci", user_claim="sub", **role)
    mount.write_role("ci", user_claim=BOTH, bound_issuers="ci")
    attacker = entity_of(mount, "ci", ci.token(iss=CI))
    assert attacker not in ("", victim)
    mount.write_role("ci", user_claim="sub", bound_issuers="ci", shares_users_across_issuers=True)
    assert entity_of(mount, "ci", ci.token(iss=CI)) == victim
    assert entity_of(mount, "ci", ci.token(iss=CI, sub=f"{ISSUER}|alice")) == ""


def test_attack_secrets_of_the_configuration(mount: Mount) -> None:
    """A patch neither shows one, nor sends it to another place."""
    token, secret = "wL3mB6tTqkzR9xYp", "9pGm2VxQ7sKd"
    mount.client.secrets.extend([token, secret])
    with serve_provider(mount.issuer.jwk) as provider, serve_provider(mount.issuer.jwk) as evil:
        okta = {"provider": "okta", "org_url": "https://okta.test", "api_token": token}
        client = {"oidc_client_id": "id", "oidc_client_secret": secret}
        mount.client.write(
            f"auth/{mount.path}/config", oidc_discovery_url=provider.url, provider_config=okta, **client
        )
        again = "must be sent again"
        assert again in refused(mount, "config", method="PATCH", oidc_discovery_url=evil.url)
        assert again in refused(
            mount, "config", method="PATCH", provider_config={"org_url": "https://evil.test"}
        )
        known = {"oidc_client_secret": secret, "provider_config": {"provider": "ibmisam"}}
        assert again in refused(
            mount, "config", method="PATCH", oidc_discovery_url=evil.url, provider_config=None
        )
        assert evil.fetches == []
        patch(mount, provider_config={"provider": "ibmisam"})
        assert token not in str(mount.client.read(f"auth/{mount.path}/config"))
        patch(mount, oidc_discovery_url=evil.url, **known)
        assert mount.client.read(f"auth/{mount.path}/config")["oidc_discovery_url"] == evil.url


def test_attack_a_withdrawn_key(mount: Mount) -> None:
    """It ends with the next write of the configuration or the issuer, however little that changes."""
    stolen, new = Issuer.rsa("stolen"), Issuer.rsa("new")
    mount.write_role(user_claim=BOTH, bound_issuers=["default", "ci"])
    with serve_provider(stolen.jwk) as provider:
        config = {"jwks_url": provider.keys_url, "bound_issuer": ISSUER}
        keys = {"bound_issuer": CI, "jwks_url": provider.keys_url}
        for path, fields, iss in (("config", config, ISSUER), ("issuer/ci", keys, CI)):
            provider.keys = [stolen.jwk]
            mount.client.write(f"auth/{mount.path}/{path}", **fields)
            assert entity_of(mount, "dev", stolen.token(iss=iss))
            provider.keys = [new.jwk]
            mount.client.write(f"auth/{mount.path}/{path}", **fields)
            assert entity_of(mount, "dev", stolen.token(iss=iss)) == ""
            assert entity_of(mount, "dev", new.token(iss=iss))
