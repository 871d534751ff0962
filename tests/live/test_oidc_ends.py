"""Attacks on the end of a login, on a real server: nobody is paid out by what was changed meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html import unescape
from re import findall
from typing import Any

import pytest
from faulty_provider import FaultyProvider
from identity_provider import Answer, Asked, serve
from livebed.client import ServerError
from livebed.mounts import Mount

pytestmark = pytest.mark.parametrize("make_plugin", ["authkit"], indirect=True)

NONCE = "a-nonce-of-the-client"
CALLBACK = "http://localhost:8250/oidc/callback"
CHANGED = "The role or the configuration has changed since this login began"
LOOSE: dict[str, Any] = {"role_type": "oidc", "user_claim": "sub", "token_policies": ["default"]}
MAX_TRIES = 40


@dataclass
class Interrupted(FaultyProvider):
    """A provider at which something happens while a login asks for userinfo."""

    meanwhile: Callable[[], Any] | None = None

    def tell_user(self, asked: Asked) -> Answer:
        """Let it happen, then answer."""
        if self.meanwhile is not None:
            self.meanwhile()
        return super().tell_user(asked)


class Scene:
    """A mount, its operator, and somebody who logs in."""

    def __init__(self, mount: Mount, provider: Interrupted) -> None:
        self.mount = mount
        self.provider = provider
        self.direct = f"{mount.client.address}/v1/auth/{mount.path}/oidc/callback"
        self.configure(provider)

    def configure(self, provider: FaultyProvider) -> None:
        """Have people log in at this provider."""
        self.mount.client.secrets.append(provider.client_secret)
        self.mount.client.write(
            f"auth/{self.mount.path}/config",
            oidc_discovery_url=provider.url,
            oidc_client_id=provider.client_id,
            oidc_client_secret=provider.client_secret,
        )

    def write_role(self, **fields: Any) -> None:
        """Write the role."""
        body = LOOSE | {"allowed_redirect_uris": [CALLBACK, self.direct]} | fields
        self.mount.client.write(f"auth/{self.mount.path}/role/people", **body)

    def delete_role(self) -> None:
        """Delete the role."""
        self.mount.client.call("DELETE", f"auth/{self.mount.path}/role/people")

    def recreate_role(self) -> None:
        """Delete the role, and make one of its name for somebody else."""
        self.delete_role()
        self.write_role(callback_mode="direct", token_policies=["admin"])

    def begin(self, redirect_uri: str = "") -> dict[str, str]:
        """Ask where a login begins."""
        body = {"role": "people", "redirect_uri": redirect_uri or self.direct, "client_nonce": NONCE}
        answer = self.mount.client.with_token("").write(f"auth/{self.mount.path}/oidc/auth_url", **body)
        return dict(answer["data"])

    def come_back(self, back: dict[str, str], **fields: str) -> str:
        """Come back with a browser; return the page, after saying yes on the one that asks."""
        path = f"auth/{self.mount.path}/oidc/callback"
        client = self.mount.client.with_token("")
        page = client.raw("GET", path, params=back | fields).text
        inputs = dict(findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page))
        if not inputs:
            return page
        return client.raw("GET", path, params={name: unescape(value) for name, value in inputs.items()}).text

    def log_in(self) -> dict[str, Any]:
        """Log in as a client does, and return the `auth`."""
        back = self.provider.log_in(self.begin(CALLBACK)["auth_url"]) | {"client_nonce": NONCE}
        path = f"auth/{self.mount.path}/oidc/callback"
        auth = dict(self.mount.client.with_token("").call("GET", path, params=back)["auth"])
        self.mount.client.secrets.append(auth["client_token"])
        return auth

    def poll(self, state: str) -> dict[str, Any]:
        """Ask how a direct login has ended."""
        path = f"auth/{self.mount.path}/oidc/poll"
        auth = dict(self.mount.client.with_token("").write(path, state=state, client_nonce=NONCE)["auth"])
        self.mount.client.secrets.append(auth["client_token"])
        return auth


@pytest.fixture
def provider() -> Iterator[Interrupted]:
    """A good provider."""
    with serve(Interrupted()) as running:
        yield running


@pytest.fixture
def other() -> Iterator[FaultyProvider]:
    """Another one, where somebody has the same name."""
    with serve(FaultyProvider()) as running:
        yield running


@pytest.fixture
def scene(mount: Mount, provider: Interrupted) -> Scene:
    """A loose role for direct logins."""
    scene = Scene(mount, provider)
    scene.write_role(callback_mode="direct")
    return scene


def test_an_outcome_is_paid_out_once(scene: Scene) -> None:
    """Without a change in between the client gets its token."""
    begun = scene.begin()
    assert "Logged in" in scene.come_back(scene.provider.log_in(begun["auth_url"]))
    assert scene.poll(begun["state"])["policies"] == ["default"]
    with pytest.raises(ServerError, match="authorization_pending"):
        scene.poll(begun["state"])


@pytest.mark.parametrize("change", ["tightened", "made again", "deleted", "another provider"])
def test_an_outcome_is_not_paid_out_by_other_terms(scene: Scene, other: FaultyProvider, change: str) -> None:
    """Log in at a loose role, wait until the operator has changed it or the provider, collect: refused."""
    begun = scene.begin()
    assert "Logged in" in scene.come_back(scene.provider.log_in(begun["auth_url"]))
    changes: dict[str, Callable[[], None]] = {
        "tightened": lambda: scene.write_role(bound_subject="bob", token_policies=["admin"]),
        "made again": scene.recreate_role,
        "deleted": scene.delete_role,
        "another provider": lambda: scene.configure(other),
    }
    changes[change]()
    text = "Role could not be found" if change == "deleted" else CHANGED
    for _ in range(2):
        with pytest.raises(ServerError, match=text):
            scene.poll(begun["state"])


@pytest.mark.parametrize("change", ["made again", "deleted"])
def test_a_login_that_waits_is_not_granted_by_a_role_that_is_gone(scene: Scene, change: str) -> None:
    """The operator acts while the provider is asked for userinfo: the client is refused."""
    scene.write_role(callback_mode="client")
    scene.provider.meanwhile = scene.recreate_role if change == "made again" else scene.delete_role
    with pytest.raises(ServerError, match="Role could not be found" if change == "deleted" else CHANGED):
        scene.log_in()


def test_a_refresh_token_is_not_sent_to_another_provider(scene: Scene, other: FaultyProvider) -> None:
    """The mount has moved to another provider, whose groups somebody wants at a renewal."""
    scene.write_role(callback_mode="client", renew_at_provider=True)
    auth = scene.log_in()
    assert scene.mount.renew(auth)["auth"]["client_token"] == auth["client_token"]
    scene.configure(other)
    with pytest.raises(
        ServerError, match="not renewed at the provider: the token was issued for another provider"
    ):
        scene.mount.renew(auth)
    assert other.forms == []


def test_renewal_at_the_provider_binds_older_tokens(scene: Scene) -> None:
    """Switched on later, it refuses tokens that have nothing to renew with."""
    scene.write_role(callback_mode="client")
    auth = scene.log_in()
    scene.write_role(callback_mode="client", renew_at_provider=True)
    with pytest.raises(ServerError, match="has no refresh token"):
        scene.mount.renew(auth)


@pytest.mark.parametrize(
    "bounds", [{"role_type": "jwt", "bound_audiences": ["client-1"]}, {"bound_issuers": ["ci"]}]
)
def test_a_role_that_is_not_for_browsers(scene: Scene, bounds: dict[str, Any]) -> None:
    """One for tokens, or for another issuer, begins no login in a browser."""
    scene.write_role(callback_mode="client", **bounds)
    assert scene.begin(CALLBACK) == {"auth_url": ""}


def test_made_up_codes_are_bounded(scene: Scene) -> None:
    """After so many failures of one address its codes go to the provider no more."""
    scene.write_role(callback_mode="client")
    status, sent = 400, 0
    while status == 400 and sent <= MAX_TRIES:
        state = scene.provider.log_in(scene.begin(CALLBACK)["auth_url"])["state"]
        back = {"state": state, "code": "made-up", "client_nonce": NONCE}
        path = f"auth/{scene.mount.path}/oidc/callback"
        status = scene.mount.client.with_token("").raw("GET", path, params=back).status_code
        sent += 1
    assert status == 429
    assert len(scene.provider.forms) == sent - 1 < MAX_TRIES
