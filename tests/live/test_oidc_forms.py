"""Responses that a provider has a browser post: who gets what they bring, on a real server."""

from __future__ import annotations

import base64
import json
import re
import secrets
from typing import Any

import httpx
import pytest
from gcm_forgery import forge
from livebed.browser import CHROMIUM, open_browser
from livebed.client import ServerError
from livebed.mounts import Mount
from livebed.oidc_mount import check_owner, let_people_in
from livebed.oidc_person import Person, log_in_on
from livebed.oidc_provider import OIDCProvider
from playwright.sync_api import Route

pytestmark = pytest.mark.parametrize("make_plugin", ["authkit"], indirect=True)

TYPES: dict[str, tuple[str, list[str]]] = {
    "code": ("client_secret_basic", ["code"]),
    "id_token": ("implicit", ["id_token"]),
    "both": ("implicit", ["code", "id_token"]),
}
"""The provider's client, and what the mount is configured for."""
HEAD = 33
"""Bytes of a sealed text before what is sealed: version, key id, salt, nonce."""
OPENER = """<!doctype html><title>x</title><script>
  window.got = new Promise(resolve => window.addEventListener('message',
      event => resolve({origin: event.origin, data: event.data})));
</script>"""


def configure(mount: Mount, provider: OIDCProvider, types: str) -> str:
    """Let people in by forms; return the redirect URI of a web interface."""
    client_id, response_types = TYPES[types]
    server = f"{mount.client.address}/v1/auth/{mount.path}/oidc/callback"
    interface = server.replace("/v1/", "/ui/vault/")
    provider.allow_redirects(server)
    config = {"oidc_response_mode": "form_post", "oidc_response_types": response_types}
    let_people_in(mount, provider, interface, client_id, **config)
    provider.allow_redirects(server)
    return interface


def begin(mount: Mount, redirect_uri: str, nonce: str = "") -> str:
    """Begin a login; return where the browser goes."""
    body = {"role": "people", "redirect_uri": redirect_uri, "client_nonce": nonce}
    answer = mount.client.with_token("").write(f"auth/{mount.path}/oidc/auth_url", **body)
    url: str = answer["data"]["auth_url"]
    assert url
    return url


def message_of(answer: httpx.Response) -> dict[str, str]:
    """Return what the page tells the window of a web interface."""
    assert answer.status_code == 200, answer.text
    found = re.search(r"postMessage\((\{.*\}), window\.origin\)", answer.text)
    assert found is not None
    message: dict[str, str] = json.loads(found[1])
    return message


def collect(mount: Mount, **fields: str) -> dict[str, Any]:
    """Ask for the token of a login; return its `auth`."""
    client = mount.client.with_token("")
    auth: dict[str, Any] = client.call("GET", f"auth/{mount.path}/oidc/callback", params=fields)["auth"]
    mount.client.secrets.append(auth["client_token"])
    return auth


@pytest.mark.parametrize("nonce", ["", "a-nonce-of-the-client"])
@pytest.mark.parametrize("types", TYPES)
def test_a_click_hands_over_no_login(
    mount: Mount, oidc_provider: OIDCProvider, types: str, nonce: str
) -> None:
    """The attacker begins, the victim's browser posts; only the page that it gets releases anything."""
    interface = configure(mount, oidc_provider, types)
    for code in ("no_code", ""):
        with Person(oidc_provider) as victim:
            message = message_of(victim.http.send(victim.log_in(begin(mount, interface, nonce))))
        with pytest.raises(ServerError, match="No code or id_token received"):
            collect(mount, state=message["state"], code=code, client_nonce=nonce)
    with Person(oidc_provider) as ann:
        message = message_of(ann.http.send(ann.log_in(begin(mount, interface, nonce))))
    check_owner(mount, collect(mount, **message, client_nonce=nonce), "ann")


def test_two_forms_with_one_state_forge_no_state(mount: Mount, oidc_provider: OIDCProvider) -> None:
    """Nothing that the server gives out shares a nonce; what would forge a state of such a pair does not."""
    interface = configure(mount, oidc_provider, "code")
    state = httpx.URL(begin(mount, interface)).params["state"]
    client, path = mount.client.with_token(""), f"auth/{mount.path}/oidc/callback"
    codes = ["A" * 16, "B" * 16]
    # The provider announces that its responses name it (RFC 9207).
    forms = [{"state": state, "code": code, "iss": oidc_provider.url} for code in codes]
    messages = [message_of(client.raw("POST", path, form)) for form in forms]
    assert {message["state"] for message in messages} == {state}
    texts = [*(message["code"].removeprefix("posted_code_") for message in messages), state[3:]]
    raw = [base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)) for text in texts]
    assert len({each[:HEAD] for each in raw}) == 3
    forged = forge(raw[0][HEAD:], raw[1][HEAD:], codes[0].encode(), b"[]")
    for head in (each[:HEAD] for each in raw):
        wrong = base64.urlsafe_b64encode(head + forged).rstrip(b"=").decode()
        with pytest.raises(ServerError, match="Expired or missing OAuth state"):
            collect(mount, state=f"st_{wrong}", code="x")


def test_a_response_that_was_not_asked_for(mount: Mount, oidc_provider: OIDCProvider) -> None:
    """An ID token where the mount asks for a code, and the other way round."""
    for types, brought in (("code", "id_token"), ("id_token", "code"), ("both", "code")):
        state = httpx.URL(begin(mount, configure(mount, oidc_provider, types))).params["state"]
        client, path = mount.client.with_token(""), f"auth/{mount.path}/oidc/callback"
        answer = client.raw("POST", path, {"state": state, brought: secrets.token_urlsafe(20)})
        assert (answer.status_code, "This mount does not take" in answer.text) == (400, True)


def test_terms_that_change(mount: Mount, oidc_provider: OIDCProvider) -> None:
    """An operator changes the role while somebody is at the provider: the login ends, and says why."""
    interface = configure(mount, oidc_provider, "code")
    with Person(oidc_provider) as ann:
        back = ann.log_in(begin(mount, interface))
        mount.client.write(
            f"auth/{mount.path}/role/people", role_type="oidc", token_policies=["default", "x"]
        )
        answer = ann.http.send(back)
    assert (answer.status_code, "has changed since this login began" in answer.text) == (400, True)


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium: run scripts/live/browser")
@pytest.mark.parametrize("types", TYPES)
def test_a_web_interface_in_a_browser(mount: Mount, oidc_provider: OIDCProvider, types: str) -> None:
    """A window of the server's origin opens the login, gets the message, and has its token with it, once."""
    url = begin(mount, configure(mount, oidc_provider, types))
    opener = f"{mount.client.address}/ui/opener"

    def show(route: Route) -> None:
        route.fulfill(content_type="text/html", body=OPENER)

    with open_browser() as browser:
        page = browser.new_context().new_page()
        page.route(opener, show)
        page.goto(opener)
        with page.expect_popup() as opened:
            page.evaluate("url => { window.open(url) }", url)
        log_in_on(opened.value, "ann")
        got = page.evaluate("window.got")
    assert got["origin"] == mount.client.address
    message = got["data"]
    assert (message["source"], message["path"]) == ("oidc-callback", mount.path)
    check_owner(mount, collect(mount, state=message["state"], code=message["code"]), "ann")
    with pytest.raises(ServerError, match="Expired or missing OAuth state"):
        collect(mount, state=message["state"], code=message["code"])
