"""Mix-up of providers (RFC 9207): a response of another one is refused before its code is used."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from faulty_provider import Fault
from test_jwt_auth_browser import CALLBACK, DIRECT, WEB, Browser, html, post
from test_jwt_auth_ends import come_back_confirmed

from authkit.errors import LoginError

MIXED_UP = "the response is of another issuer"
MISSING = "the response names no issuer"


@pytest.fixture(params=[True, False], ids=["announced", "not announced"])
def announced(request: pytest.FixtureRequest, browser: Browser) -> bool:
    """Whether the provider says that it names itself in its responses."""
    browser.idp.announces_issuer = bool(request.param)
    return browser.idp.announces_issuer


async def test_a_response_of_another_provider(browser: Browser, announced: bool) -> None:
    """A client that passes the parameter on is told; the code has gone to nobody."""
    browser.idp.faults.add(Fault.AUTHORIZATION_ISSUER)
    begun = await browser.begin(CALLBACK)
    with pytest.raises(LoginError, match=MIXED_UP):
        await browser.come_back(browser.idp.log_in(begun["auth_url"]))
    assert browser.idp.forms == []


async def test_a_form_of_another_provider(browser: Browser, announced: bool) -> None:
    """The browser is told, and nothing is kept."""
    await browser.configure(oidc_response_mode="form_post")
    browser.idp.faults.add(Fault.AUTHORIZATION_ISSUER)
    begun = await browser.begin(WEB, client_nonce="")
    page = html(await post(browser, browser.idp.log_in(begun["auth_url"])))
    assert MIXED_UP in page
    assert "postMessage" not in page


async def test_a_direct_login_at_another_provider(browser: Browser, announced: bool) -> None:
    """The page that asks passes the parameter on; then the browser is told."""
    await browser.write_role(callback_mode="direct")
    browser.idp.faults.add(Fault.AUTHORIZATION_ISSUER)
    begun = await browser.begin(DIRECT)
    assert MIXED_UP in html(await come_back_confirmed(browser, begun))
    assert browser.idp.forms == []


def without_issuer(back: dict[str, str]) -> dict[str, str]:
    """Return what came back without the parameter, as somebody makes it up or a client drops it."""
    return {name: value for name, value in back.items() if name != "iss"}


async def test_the_parameter_is_required_of_a_form(browser: Browser, announced: bool) -> None:
    """Where a browser brings the response straight to the server, an announced parameter has to be there."""
    await browser.configure(oidc_response_mode="form_post")
    begun = await browser.begin(WEB, client_nonce="")
    page = html(await post(browser, without_issuer(browser.idp.log_in(begun["auth_url"]))))
    assert (MISSING in page, "postMessage" in page) == (announced, not announced)


async def test_the_parameter_is_required_of_a_direct_login(browser: Browser, announced: bool) -> None:
    """The same in direct mode."""
    await browser.write_role(callback_mode="direct", oidc_disable_confirmation=True)
    begun = await browser.begin(DIRECT)
    page = html(await browser.come_back(without_issuer(browser.idp.log_in(begun["auth_url"]))))
    assert (MISSING in page, "Logged in" in page) == (announced, not announced)


async def test_clients_that_drop_the_parameter_go_on(browser: Browser, announced: bool) -> None:
    """The command line and web interfaces pass on the state and the code alone."""
    begun = await browser.begin(CALLBACK)
    assert (await browser.come_back(without_issuer(browser.idp.log_in(begun["auth_url"])))).auth is not None
    await browser.configure(oidc_response_mode="form_post")
    begun = await browser.begin(CALLBACK)
    back: dict[str, Any] = without_issuer(browser.idp.log_in(begun["auth_url"]))
    answer = await browser.mount.write("oidc/callback", back | {"client_nonce": "n"})
    assert answer is not None
    assert (await browser.come_back(back)).auth is not None


async def test_good_responses_go_on(browser: Browser, announced: bool) -> None:
    """With the parameter, on every way on which a browser comes back."""
    assert (await browser.log_in()).policies == ("p",)
    await browser.configure(oidc_response_mode="form_post")
    begun = await browser.begin(WEB, client_nonce="")
    page = html(await post(browser, browser.idp.log_in(begun["auth_url"])))
    found = re.search(r"postMessage\((\{.*\}), window\.origin\)", page)
    assert found is not None
    message = json.loads(found[1])
    back = {"state": message["state"], "code": message["code"], "client_nonce": ""}
    assert (await browser.come_back(back)).auth is not None
    await browser.configure()
    await browser.write_role(callback_mode="direct")
    assert "Logged in" in html(await come_back_confirmed(browser, await browser.begin(DIRECT)))
