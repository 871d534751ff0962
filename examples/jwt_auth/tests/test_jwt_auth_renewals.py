"""Renewals at the provider: to whom a refresh token is sent, and that a passing failure loses none."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from faulty_provider import Fault, FaultyProvider
from identity_provider import serve
from jwt_auth.browser.renewals import REPLACED_SECONDS
from test_jwt_auth_browser import Browser

from authkit.errors import LoginError, TooManyRequestsError, UserError
from authkit.logical import Auth
from authkit.oidc import OIDCClient
from authkit.values import replace

REFUSED = r"^not renewed at the provider: "


@pytest.fixture
async def token(browser: Browser) -> Auth:
    """A token that is renewed at the provider."""
    await browser.write_role(renew_at_provider=True)
    return await browser.log_in()


@pytest.fixture
def other() -> Iterator[FaultyProvider]:
    """Another provider, where everybody has the same name."""
    with serve(FaultyProvider()) as running:
        yield running


async def refusal(browser: Browser, auth: Auth) -> str:
    """Return why a token is not renewed."""
    with pytest.raises(UserError, match=REFUSED) as caught:
        await browser.mount.renew(auth)
    return str(caught.value)


# --- to whom it is sent ------------------------------------------------------------------------


async def test_a_refresh_token_is_not_sent_to_another_provider(
    browser: Browser, token: Auth, other: FaultyProvider
) -> None:
    """The operator has moved the mount to another provider, which sees none of the first one's tokens."""
    await browser.configure(oidc_discovery_url=other.url, oidc_client_secret=other.client_secret)
    assert "another provider or client" in await refusal(browser, token)
    assert other.forms == []
    await browser.configure()
    assert await browser.mount.renew(token)


async def test_a_refresh_token_is_not_sent_for_another_client(browser: Browser, token: Auth) -> None:
    """The provider gave it to one client, and would see it from another one."""
    asked = len(browser.idp.forms)
    await browser.configure(oidc_client_id="client-2")
    assert "another provider or client" in await refusal(browser, token)
    assert len(browser.idp.forms) == asked


@pytest.mark.parametrize(
    "change",
    [{"iss": None}, {"client_id": None}, {"iss": "https://evil.example"}, {"sub": "bob"}, {"sub": None}],
    ids=str,
)
async def test_what_is_kept_is_bound_together(browser: Browser, token: Auth, change: dict[str, Any]) -> None:
    """A token of an earlier version, which lacks some of it, is refused as one that somebody has changed."""
    state = token.internal_data["state"] | change
    kept = {name: value for name, value in state.items() if value is not None}
    asked = len(browser.idp.forms)
    await refusal(browser, replace(token, internal_data={**token.internal_data, "state": kept}))
    assert len(browser.idp.forms) == asked


# --- a role that starts or ends it -------------------------------------------------------------


async def test_switched_on_later(browser: Browser) -> None:
    """It binds tokens that are there already, at their next renewal."""
    auth = await browser.log_in()
    await browser.write_role(renew_at_provider=True)
    assert "has no refresh token" in await refusal(browser, auth)


async def test_switched_off_later(browser: Browser, token: Auth) -> None:
    """The role decides as it is now: the provider is not asked any more."""
    asked = len(browser.idp.forms)
    await browser.write_role(renew_at_provider=False)
    await browser.mount.renew(token)
    assert len(browser.idp.forms) == asked


async def test_a_provider_without_refresh_tokens(browser: Browser) -> None:
    """Nobody logs in with a role whose tokens could not be renewed."""
    await browser.write_role(renew_at_provider=True)
    browser.idp.faults.add(Fault.NO_REFRESH_TOKEN)
    with pytest.raises(LoginError, match="sent no refresh token"):
        await browser.log_in()


# --- passing failures --------------------------------------------------------------------------


async def test_a_passing_failure_loses_no_refresh_token(browser: Browser, token: Auth) -> None:
    """The provider has replaced it, then something fails: the next renewal goes on with the new one."""
    for fault in (Fault.SIGNATURE, Fault.AUD, Fault.EXPIRED):
        browser.idp.faults = {fault}
        await refusal(browser, token)
    browser.idp.faults = set()
    renewed = await browser.mount.renew(token)
    assert await browser.mount.renew(renewed)
    assert browser.idp.reused == []


async def test_a_role_that_refuses_for_a_while_loses_no_refresh_token(browser: Browser, token: Auth) -> None:
    """Somebody is out of a group, and comes back into it."""
    await browser.write_role(renew_at_provider=True, bound_claims={"groups": "admins"})
    assert "error validating claims" in await refusal(browser, token)
    browser.idp.userinfo["groups"] = ["admins"]
    assert await browser.mount.renew(token)
    assert browser.idp.reused == []


async def test_a_renewal_that_is_cut_off_loses_no_refresh_token(
    browser: Browser, token: Auth, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The host gives up while userinfo is awaited, and asks again with what it has."""
    reached, patched = asyncio.Event(), OIDCClient.add_userinfo

    async def hang(client: OIDCClient, *args: Any) -> Any:
        reached.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(OIDCClient, "add_userinfo", hang)
    renewal = asyncio.ensure_future(browser.mount.renew(token))
    await asyncio.wait_for(reached.wait(), 10)
    with pytest.raises(TooManyRequestsError):
        await browser.mount.renew(token)
    renewal.cancel()
    with pytest.raises(asyncio.CancelledError):
        await renewal
    monkeypatch.setattr(OIDCClient, "add_userinfo", patched)
    assert await browser.mount.renew(token)
    assert browser.idp.reused == []


async def test_a_renewal_that_is_cut_off_while_the_provider_answers(
    browser: Browser, token: Auth, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The host gives up when the provider has replaced the refresh token, and its answer is on the way."""
    replaced, go_on, patched = asyncio.Event(), asyncio.Event(), OIDCClient.refresh

    async def hang(client: OIDCClient, *args: Any) -> Any:
        tokens = await patched(client, *args)
        replaced.set()
        await go_on.wait()
        return tokens

    monkeypatch.setattr(OIDCClient, "refresh", hang)
    renewal = asyncio.ensure_future(browser.mount.renew(token))
    await asyncio.wait_for(replaced.wait(), 10)
    renewal.cancel()
    with pytest.raises(asyncio.CancelledError):
        await renewal
    monkeypatch.setattr(OIDCClient, "refresh", patched)
    with pytest.raises(TooManyRequestsError):
        await browser.mount.renew(token)
    go_on.set()
    for _ in range(100):
        if await browser.mount.storage.list("oidc/replaced/"):
            break
        await asyncio.sleep(0.01)
    assert await browser.mount.renew(token)
    assert browser.idp.reused == []


async def test_an_answer_that_the_host_has_lost(browser: Browser, token: Auth) -> None:
    """The host failed before it stored the renewed token, and renews the one before once more."""
    await browser.mount.renew(token)
    assert await browser.mount.renew(token)
    assert browser.idp.reused == []


async def test_what_is_stored_is_bounded(browser: Browser, token: Auth) -> None:
    """One sealed refresh token for each token, until its next renewal or for 32 days."""
    storage, prefix = browser.mount.storage, "oidc/replaced/"
    for _ in range(3):
        token = await browser.mount.renew(token)
        (name,) = await storage.list(prefix)
    entry = await storage.get(prefix + name)
    assert entry is not None
    assert entry.seal_wrap
    assert b"refresh-" not in entry.value
    renewals = browser.mount.backend.browser.renewals
    await renewals.forget()
    assert await storage.list(prefix) == [name]
    renewals._now = lambda: float(token.internal_data["state"]["until"]) + REPLACED_SECONDS
    await renewals.forget()
    assert await storage.list(prefix) == []


@pytest.mark.parametrize(
    ("role", "is_renewed"),
    [
        ({}, True),
        ({"user_claim": "{iss}|{sub}"}, True),
        ({"bound_audiences": "client-1"}, False),
        ({"bound_token_type": "id_token"}, False),
        ({"expiration_leeway": "1m"}, False),
        ({"not_before_leeway": "1m"}, False),
        ({"clock_skew_leeway": "2m"}, False),
        ({"bound_subject": "ann"}, True),
        ({"max_age": "1h"}, True),
    ],
    ids=str,
)
async def test_a_provider_that_renews_without_an_id_token(
    browser: Browser, role: dict[str, Any], is_renewed: bool
) -> None:
    """That is allowed, unless the role binds what only an ID token shows."""
    await browser.write_role(renew_at_provider=True, **role)
    auth = await browser.log_in()
    browser.idp.faults.add(Fault.NO_ID_TOKEN)
    if is_renewed:
        assert await browser.mount.renew(auth)
    else:
        assert "sent no ID token" in await refusal(browser, auth)
