"""A browser that hangs up in the middle of its login."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from test_jwt_auth_browser import DIRECT, Browser, poll

from authkit.errors import UserError
from authkit.logical import Operation
from authkit.oidc import OIDCClient


async def test_a_client_is_told_that_its_browser_has_hung_up(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The state is used up then: the client need not ask until its time is over."""
    fields = {"allowed_redirect_uris": [DIRECT], "oidc_disable_confirmation": True}
    await browser.write_role(callback_mode="direct", **fields)
    begun = await browser.begin(DIRECT)
    back, is_asked = browser.idp.log_in(begun["auth_url"]), asyncio.Event()

    async def hang(client: OIDCClient, *args: Any) -> Any:
        is_asked.set()
        await asyncio.sleep(60)

    monkeypatch.setattr(OIDCClient, "exchange", hang)
    coming = asyncio.ensure_future(browser.mount.request(Operation.READ, "oidc/callback", dict(back)))
    await asyncio.wait_for(is_asked.wait(), 5)
    coming.cancel()
    with pytest.raises(asyncio.CancelledError):
        await coming
    with pytest.raises(UserError, match="cut off"):
        await poll(browser, begun["state"])
