"""The path that browsers come back to from the provider.

What they bring: see `jwt_auth.browser.callbacks`; the pages: `jwt_auth.browser.pages`.
"""

from __future__ import annotations

from typing import Final

from authkit import (
    Call,
    Identity,
    LoginError,
    PermissionDeniedError,
    Raw,
    Response,
    ResponseInfo,
    Str,
    TooManyRequestsError,
    UserError,
    Value,
    read,
    verify_login_address,
    write,
)
from authkit.oidc import Record
from jwt_auth.browser.callbacks import CallbackData
from jwt_auth.browser.pages import (
    confirmation_page,
    error_page,
    is_in_frame,
    is_opened_in_window,
    post_message_page,
    raw_page,
    success_page,
)
from jwt_auth.browser.paths.mount import BrowserMount
from jwt_auth.browser.pending import Pending
from jwt_auth.browser.rate_limits import Asked
from jwt_auth.browser.redirects import mount_of
from jwt_auth.settings.config import JWTConfig
from jwt_auth.settings.role import JWTRole
from jwt_auth.texts.browser_logins import FAILED

__all__ = ["CallbackPaths"]

PAGE: Final = ResponseInfo(description="A page for a browser.", media_type="text/html")


class _Arrival(Value, frozen=True, kw_only=True):
    """A browser that has come back from the provider for a login that is under way."""

    call: Call
    config: JWTConfig
    role: JWTRole
    pending: Pending
    data: CallbackData


class CallbackPaths(BrowserMount):
    """The ends of logins in a browser."""

    @read("oidc/callback", unauthenticated=True, forward=True, fields=CallbackData)
    async def callback(self, call: Call, error_uri: Str = "", confirmation: Str = "") -> Response | Raw:
        """End a login: who was at the provider gets a token, or lets a waiting client have it."""
        config = await self.config.find()
        if config is None:
            raise UserError(f"{FAILED} Could not load configuration")
        data = CallbackData.overlaid(None, call.data.values)
        record, role_name = Record(), ""
        try:
            pending = await self.browser.open(data.state)
            role_name = pending.role
            role = await self.role_of(pending, config)
            arrival = _Arrival(call=call, config=config, role=role, pending=pending, data=data)
            if role.callback_mode == "direct":
                return await self.end_direct(arrival, confirmation)
            if role.callback_mode == "device":
                raise LoginError(
                    f"{FAILED} Expired or missing OAuth state.", "no browser comes back for a device"
                )
            verify_login_address(role, call.connection)
            await self.browser.logins.wait(call.remote_addr)
            with self.browser.logins.ask(call.remote_addr) as asked:
                await self.browser.spend(pending, data.client_nonce)
                identity = await self.end(arrival, record)
                asked.is_good = True
            granted = await self.granted(call, pending, identity)
        except LoginError as refusal:
            denial = self.deny(role_name, call, refusal, record)
            if is_opened_in_window(call.headers):
                return _refusal_page(denial)
            raise denial from refusal
        self.counts.allowed += 1
        return granted

    @write("oidc/callback", unauthenticated=True, forward=True, fields=CallbackData, responses={200: PAGE})
    async def posted(self, call: Call) -> Raw:
        """Take what a provider has a browser bring in a form, and have the login go on where it began."""
        config = await self.config.find()
        if config is None:
            raise UserError(f"{FAILED} Could not load configuration.")
        if not config.is_form_post:
            return Raw(b"", content_type="application/json", status=405)
        data = CallbackData.overlaid(None, call.data.values)
        try:
            pending = await self.browser.open(data.state)
            role = await self.role_of(pending, config)
            if role.callback_mode != "client":
                raise LoginError(f"{FAILED} Expired or missing OAuth state.")
            mount = mount_of(pending.redirect_uri)
            is_of_client = bool(data.client_nonce and pending.client_nonce)
            if not (mount or is_of_client or data.error):
                raise LoginError("Invalid redirect path.")
            client = await self.made_client(config)
            going_on = await self.browser.callbacks.keep_post(client, config, role, pending, data)
        except LoginError as refusal:
            self.log.info("a form is refused: %s", refusal.detail or refusal.public)
            return _refusal_page(refusal)
        if not going_on:
            # The client that began the login has sent it on, and comes back by itself.
            return Raw(b"", content_type="application/json", status=204)
        return raw_page(post_message_page(mount, data.state, going_on))

    async def end_direct(self, arrival: _Arrival, confirmation: str) -> Raw:
        """Answer a browser that came back to the server in place of its client."""
        call, pending, data = arrival.call, arrival.pending, arrival.data
        if is_in_frame(call.headers):
            return _refusal_page(LoginError("This page does not work inside another page."))
        is_asked = not (arrival.role.oidc_disable_confirmation or data.error)
        if is_asked and not pending.is_confirmed(data.code, confirmation):
            fields = {"state": data.state, "code": data.code.reveal(), "iss": data.iss}
            fields["confirmation"] = pending.confirmation(data.code)
            return raw_page(confirmation_page(pending.address, pending.role, fields))
        await self.browser.logins.wait(call.remote_addr)
        try:
            with self.browser.logins.ask(call.remote_addr) as asked:
                return await self.end_confirmed(arrival, asked)
        except TooManyRequestsError as refusal:
            return raw_page(error_page(FAILED, str(refusal)), refusal.status)

    async def end_confirmed(self, arrival: _Arrival, asked: Asked) -> Raw:
        """End a direct login that somebody has begun, for the client that waits for it."""
        call, pending, record = arrival.call, arrival.pending, Record()
        try:
            await self.browser.spend(pending, None)
        except LoginError as refusal:
            # Somebody loaded the page again: how the login has ended is for its client still.
            return _refusal_page(refusal)
        try:
            verify_login_address(arrival.role, call.connection)
            identity = await self.end(arrival, record)
            await self.role_of(pending, await self.config.get())
            await self.browser.outcomes.succeed(pending, identity)
        except (LoginError, PermissionDeniedError, TooManyRequestsError) as refusal:
            denial = self.deny(pending.role, call, _as_denial(refusal), record)
            self.browser.outcomes.fail(pending, denial.public)
            return _refusal_page(denial)
        except BaseException:
            # The browser has hung up, or storage has failed: the state is used up, and its client would wait.
            self.browser.outcomes.fail(pending, f"{FAILED} The login was cut off, begin again.")
            raise
        asked.is_good = True
        return raw_page(success_page())

    async def end(self, arrival: _Arrival, checks: Record) -> Identity:
        """Return who has logged in at the provider."""
        client = await self.made_client(arrival.config)
        trust = await self.trusted(arrival.config)
        return await self.browser.callbacks.finish(
            client, trust, arrival.role, arrival.pending, arrival.data, checks, arrival.call.connection
        )


def _refusal_page(refusal: LoginError) -> Raw:
    return raw_page(error_page(FAILED, refusal.public.removeprefix(FAILED).strip()), 400)


def _as_denial(refusal: LoginError | PermissionDeniedError | TooManyRequestsError) -> LoginError:
    return refusal if isinstance(refusal, LoginError) else LoginError(f"{FAILED} {refusal}")
