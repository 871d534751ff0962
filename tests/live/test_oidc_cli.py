"""`vault login -method=oidc` from its first line to its token: real server, real provider, real browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from livebed.mounts import Mount
from livebed.oidc_cli import OIDCCommand, free_callback
from livebed.oidc_mount import OIDC_PLUGINS, check_owner, let_people_in
from livebed.oidc_person import Person, log_in_on
from livebed.oidc_provider import OIDCProvider
from playwright.sync_api import Browser, Page, expect

pytestmark = pytest.mark.parametrize("make_plugin", OIDC_PLUGINS, indirect=True)


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page of somebody who is logged in nowhere."""
    context = browser.new_context()
    yield context.new_page()
    context.close()


PAGE_MS = 30_000
"""How long a page may take on a machine that has much to do."""
MODES: dict[str, tuple[str, dict[str, Any]]] = {
    "code by query": ("client_secret_basic", {}),
    "code, secret in the form": ("client_secret_post", {}),
    "code, form_post": ("client_secret_basic", {"oidc_response_mode": "form_post"}),
    "id_token, form_post": (
        "implicit",
        {"oidc_response_mode": "form_post", "oidc_response_types": ["id_token"]},
    ),
    "both, form_post": (
        "implicit",
        {"oidc_response_mode": "form_post", "oidc_response_types": ["code", "id_token"]},
    ),
}


@pytest.mark.parametrize("mode", MODES)
def test_login_in_a_browser(mount: Mount, oidc_provider: OIDCProvider, page: Page, mode: str) -> None:
    """Somebody opens the printed URL, signs in, consents, sees that it worked; the command has a token."""
    client_id, config = MODES[mode]
    port, callback = free_callback()
    let_people_in(mount, oidc_provider, callback, client_id, **config)
    with OIDCCommand(mount.client, mount.path, port, role="people") as command:
        page.goto(command.url())
        log_in_on(page, "ann")
        expect(page.get_by_text("You can now close this window", exact=False).first).to_be_visible(
            timeout=PAGE_MS
        )
        assert page.url.split("?")[0] == callback
        check_owner(mount, command.auth(), "ann")


def test_the_person_says_no(mount: Mount, oidc_provider: OIDCProvider, page: Page) -> None:
    """Without consent there is no token, and the command ends with an error."""
    port, callback = free_callback()
    let_people_in(mount, oidc_provider, callback)
    with OIDCCommand(mount.client, mount.path, port, role="people") as command:
        page.goto(command.url())
        log_in_on(page, "ann", allow=False)
        # The command answers the browser and exits in the same moment: whether its page arrives is a race.
        assert command.wait() != 0
        assert re.search(r"\b(Vault|OpenBao) login failed\.", command.printed())


def test_login_without_a_browser(mount: Mount, oidc_provider: OIDCProvider) -> None:
    """The same through plain HTTP, for the tests that need no chromium."""
    port, callback = free_callback()
    let_people_in(mount, oidc_provider, callback)
    with (
        OIDCCommand(mount.client, mount.path, port, role="people") as command,
        Person(oidc_provider, "bob") as bob,
    ):
        answer = bob.http.send(bob.log_in(command.url()))
        assert answer.is_success, answer.text
        check_owner(mount, command.auth(), "bob")


def test_keys_change_in_mid_login(mount: Mount, oidc_provider: OIDCProvider) -> None:
    """The provider signs with a key that it did not have when the login began, and the old one is gone."""
    port, callback = free_callback()
    let_people_in(mount, oidc_provider, callback)
    with OIDCCommand(mount.client, mount.path, port, role="people") as command, Person(oidc_provider) as ann:
        back = ann.log_in(command.url())
        oidc_provider.rotate_keys(keep=False)
        ann.go_to_command(back)
        check_owner(mount, command.auth(), "ann")


def test_role_without_this_redirect(mount: Mount, oidc_provider: OIDCProvider) -> None:
    """A redirect URI that the role does not allow ends the login before anybody opens anything."""
    port, callback = free_callback()
    let_people_in(mount, oidc_provider, callback)
    mount.client.write(
        f"auth/{mount.path}/role/people",
        role_type="oidc",
        user_claim="email",
        allowed_redirect_uris=["https://elsewhere.example/callback"],
    )
    with OIDCCommand(mount.client, mount.path, port, role="people") as command:
        assert command.wait() != 0
        assert f'Unable to authorize role "people" with redirect_uri "{callback}"' in command.printed()
