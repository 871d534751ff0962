"""Logins whose role, configuration or issuer changes before they end: nobody is granted by what is gone."""

from __future__ import annotations

import asyncio
import html as escaping
import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from jwt_auth import method
from jwt_auth.settings.terms import TERMS_CHANGED
from jwt_auth_keys import make_token, public_pem
from jwt_auth_mounts import JWTMount
from test_jwt_auth_browser import DIRECT, Browser, html, pending, poll

from authkit.errors import LoginError
from authkit.logical import Auth, Response
from authkit.oidc import OIDCClient, TokenVerifier

Change = Callable[[Browser], Awaitable[Any]]


async def recreate(browser: Browser) -> None:
    """Delete the role and make another one of its name."""
    fields = {"callback_mode": (await browser.mount.read("role/web") or {})["callback_mode"]}
    await browser.mount.delete("role/web")
    await browser.write_role(token_policies="admin", **fields)


CHANGES: dict[str, tuple[Change, str]] = {
    "tightened": (lambda browser: browser.write_role(bound_subject="bob"), TERMS_CHANGED),
    "more powerful": (lambda browser: browser.write_role(token_policies="admin"), TERMS_CHANGED),
    "for tokens": (
        lambda browser: browser.write_role(role_type="jwt", bound_audiences="client-1"),
        TERMS_CHANGED,
    ),
    "deleted": (lambda browser: browser.mount.delete("role/web"), "Role could not be found"),
    "made again": (recreate, TERMS_CHANGED),
    "reconfigured": (lambda browser: browser.configure(bound_issuer="https://other.example"), TERMS_CHANGED),
}


@pytest.fixture(params=CHANGES.values(), ids=CHANGES)
def change(request: pytest.FixtureRequest) -> tuple[Change, str]:
    """What happens meanwhile, and what is said then."""
    found: tuple[Change, str] = request.param
    return found


def meanwhile(monkeypatch: pytest.MonkeyPatch, browser: Browser, change: Change) -> None:
    """Change something while the provider is asked for userinfo: the token has been verified by then."""
    add_userinfo = OIDCClient.add_userinfo

    async def wait(client: OIDCClient, *args: Any) -> Any:
        found = await add_userinfo(client, *args)
        await change(browser)
        return found

    monkeypatch.setattr(OIDCClient, "add_userinfo", wait)


async def come_back_confirmed(browser: Browser, begun: Any) -> Response:
    """Come back to the server and say yes on its page."""
    page = html(await browser.come_back(browser.idp.log_in(begun["auth_url"])))
    inputs = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page)
    return await browser.come_back({name: escaping.unescape(value) for name, value in inputs})


async def test_a_client_that_waits(
    browser: Browser, change: tuple[Change, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What changes while the provider is asked ends the login."""
    begun = await browser.begin()
    meanwhile(monkeypatch, browser, change[0])
    with pytest.raises(LoginError) as caught:
        await browser.come_back(browser.idp.log_in(begun["auth_url"]))
    assert change[1] in caught.value.public


async def test_a_device_that_waits(
    browser: Browser, change: tuple[Change, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same when the login ends on another device."""
    await browser.write_role(callback_mode="device")
    begun = await browser.begin("")
    browser.idp.approve_devices()
    meanwhile(monkeypatch, browser, change[0])
    assert change[1] in await pending(browser, begun["state"])


async def test_a_browser_that_waits(
    browser: Browser, change: tuple[Change, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same when the browser comes to the server: its page says so, and nobody is paid out."""
    await browser.write_role(callback_mode="direct")
    begun = await browser.begin(DIRECT)
    meanwhile(monkeypatch, browser, change[0])
    assert change[1] in html(await come_back_confirmed(browser, begun))
    assert "Vault login failed." in await pending(browser, begun["state"])


async def test_an_outcome_that_waits_is_not_paid_out_by_other_terms(
    browser: Browser, change: tuple[Change, str]
) -> None:
    """Log in at a loose role, wait until it was tightened or made again, collect: refused, for good."""
    await browser.write_role(callback_mode="direct")
    begun = await browser.begin(DIRECT)
    assert "Logged in" in html(await come_back_confirmed(browser, begun))
    await change[0](browser)
    assert change[1] in await pending(browser, begun["state"])


async def test_an_outcome_is_paid_out_by_the_terms_that_it_was_judged_by(browser: Browser) -> None:
    """The same values once more, another role, a rotated client secret: the client gets its token."""
    await browser.write_role(callback_mode="direct")
    begun = await browser.begin(DIRECT)
    assert "Logged in" in html(await come_back_confirmed(browser, begun))
    await browser.write_role(callback_mode="direct")
    await browser.mount.write("role/other", role_type="jwt", user_claim="sub", bound_subject="x")
    await browser.configure(oidc_client_secret="rotated-by-the-operator")
    auth: Auth = await poll(browser, begun["state"])
    assert auth.policies == ("p",)


@pytest.mark.parametrize(
    ("issuer", "is_refused"), [("ci", True), ("other", False)], ids=["its own", "another one"]
)
async def test_a_token_whose_issuer_goes_while_its_keys_are_awaited(
    bare: JWTMount, monkeypatch: pytest.MonkeyPatch, issuer: str, is_refused: bool
) -> None:
    """A login that waits for keys is not granted by an issuer that was deleted meanwhile."""
    for name in ("ci", "other"):
        await bare.write(
            f"issuer/{name}", bound_issuer=f"https://{name}", jwt_validation_pubkeys=public_pem(name)
        )
    await bare.configure(bound_issuer="https://default")
    await bare.write_role(bound_issuers="ci", user_claim="{iss}|{sub}")
    verify = TokenVerifier.verify_unverified

    async def wait(verifier: TokenVerifier, *args: Any) -> Any:
        claims = await verify(verifier, *args)
        await bare.delete(f"issuer/{issuer}")
        return claims

    monkeypatch.setattr(TokenVerifier, "verify_unverified", wait)
    login = bare.login(role="dev", jwt=make_token(key="ci", iss="https://ci"))
    if not is_refused:
        assert (await login).policies == ("p",)
        return
    with pytest.raises(LoginError, match="an issuer of the role has changed meanwhile"):
        await login


async def test_attack_a_bound_that_becomes_true_in_place_of_one(
    mount: JWTMount, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python calls the two equal. Claims are compared as JSON has them, and so are roles before the grant."""
    await mount.write_role(bound_claims={"admin": 1})
    is_judged, go_on, admit = asyncio.Event(), asyncio.Event(), method.admit

    async def take_time(*args: Any, **options: Any) -> Any:
        identity = await admit(*args, **options)
        is_judged.set()
        await go_on.wait()
        return identity

    monkeypatch.setattr(method, "admit", take_time)
    waiting = asyncio.ensure_future(mount.login(role="dev", jwt=make_token(admin=1)))
    await asyncio.wait_for(is_judged.wait(), 10)
    await mount.write_role(bound_claims={"admin": True})
    go_on.set()
    with pytest.raises(LoginError, match="has changed meanwhile"):
        await waiting
