"""A mount changes from the official plugin to ours and back: configuration, roles and tokens stay."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from livebed.binaries import find_built
from livebed.factories import our_plugin
from livebed.mounts import Mount
from livebed.plugins import CURRENT, go_peer
from livebed.server import Server
from livebed.tokens import AUDIENCE, ISSUER, Issuer

OFFICIAL = "v0.26.1"
MORE_FIELDS = {
    "bound_issuers",
    "bound_token_type",
    "callback_mode",
    "oidc_disable_confirmation",
    "poll_interval",
    "renew_at_provider",
    "shares_groups_across_issuers",
    "shares_users_across_issuers",
    "token_strictly_bind_ip",
}
"""What reads of ours show beside what the official plugin shows."""

ROLES: dict[str, dict[str, Any]] = {
    "plain": {"bound_audiences": AUDIENCE},
    "full": {
        "bound_audiences": [AUDIENCE, "other"],
        "bound_claims": {"team": ["a", "b*"], "/deep/n": 5, "ratio": 5.0, "flag": True},
        "claim_mappings": {"mail": "email", "/deep/name": "name"},
        "groups_claim": "/deep/groups",
        "expiration_leeway": "-1s",
        "not_before_leeway": 30,
        "clock_skew_leeway": "2m",
        "max_age": "1h",
        "oidc_scopes": "profile",
        "token_ttl": "90m",
        "token_max_ttl": "720h",
        "token_period": "1h",
        "token_explicit_max_ttl": "2d",
        "token_policies": ["B", "a"],
        "token_no_default_policy": True,
        "token_num_uses": 7,
        "token_type": "service",
        "token_bound_cidrs": ["127.0.0.1", "10.0.0.0/8"],
        "alias_metadata": {"team": "x"},
    },
    "legacy": {
        "bound_audiences": AUDIENCE,
        "bound_subject": "alice",
        "policies": "Foo,default",
        "ttl": "1h",
        "num_uses": 2,
        "period": 60,
    },
    "glob": {"bound_claims": {"ref": "refs/heads/*"}, "bound_claims_type": "glob"},
    "batch": {"bound_audiences": AUDIENCE, "token_type": "batch", "token_ttl": 60},
    "browser": {"role_type": "oidc", "allowed_redirect_uris": "http://localhost:8250/oidc/callback"},
}


@pytest.fixture
def swapped(server: Server, issuer: Issuer) -> Iterator[Mount]:
    """A mount of the type `jwt`, served by the official plugin; ours is registered beside it."""
    binary = find_built("jwt-peer")
    if binary is None:
        pytest.skip("the Go plugin is not built: run scripts/live/build jwt-peer")
    official, ours = go_peer(server.plugin_directory, binary).called("jwt"), our_plugin(server).called("jwt")
    official.register(server.client, version=OFFICIAL)
    ours.register(server.client)
    server.client.write("sys/auth/swapped", type="jwt", config={"plugin_version": OFFICIAL})
    mount = Mount(server, official, issuer, "swapped")
    yield mount
    mount.disable()


def test_a_mount_moves_to_ours_and_back(swapped: Mount) -> None:
    """Each plugin reads what the other has stored, logs in with it and renews the tokens of the other."""
    client, path = swapped.client, swapped.path
    swapped.configure(default_role="plain", namespace_in_state=False, jwt_supported_algs="RS256,ES256")
    for name, fields in ROLES.items():
        client.write(f"auth/{path}/role/{name}", **({"role_type": "jwt", "user_claim": "sub"} | fields))
    before = everything(swapped)
    tokens = [swapped.login("plain"), swapped.login("legacy")]

    move(swapped, CURRENT)

    assert everything(swapped) == before
    again = swapped.login("")
    assert again["metadata"] == {"role": "plain"}
    assert again["entity_id"] == tokens[0]["entity_id"]
    for auth in tokens:
        assert swapped.renew(auth)["auth"]["client_token"] == auth["client_token"]
    for name in ROLES:
        client.write(f"auth/{path}/role/{name}", **({"role_type": "jwt"} | ROLES[name]))
    swapped.write_role("new", token_ttl="2h", clock_skew_leeway=-1, token_type="service")
    swapped.configure(namespace_in_state=True)
    between = everything(swapped)
    tokens.append(swapped.login("new"))

    move(swapped, OFFICIAL)

    assert everything(swapped) == between
    assert swapped.login("new")["lease_duration"] == 7200
    for auth in tokens[::2]:
        assert swapped.renew(auth)["auth"]["client_token"] == auth["client_token"]


def move(mount: Mount, version: str) -> None:
    """Have another plugin serve the mount, as an operator does it."""
    mount.tune(plugin_version=version)
    mount.reload()
    running = mount.client.read("sys/auth")[f"{mount.path}/"]["running_plugin_version"]
    assert running == version


def everything(mount: Mount) -> dict[str, Any]:
    """Return configuration and roles as reads show them."""
    client, path = mount.client, mount.path
    roles = {name: client.read(f"auth/{path}/role/{name}") for name in client.list(f"auth/{path}/role")}
    shown = {
        name: {key: value for key, value in role.items() if key not in MORE_FIELDS}
        for name, role in roles.items()
    }
    config = client.read(f"auth/{path}/config")
    for name in ("oidc_client_authentication", "allow_plaintext_key_sources"):
        config.pop(name, None)
    assert config["bound_issuer"] == ISSUER
    return {"config": config, **shown}
