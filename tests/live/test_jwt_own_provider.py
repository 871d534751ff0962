"""The plugin of docs/howto-jwt-provider.md on a real server: its provider is asked on every way in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from acme_directory import DIRECTORY_TOKEN, AcmeDirectory, read_plugin
from identity_provider import serve
from livebed.authority import Authority
from livebed.client import ServerError
from livebed.mounts import Mount, mount_plugin
from livebed.oidc_mount import let_people_in
from livebed.oidc_person import Person, query_of
from livebed.oidc_provider import OIDCProvider
from livebed.plugins import python_plugin
from livebed.server import Server
from livebed.tokens import Issuer
from test_oidc_ours import NONCE, begin, poll

CALLBACK = "http://localhost:1/oidc/callback"
ROLE: dict[str, Any] = {
    "role_type": "oidc",
    "groups_claim": "groups",
    "claim_mappings": {"department": "department"},
}


@pytest.fixture
def mount(server: Server, issuer: Issuer) -> Iterator[Mount]:
    """A mount of the plugin as the page has it."""
    plugin = python_plugin(server.plugin_directory, "acme_jwt", read_plugin(), version="v1.0.0")
    plugin.register(server.client)
    with mount_plugin(server, plugin, issuer) as mounted:
        yield mounted


@pytest.fixture
def acme(mount: Mount) -> Iterator[tuple[AcmeDirectory, dict[str, Any]]]:
    """The directory, and the fields of the configuration that name it."""
    authority = Authority()
    mount.client.secrets.append(DIRECTORY_TOKEN)
    with serve(AcmeDirectory(), context=authority.context(days=1)) as directory:
        for name in ("alice", "ann@example.com"):
            directory.people[name] = {"groups": ["cooks"], "department": "kitchen"}
        settings = {
            "provider": "acme",
            "directory_url": directory.url,
            "directory_token": DIRECTORY_TOKEN,
            "group_prefix": f"{mount.path}-",
        }
        yield directory, {"provider_config": settings, "oidc_discovery_ca_pem": authority.pem}


def make_group(mount: Mount, name: str) -> str:
    """Make an external group for a group of the directory; return its id."""
    group: str = mount.client.write("identity/group", name=f"{name}-{mount.path}", type="external")["data"][
        "id"
    ]
    alias = {"name": f"{mount.path}-{name}", "mount_accessor": mount.accessor, "canonical_id": group}
    mount.client.write("identity/group-alias", **alias)
    return group


def groups_of(mount: Mount, auth: dict[str, Any]) -> list[str]:
    """Return the groups of the token's entity."""
    found: list[str] = mount.client.read(f"identity/entity/id/{auth['entity_id']}")["group_ids"]
    return found


def test_a_token(mount: Mount, acme: tuple[AcmeDirectory, dict[str, Any]]) -> None:
    """Groups and metadata are the directory's; its token is neither shown nor kept for another one."""
    directory, config = acme
    cooks = make_group(mount, "cooks")
    mount.configure(**config)
    path = f"auth/{mount.path}/config"
    assert DIRECTORY_TOKEN not in str(mount.client.read(path))
    mount.write_role(**ROLE | {"role_type": "jwt"})
    auth = mount.login()
    assert groups_of(mount, auth) == [cooks]
    assert auth["metadata"]["department"] == "kitchen"
    stolen = {"provider_config": {"directory_url": "https://evil.test"}}
    merge = {"Content-Type": "application/merge-patch+json"}
    with pytest.raises(ServerError, match=r"'provider_config\.directory_token' must be sent again"):
        mount.client.call("PATCH", path, stolen, headers=merge)
    directory.people.clear()
    with pytest.raises(ServerError, match="unable to ask Acme's directory: 404 Not Found"):
        mount.login()


def test_a_browser_and_a_renewal(
    mount: Mount, acme: tuple[AcmeDirectory, dict[str, Any]], oidc_provider: OIDCProvider
) -> None:
    """A renewal has the groups of then."""
    directory, config = acme
    cooks, bakers = make_group(mount, "cooks"), make_group(mount, "bakers")
    let_people_in(mount, oidc_provider, CALLBACK, jwt_validation_pubkeys="", bound_issuer="", **config)
    renewed = {"renew_at_provider": True, "oidc_scopes": ["email", "groups", "offline_access"]}
    mount.client.write(f"auth/{mount.path}/role/people", **ROLE, **renewed)
    with Person(oidc_provider) as ann:
        back = query_of(ann.log_in(begin(mount, CALLBACK)["auth_url"]))
    stranger = mount.client.with_token("")
    answer = stranger.call("GET", f"auth/{mount.path}/oidc/callback", params={**back, "client_nonce": NONCE})
    auth = answer["auth"]
    mount.client.secrets.append(auth["client_token"])
    assert auth["metadata"]["department"] == "kitchen"
    assert groups_of(mount, auth) == [cooks]
    directory.people["ann@example.com"] = {"groups": ["bakers"], "department": "kitchen"}
    mount.renew(auth)
    assert groups_of(mount, auth) == [bakers]


def test_a_device(
    mount: Mount, acme: tuple[AcmeDirectory, dict[str, Any]], oidc_provider: OIDCProvider
) -> None:
    """As in a browser."""
    _, config = acme
    cooks = make_group(mount, "cooks")
    let_people_in(mount, oidc_provider, CALLBACK, jwt_validation_pubkeys="", bound_issuer="", **config)
    mount.client.write(f"auth/{mount.path}/role/people", **ROLE, callback_mode="device")
    begun = begin(mount)
    with Person(oidc_provider) as ann:
        ann.confirm_device(begun["auth_url"])
    assert groups_of(mount, poll(mount, begun["state"])) == [cooks]
