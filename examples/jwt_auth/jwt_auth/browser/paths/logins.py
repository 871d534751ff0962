"""The paths by which clients begin a login, wait for it, and renew its token; and the client's own key."""

from __future__ import annotations

import json
from datetime import timedelta

from authkit import (
    Call,
    LoginError,
    LowerStr,
    NotFoundError,
    Raw,
    Renewal,
    RenewCall,
    Response,
    Seconds,
    Str,
    Task,
    UserError,
    every,
    read,
    renewal,
    verify_login_address,
    write,
)
from authkit.oidc import ProviderError, Record
from jwt_auth.browser.paths.callback import CallbackPaths
from jwt_auth.browser.poll_intervals import LoginPendingError
from jwt_auth.browser.requests import LoginRequest
from jwt_auth.settings.config import JWTConfig
from jwt_auth.settings.role import JWTRole
from jwt_auth.texts.browser_logins import FAILED
from jwt_auth.texts.words import say

__all__ = ["BrowserAuth"]


class BrowserAuth(CallbackPaths):
    """Logins in a browser and on a device."""

    @write("oidc/auth_url", unauthenticated=True, forward=True)
    async def auth_url(
        self, call: Call, role: LowerStr = "", redirect_uri: Str = "", client_nonce: Str = ""
    ) -> dict[str, str]:
        """Tell where to send a browser for a login at the provider."""
        config = await self.config.find()
        if config is None:
            raise UserError("could not load configuration")
        if not (config.oidc_client_id and config.oidc_discovery_url):
            raise UserError("OIDC login is not configured for this mount")
        name = role or config.default_role
        if not name:
            raise UserError("missing role")
        bounds = await self.roles.find(name)
        mode = bounds.callback_mode if bounds is not None else "client"
        if not redirect_uri and mode != "device":
            raise UserError("missing redirect_uri")
        if bounds is None:
            raise UserError(f"role {json.dumps(name)} could not be found")
        if not client_nonce and mode != "client":
            raise UserError("missing client_nonce")
        if mode == "direct" and config.is_form_post:
            raise UserError("callback_mode 'direct' needs the response mode 'query'")
        asked = LoginRequest(redirect_uri=redirect_uri, client_nonce=client_nonce, address=call.remote_addr)
        try:
            client = await self.made_client(config)
            return await self.browser.begin(client, config, bounds, self.roles.stored_name(name), asked)
        except ProviderError as error:
            self.log.warning("no login can begin", extra={"kv": {"role": name}}, exc_info=error)
            if mode == "device":
                reason = say(error).public if isinstance(error, LoginError) else error
                raise UserError(f"error authorizing device: {reason}") from error
            return {"auth_url": ""}

    @write("oidc/poll", unauthenticated=True, forward=True)
    async def poll(self, call: Call, state: Str = "", client_nonce: Str = "") -> Response:
        """Tell a waiting client how its login has ended: with a token, not at all, or not yet."""
        config = await self.config.find()
        if config is None:
            raise UserError(f"{FAILED} Could not load configuration")
        record, role_name = Record(), ""
        try:
            pending = await self.browser.open(state)
            role_name = pending.role
            role = await self.role_of(pending, config)
            if role.callback_mode == "client":
                raise LoginError(
                    f"{FAILED} Expired or missing OAuth state.", "no client waits for this login"
                )
            if not pending.is_from(client_nonce):
                await self.browser.spoil(pending)
                raise LoginError("invalid client_nonce")
            if role.callback_mode == "direct":
                identity = await self.browser.outcome(pending)
            else:
                verify_login_address(role, call.connection)
                client, trust = await self.made_client(config), await self.trusted(config)
                identity = await self.browser.devices.poll(
                    client, trust, role, pending, record, call.connection
                )
            granted = await self.granted(call, pending, identity)
        except LoginPendingError as answer:
            raise UserError(str(answer)) from answer
        except LoginError as refusal:
            raise self.deny(role_name, call, refusal, record) from refusal
        self.counts.allowed += 1
        return granted

    @read("oidc/jwks", unauthenticated=True)
    async def client_keys(self) -> Raw:
        """Show the public key with which the client shows its provider who it is (RFC 7523)."""
        config = await self.config.find()
        if config is None or config.oidc_client_authentication != "private_key_jwt":
            raise NotFoundError("the client of this mount has no key")
        await self.browser.client_keys.load()
        keys = {"keys": self.browser.client_keys.published()}
        return Raw(json.dumps(keys), content_type="application/json")

    @write("oidc/jwks/rotate", forward=True)
    async def rotate_client_key(self, after: Seconds = timedelta(0)) -> dict[str, str]:
        """Replace the key with which the client shows its provider who it is.

        The new key is published at once and signs when 'after' is over. Set it where the provider does not
        fetch 'oidc/jwks' by itself, or not often. The key before stays published for a day more.
        """
        return {"kid": await self.browser.client_keys.rotate(after.total_seconds())}

    @renewal
    async def renew(self, call: RenewCall, config: JWTConfig, role: JWTRole) -> Renewal:
        """Renew as long as the role exists, and as long as the provider renews where the role says so."""
        if not role.renew_at_provider:
            return Renewal.keep()
        if not call.state:
            raise UserError(
                "not renewed at the provider: the role asks for it, and this token has no refresh token of a "
                "login in a browser; log in again"
            )
        client = await self.made_client(config)
        try:
            trust = await self.trusted(config)
            identity = await self.browser.renewals.renew(client, trust, role, call)
        except LoginError as error:
            self.log.warning("not renewed: %s", error.detail or error.public)
            raise UserError(f"not renewed at the provider: {error.public}") from error
        return Renewal.update(groups=identity.groups, state=identity.state)

    @every("1h", writes=True)
    async def forget_old_renewals(self, task: Task) -> None:
        """Delete what is kept for renewals that nobody has come back for."""
        await self.browser.renewals.forget()
