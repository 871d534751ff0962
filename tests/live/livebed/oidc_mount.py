"""A mount on which people of the certified provider log in with the role `people`."""

from __future__ import annotations

from typing import Any

from livebed.mounts import Mount
from livebed.oidc_provider import OIDCProvider

__all__ = ["OIDC_PLUGINS", "check_owner", "let_people_in"]

OIDC_PLUGINS = ["peer", "authkit"]
"""Whose browser logins are tested."""


def let_people_in(
    mount: Mount, provider: OIDCProvider, callback: str, client_id: str = "client_secret_basic", **config: Any
) -> None:
    """Configure the mount, write the role, and tell the provider where it may send people back to.

    Names come from userinfo in the code flow, from the ID token in the implicit one: both are looked at.
    """
    provider.allow_redirects(callback)
    mount.client.secrets.append(provider.secret)
    usual = {
        "oidc_discovery_url": provider.url,
        "oidc_client_id": client_id,
        "oidc_client_secret": provider.secret,
    }
    mount.client.write(f"auth/{mount.path}/config", **(usual | config))
    mount.client.write(
        f"auth/{mount.path}/role/people",
        role_type="oidc",
        user_claim="email",
        groups_claim="groups",
        oidc_scopes=["email", "groups"],
        claim_mappings={"sub": "login"},
        allowed_redirect_uris=[callback],
        token_policies=["default"],
    )


def check_owner(mount: Mount, auth: dict[str, Any], name: str) -> None:
    """The token is alive, and that person's."""
    known = mount.lookup(auth)
    assert known["display_name"] == f"{mount.path}-{name}@example.com"
    assert known["meta"] == {"login": name, "role": "people"}
