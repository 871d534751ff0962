"""What browser logins of the JWT example have beyond the official plugin, with a certified provider."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from livebed.browser import CHROMIUM, open_browser
from livebed.client import ServerError
from livebed.factories import our_plugin
from livebed.mounts import Mount, mount_plugin
from livebed.oidc_cli import OIDCCommand, free_callback
from livebed.oidc_mount import check_owner, let_people_in
from livebed.oidc_person import Person, log_in_on, query_of
from livebed.oidc_provider import OIDCProvider
from livebed.processes import wait_until
from livebed.server import Server
from livebed.tokens import Issuer
from playwright.sync_api import Page, expect

NONCE = "a-nonce-of-the-client"
POLL_SECONDS = 30.0


@pytest.fixture
def mount(server: Server, issuer: Issuer) -> Iterator[Mount]:
    """A mount of ours."""
    plugin = our_plugin(server)
    plugin.register(server.client)
    with mount_plugin(server, plugin, issuer) as mounted:
        yield mounted


def begin(mount: Mount, redirect_uri: str = "") -> dict[str, str]:
    """Ask where a login begins, as a client does."""
    body = {"role": "people", "redirect_uri": redirect_uri, "client_nonce": NONCE}
    answer = mount.client.with_token("").write(f"auth/{mount.path}/oidc/auth_url", **body)
    data: dict[str, str] = answer["data"]
    assert data["auth_url"]
    return data


def poll(mount: Mount, state: str) -> dict[str, object]:
    """Ask until the login has ended; return its `auth`."""

    def ended() -> dict[str, object] | None:
        try:
            answer = mount.client.with_token("").write(
                f"auth/{mount.path}/oidc/poll", state=state, client_nonce=NONCE
            )
        except ServerError as error:
            if not error.text.endswith(("authorization_pending", "slow_down")):
                raise
            return None
        return dict(answer["auth"])

    auth = wait_until(ended, "the end of the login", timeout=POLL_SECONDS, pause=0.5)
    assert auth is not None
    mount.client.secrets.append(str(auth["client_token"]))
    return auth


@pytest.mark.parametrize("how", ["none", "private_key_jwt"])
def test_a_client_without_a_secret(mount: Mount, oidc_provider: OIDCProvider, how: str) -> None:
    """PKCE alone, or the mount's own key, whose public half the provider gets from the mount."""
    port, callback = free_callback()
    let_people_in(mount, oidc_provider, callback, how, oidc_client_secret="", oidc_client_authentication=how)
    if how == "private_key_jwt":
        keys = mount.client.with_token("").raw("GET", f"auth/{mount.path}/oidc/jwks").json()["keys"]
        assert "d" not in keys[0]
        oidc_provider.trust_client_keys(*keys)
        # The provider has keys by hand here: the new one is published, and signs only once that knows it.
        mount.client.write(f"auth/{mount.path}/oidc/jwks/rotate", after="1h")
        kid = mount.client.write(f"auth/{mount.path}/oidc/jwks/rotate")["data"]["kid"]
        published = mount.client.with_token("").raw("GET", f"auth/{mount.path}/oidc/jwks").json()["keys"]
        assert [key["kid"] for key in published] == [keys[0]["kid"], kid]
        oidc_provider.trust_client_keys(*published)
    with OIDCCommand(mount.client, mount.path, port, role="people") as command, Person(oidc_provider) as ann:
        ann.go_to_command(ann.log_in(command.url()))
        check_owner(mount, command.auth(), "ann")


def test_a_device(mount: Mount, oidc_provider: OIDCProvider) -> None:
    """Somebody confirms the code on another device; the client asks meanwhile."""
    let_people_in(mount, oidc_provider, "http://localhost:1/oidc/callback")
    mount.client.write(f"auth/{mount.path}/role/people", role_type="oidc", callback_mode="device")
    begun = begin(mount)
    with Person(oidc_provider) as ann:
        ann.confirm_device(begun["auth_url"])
    assert int(begun["poll_interval"]) >= 1
    check_owner(mount, poll(mount, begun["state"]), "ann")


def test_a_token_is_renewed_at_the_provider(mount: Mount, oidc_provider: OIDCProvider) -> None:
    """As long as that knows its owner, with the groups of then."""
    callback = "http://localhost:1/oidc/callback"
    let_people_in(mount, oidc_provider, callback)
    mount.client.write(
        f"auth/{mount.path}/role/people",
        role_type="oidc",
        renew_at_provider=True,
        oidc_scopes=["email", "groups", "offline_access"],
    )
    with Person(oidc_provider) as ann:
        back = query_of(ann.log_in(begin(mount, callback)["auth_url"]))
    client = mount.client.with_token("")
    answer = client.call("GET", f"auth/{mount.path}/oidc/callback", params={**back, "client_nonce": NONCE})
    auth = answer["auth"]
    mount.client.secrets.append(auth["client_token"])
    asked = oidc_provider.count("POST", "/token")
    for _ in range(2):
        assert mount.renew(auth)["auth"]["client_token"] == auth["client_token"]
    assert oidc_provider.count("POST", "/token") == asked + 2
    mount.client.write(
        f"auth/{mount.path}/role/people", role_type="oidc", bound_claims={"email": "bob@example.com"}
    )
    with pytest.raises(ServerError, match="not renewed at the provider"):
        mount.renew(auth)


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium: run scripts/live/browser")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_direct_login(mount: Mount, oidc_provider: OIDCProvider, scheme: str) -> None:
    """The browser ends at the server, which asks first; the client that waits gets the token."""
    callback = f"{mount.client.address}/v1/auth/{mount.path}/oidc/callback"
    let_people_in(mount, oidc_provider, callback)
    mount.client.write(f"auth/{mount.path}/role/people", role_type="oidc", callback_mode="direct")
    mount.tune(
        allowed_response_headers=["Content-Security-Policy", "X-Frame-Options"],
        passthrough_request_headers=["Sec-Fetch-Dest"],
    )
    begun = begin(mount, callback)
    client, path = mount.client.with_token(""), f"auth/{mount.path}/oidc/callback"
    framed = client.raw("GET", path, params=begun, headers={"Sec-Fetch-Dest": "iframe"})
    assert (framed.status_code, "does not work inside another page" in framed.text) == (400, True)
    asked = mount.client.with_token("").raw("GET", f"auth/{mount.path}/oidc/callback", params=begun)
    assert (asked.headers["Cache-Control"], asked.headers["X-Frame-Options"]) == ("no-store", "DENY")
    assert asked.headers["Content-Security-Policy"].endswith("; frame-ancestors 'none'")
    with open_browser() as browser:
        page = browser.new_context(color_scheme="dark" if scheme == "dark" else "light").new_page()
        said: list[str] = []
        page.on("console", lambda message: said.append(message.text))
        page.goto(begun["auth_url"])
        log_in_on(page, "ann")
        expect(page.get_by_role("heading", name="Did you begin this login?")).to_be_visible()
        expect(page.get_by_text("127.0.0.1")).to_be_visible()
        look(page, f"confirm-{scheme}")
        page.get_by_role("button").click()
        expect(page.get_by_role("heading", name="Logged in")).to_be_visible()
        look(page, f"success-{scheme}")
        page.reload()
        expect(page.get_by_text("Expired or missing OAuth state.")).to_be_visible()
        look(page, f"error-{scheme}")
        # The browser also asks for an icon, which there is none, and the last page was a refusal.
        assert [text for text in said if not text.startswith("Failed to load resource")] == []
    check_owner(mount, poll(mount, begun["state"]), "ann")


def look(page: Page, name: str) -> None:
    """Keep a picture if somebody wants one."""
    folder = os.environ.get("AUTHKIT_SCREENSHOTS")
    if folder:
        page.screenshot(path=Path(folder) / f"oidc-{name}.png")


def test_in_place_of_the_built_in_method(server: Server, issuer: Issuer, oidc_provider: OIDCProvider) -> None:
    """Registered as `oidc`: the command line needs no path, and interfaces find the mount by its type."""
    plugin = our_plugin(server).called("oidc")
    plugin.register(server.client)
    server.client.write("sys/auth/oidc", type="oidc", config={"listing_visibility": "unauth"})
    mount = Mount(server, plugin, issuer, "oidc")
    try:
        port, callback = free_callback()
        with pytest.raises(ServerError, match="could not load configuration"):
            begin(mount, callback)
        mount.configure()
        with pytest.raises(ServerError) as caught:
            begin(mount, callback)
        assert (caught.value.status, caught.value.text) == (
            400,
            "OIDC login is not configured for this mount",
        )
        let_people_in(mount, oidc_provider, callback, jwt_validation_pubkeys="", bound_issuer="")
        listed = server.client.with_token("").call("GET", "sys/internal/ui/mounts")["data"]["auth"]["oidc/"]
        assert listed["type"] == "oidc"
        with OIDCCommand(server.client, "", port, role="people") as command, Person(oidc_provider) as ann:
            ann.go_to_command(ann.log_in(command.url()))
            check_owner(mount, command.auth(), "ann")
    finally:
        mount.disable()
