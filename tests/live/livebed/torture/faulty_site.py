"""A mount of the JWT example and its provider, which fails as told: over TLS, with a clock of its own."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import jwt
from faulty_provider import Fault, FaultyProvider, as_json, public_jwk, signing_key
from identity_provider import Answer, Asked, serve

from authkit.testing import RefusedError
from authkit.testing.mounts import Host, MountClient
from authkit.testing.responses import ClientResponse
from livebed.authority import Authority
from livebed.server import free_port

__all__ = ["CALLBACK", "ProviderSite"]

CALLBACK = "http://localhost:8250/oidc/callback"
KEYS_IN_TURN = 4
"""Key pairs of a provider that has a new key every second. Its key ids never come again."""
SLOW_SECONDS = 120.0
TOKEN_SECONDS = 300


@dataclass
class SiteProvider(FaultyProvider):
    """A provider whose every answer may be late, and that may have a new key every second."""

    is_slow: bool = False
    rolls: bool = False

    def delay(self, asked: Asked) -> float:
        """Return how many seconds the answer takes."""
        return SLOW_SECONDS if self.is_slow else super().delay(asked)

    def key_set(self, asked: Asked) -> Answer:
        """Return the public keys."""
        if not self.rolls:
            return super().key_set(asked)
        kid, name = self.newest()
        return as_json({"keys": [public_jwk(name) | {"kid": kid}]})

    def sign(self, claims: dict[str, Any]) -> str:
        """Sign with the newest key."""
        if not self.rolls:
            return super().sign(claims)
        kid, name = self.newest()
        return jwt.encode(claims, signing_key(name), algorithm="RS256", headers={"kid": kid})

    def newest(self) -> tuple[str, str]:
        """Return id and name of the newest key."""
        second = int(self.now())
        return f"key-{second}", in_turn(second)


def in_turn(second: int) -> str:
    """Return the name of the key of a second."""
    return f"in turn {second % KEYS_IN_TURN}"


class ProviderSite:
    """A mount at a host, and the provider that it asks."""

    def __init__(self, host: Host, now: Callable[[], float], path: str = "jwt_auth") -> None:
        self.provider = SiteProvider(now=now)
        self.mount = MountClient(host, path)
        self._host = host
        self._now = now
        self._authority = Authority()
        self._port = free_port()
        self._server = ExitStack()
        self._serve()

    async def configure(self) -> None:
        """Mount the plugin, unless it is, and let tokens and browsers of the provider in."""
        mounts = (await self._host.call("GET", "sys/auth")).verified().data or {}
        if f"{self.mount.path}/" not in mounts:
            (await self._host.call("POST", self.mount.settings, {"type": "jwt_auth"})).verified()
        await self.mount.write(
            "config",
            oidc_discovery_url=self.provider.url,
            oidc_discovery_ca_pem=self._authority.pem,
            oidc_client_id=self.provider.client_id,
            oidc_client_secret=self.provider.client_secret,
        )
        usual = {"user_claim": "sub", "bound_audiences": [self.provider.client_id]}
        await self.mount.write("role/dev", role_type="jwt", **usual)
        await self.mount.write("role/web", role_type="oidc", allowed_redirect_uris=[CALLBACK], **usual)

    # --- logins ----------------------------------------------------------------------------------

    async def log_in(self) -> None:
        """Log in with a token of the provider."""
        await self.mount.login(role="dev", jwt=self.provider.sign(self._claims()))

    async def log_in_as_stranger(self) -> None:
        """Log in with a token whose key id nobody has heard of."""
        headers = {"kid": secrets.token_hex(8)}
        token = jwt.encode(self._claims(), signing_key("a stranger"), algorithm="RS256", headers=headers)
        await self.mount.login(role="dev", jwt=token)

    async def begin(self) -> dict[str, str]:
        """Begin a login with a browser; return what the provider sends the person back with.

        Raises:
            RefusedError: it does not begin.
        """
        asked = {"role": "web", "redirect_uri": CALLBACK, "client_nonce": "n"}
        begun = (await self.mount.request("POST", "oidc/auth_url", asked, token=None)).verified()
        url = str((begun.data or {}).get("auth_url", ""))
        if not url:
            # What servers answer when a provider cannot be asked; the reason is in the log and in status.
            raise RefusedError(ClientResponse(400, {"errors": ["no auth_url"]}))
        return {"client_nonce": "n", **self.provider.log_in(url)}

    async def come_back(self, query: dict[str, str]) -> None:
        """End a login with a browser."""
        (await self.mount.request("GET", "oidc/callback", query=query, token=None)).verified()

    async def browse(self) -> None:
        """Log in with a browser, from the first request to the last."""
        await self.come_back(await self.begin())

    def _claims(self) -> dict[str, Any]:
        now = int(self.provider.now())
        usual = {"iss": self.provider.url, "sub": "ann", "aud": self.provider.client_id}
        return usual | {"iat": now, "nbf": now, "exp": now + TOKEN_SECONDS}

    # --- faults ----------------------------------------------------------------------------------

    def stop(self) -> None:
        """End the provider's server."""
        self._server.close()

    def be_slow(self) -> None:
        """Let every answer take two minutes."""
        self.provider.is_slow = True

    def expire(self) -> None:
        """Show a certificate whose time is over."""
        self.stop()
        self._serve(days=-1)

    def write_half(self) -> None:
        """End every answer in its middle."""
        self.provider.faults = {Fault.HALF_WRITTEN}

    def roll_keys(self) -> None:
        """Have another key every second."""
        for number in range(KEYS_IN_TURN):
            signing_key(in_turn(number))  # making one takes a while
        self.provider.rolls = True

    def shift(self, seconds: float) -> None:
        """Put the provider's clock forward, or back."""
        self.provider.now = lambda: self._now() + seconds

    def recover(self) -> None:
        """Be a good provider again."""
        self.stop()
        provider = self.provider
        provider.faults, provider.is_slow, provider.rolls, provider.now = set(), False, False, self._now
        self._serve()

    def _serve(self, *, days: int = 1) -> None:
        context = self._authority.context(days=days)
        self._server.enter_context(serve(self.provider, port=self._port, context=context))
