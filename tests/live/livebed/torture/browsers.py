"""People who log in with a browser at a provider, and whose tokens are renewed there, across a fault."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import httpx
from faulty_provider import FaultyProvider
from identity_provider import serve

from livebed.client import ServerError
from livebed.mounts import Mount, open_mount
from livebed.torture.bed import Bed

__all__ = ["NONCE", "BrowserMount"]

CALLBACK = "http://localhost:8250/oidc/callback"
NONCE = "a-nonce-of-the-client"
"""What a client sends at the beginning and at the end of a login."""
PEOPLE = 4
"""Logins under way at the same time."""


@dataclass
class BrowserMount:
    """A mount for browser logins, one whose client has a key of the mount, and the logins under way."""

    mount: Mount
    keyed: Mount
    """Its client shows itself by `private_key_jwt`."""
    provider: FaultyProvider
    keys: list[str]
    """The ids of that mount's keys, as they were at first."""
    waiting: list[dict[str, str]] = field(default_factory=list)
    """Queries with which people at the provider will come back."""
    tokens: list[str] = field(default_factory=list, repr=False)
    """Tokens that are renewed at the provider."""
    finished: int = 0
    lost: int = 0
    renewed: int = 0
    refused_renewals: int = 0
    changed_keys: int = 0
    """How often the mount's keys had changed."""

    @classmethod
    def open(cls, bed: Bed, beside: Mount) -> BrowserMount:
        """Mount the same plugin twice more, with a provider."""
        provider = bed.stack.enter_context(serve(FaultyProvider()))
        mounts = [open_mount(beside.server, beside.plugin, beside.issuer) for _ in "ab"]
        for mount, method in zip(mounts, ("client_secret", "private_key_jwt"), strict=True):
            secret = {"oidc_client_secret": provider.client_secret} if method == "client_secret" else {}
            mount.client.write(
                f"auth/{mount.path}/config",
                oidc_discovery_url=provider.url,
                oidc_client_id=provider.client_id,
                **secret or {"oidc_client_authentication": method},
            )
        mounts[0].client.write(
            f"auth/{mounts[0].path}/role/people",
            role_type="oidc",
            user_claim="sub",
            allowed_redirect_uris=[CALLBACK],
            token_policies=["default"],
            renew_at_provider=True,
            oidc_scopes=["offline_access"],
        )
        made = cls(mounts[0], mounts[1], provider, [])
        made.keys = made.read_keys(mounts[1])
        return made

    def read_keys(self, mount: Mount) -> list[str]:
        """Return the ids of the mount's own keys."""
        answer = mount.client.with_token("").raw("GET", f"auth/{mount.path}/oidc/jwks")
        return sorted(key["kid"] for key in answer.json()["keys"])

    def begin(self, at: Mount) -> None:
        """Send people to the provider, where they sign in; the node is that of another mount."""
        mount = replace(self.mount, server=at.server)
        body = {"role": "people", "redirect_uri": CALLBACK, "client_nonce": NONCE}
        for _ in range(PEOPLE):
            answer = mount.client.with_token("").write(f"auth/{mount.path}/oidc/auth_url", **body)
            self.waiting.append(self.provider.log_in(answer["data"]["auth_url"]))

    def finish(self, at: Mount) -> None:
        """Have everybody come back, renew all tokens, and look at the keys."""
        mount = replace(self.mount, server=at.server)
        for back in self.waiting:
            auth = self._come_back(mount, back)
            if auth is None:
                self.lost += 1
            else:
                self.finished += 1
                self.tokens.append(auth["client_token"])
        self.waiting = []
        for token in self.tokens:
            asked = len(self.provider.forms)
            is_renewed = self._renew(mount, token) and len(self.provider.forms) > asked
            self.renewed += is_renewed
            self.refused_renewals += not is_renewed
        self.changed_keys += self.read_keys(replace(self.keyed, server=at.server)) != self.keys

    def _come_back(self, mount: Mount, back: dict[str, str]) -> dict[str, Any] | None:
        path = f"auth/{mount.path}/oidc/callback"
        try:
            answer = mount.client.with_token("").call("GET", path, params=back | {"client_nonce": NONCE})
        except (ServerError, httpx.TransportError):
            return None
        auth: dict[str, Any] = answer["auth"]
        return auth

    def _renew(self, mount: Mount, token: str) -> bool:
        try:
            mount.client.write("auth/token/renew", token=token)
        except (ServerError, httpx.TransportError):
            return False
        return True
