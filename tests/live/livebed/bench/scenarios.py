"""What is measured beside a login with a static RSA key: other keys, other requests, refusals."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property

from identity_provider import Provider, serve_provider

from livebed.bench.bed import BUILT_IN, Bed, Contender
from livebed.bench.growing_tokens import lasting_token
from livebed.bench.rounds import Lane
from livebed.bench.traffic import CLIENT_TOKEN, Request, Traffic, login
from livebed.mounts import DEV_ROLE, Mount
from livebed.tokens import Issuer

__all__ = ["SCENARIOS", "Site", "lanes_of", "plain_lanes"]

RENEWED_TOKENS = 64
JUNK_TOKENS = 4096
CALLBACK = "http://localhost:8250/oidc/callback"


@dataclass
class Site:
    """The mounts of one contender for all scenarios, each made when it is first needed."""

    contender: Contender
    rsa: Issuer
    ec: Issuer
    stack: ExitStack

    @cached_property
    def provider(self) -> Provider:
        """A provider of its own, so that its requests can be counted."""
        return self.stack.enter_context(serve_provider(self.rsa.jwk, self.ec.jwk))

    @cached_property
    def static(self) -> Mount:
        """A mount with both keys in its configuration."""
        mount = self.contender.mount(self.rsa)
        mount.configure(jwt_validation_pubkeys=[self.rsa.public_pem, self.ec.public_pem])
        return mount

    @cached_property
    def published(self) -> Mount:
        """A mount that fetches a key set."""
        mount = self.contender.mount(self.rsa)
        mount.client.write(f"auth/{mount.path}/config", jwks_url=self.provider.keys_url)
        return mount

    @cached_property
    def discovered(self) -> Mount:
        """A mount that discovers its provider's keys."""
        return self.discover()

    @cached_property
    def browser(self) -> Mount:
        """A mount with a client at its provider: the official plugin refuses tokens there."""
        mount = self.discover(oidc_client_id="client", oidc_client_secret=secrets.token_hex(16))
        role = {"user_claim": "sub", "allowed_redirect_uris": [CALLBACK]}
        mount.client.write(f"auth/{mount.path}/role/web", **role)
        return mount

    def discover(self, **client: str) -> Mount:
        """Return a new mount for the provider."""
        mount = self.contender.mount(self.rsa)
        path = f"auth/{mount.path}/config"
        mount.client.write(path, oidc_discovery_url=self.provider.url, bound_issuer="", **client)
        return mount


def renewals(site: Site) -> Traffic:
    """Renew tokens that logins have granted."""
    tokens = [site.static.login()["client_token"] for _ in range(RENEWED_TOKENS)]
    requests = [Request("POST", "auth/token/renew", {"token": token}) for token in tokens]
    return Traffic(requests, CLIENT_TOKEN, token=site.static.client.token)


def role_reads(site: Site) -> Traffic:
    """Read a role."""
    request = Request("GET", f"auth/{site.static.path}/role/dev")
    return Traffic([request], "data.role_type", token=site.static.client.token)


def role_writes(site: Site) -> Traffic:
    """Write a role. It is not the role of the logins."""
    request = Request("POST", f"auth/{site.static.path}/role/written", DEV_ROLE)
    return Traffic([request], "", token=site.static.client.token)


def auth_urls(site: Site) -> Traffic:
    """Begin logins in a browser."""
    body = {"role": "web", "redirect_uri": CALLBACK}
    path = f"auth/{site.browser.path}/oidc/auth_url"
    return Traffic([Request("POST", path, body)], "data.auth_url")


def refused_logins(site: Site) -> Traffic:
    """Log in with a token for somebody else: its signature is good."""
    return Traffic([login(site.static.path, lasting_token(site.rsa, aud="somebody"))], is_refused=True)


def junk_tokens(site: Site) -> Traffic:
    """Log in with tokens whose key ids nobody knows, each another one."""
    _, claims, signature = lasting_token(site.rsa).split(".")
    requests = []
    for number in range(JUNK_TOKENS):
        header = json.dumps({"alg": "RS256", "kid": f"unknown-{number}"}).encode()
        encoded = base64.urlsafe_b64encode(header).rstrip(b"=").decode()
        requests.append(login(site.published.path, f"{encoded}.{claims}.{signature}"))
    return Traffic(requests, is_refused=True)


def logins(mount: Callable[[Site], Mount], issuer: Callable[[Site], Issuer]) -> Callable[[Site], Traffic]:
    """Return what makes valid logins at a mount."""
    return lambda site: Traffic([login(mount(site).path, lasting_token(issuer(site)))])


def discovered_logins(site: Site) -> Traffic:
    """Log in with a token of the provider that was discovered."""
    return Traffic([login(site.discovered.path, lasting_token(site.rsa, iss=site.provider.url))])


SCENARIOS: dict[str, Callable[[Site], Traffic]] = {
    "login, RS256, static key": logins(lambda site: site.static, lambda site: site.rsa),
    "login, ES256, static key": logins(lambda site: site.static, lambda site: site.ec),
    "login, RS256, key set": logins(lambda site: site.published, lambda site: site.rsa),
    "login, ES256, key set": logins(lambda site: site.published, lambda site: site.ec),
    "login, RS256, discovery": discovered_logins,
    "renewal": renewals,
    "role read": role_reads,
    "role write": role_writes,
    "OIDC auth_url": auth_urls,
    "refused: wrong audience": refused_logins,
    "refused: unknown key ids": junk_tokens,
}
"""Names, and what makes the requests for one contender."""


def lanes_of(sites: list[Site], make: Callable[[Site], Traffic]) -> list[Lane]:
    """Return what each contender is sent in one scenario."""
    return [Lane(site.contender.label, make(site), site.contender.pid, site.provider) for site in sites]


def plain_lanes(bed: Bed) -> list[Lane]:
    """Return logins without a signature: at our example with a shared secret, and within the server."""
    ours = [contender for contender in bed.contenders if contender.plain is not None]
    lanes = [Lane(contender.label, *contender.mount_plain()) for contender in ours]
    return [*lanes, Lane(BUILT_IN, bed.mount_built_in(), None)]
