"""The half of the method that browsers come to: where a login begins, what comes back, who waits for it.

What is done there is left to `jwt_auth.browser`; the texts for people, to `jwt_auth.pages`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

from authkit.auth import (
    AuthMethod,
    Identity,
    Renewal,
    RenewCall,
    grant,
    keep,
    renewal,
    update,
    verify_login_address,
)
from authkit.errors import LoginError, NotFoundError, PermissionDeniedError, UserError
from authkit.framework import (
    Call,
    Collection,
    LowerStr,
    Raw,
    Secret,
    Singleton,
    Str,
    Task,
    cached,
    every,
    field,
    read,
)
from authkit.framework import write as writes
from authkit.logical import Response, SpecialPaths
from authkit.oidc import ProviderError, Record
from authkit.values import replace
from jwt_auth.browser import FAILED, Arrived, Begun, BrowserLogins, NotYet
from jwt_auth.config import JWTConfig
from jwt_auth.explain import Denial, Denials
from jwt_auth.mount_keys import KEYS_PATH
from jwt_auth.pages import confirmation_page, error_page, post_message_page, raw_page, success_page
from jwt_auth.pending import Pending
from jwt_auth.redirects import mount_of
from jwt_auth.role import JWTRole
from jwt_auth.status import LoginCounts

if TYPE_CHECKING:
    from authkit.oidc import OIDCClient
    from authkit.oidc.providers import Provider


__all__ = ["BrowserAuth"]

Code = Annotated[Secret, field(default="", help="The code that the provider has sent.")]
IDToken = Annotated[Secret, field(default="", help="The ID token that the provider has sent.")]


class BrowserAuth(AuthMethod):
    """Configuration, roles, and logins in a browser."""

    config = Singleton(JWTConfig, "config", seal_wrap=True, replace=True, deletable=False)
    roles = Collection(JWTRole, "role/{name}")

    async def start(self) -> None:
        """Know nothing yet."""
        self.denials = Denials()
        self.counts = LoginCounts()
        self.browser = BrowserLogins(self.storage)

    @cached
    def provider(self, config: JWTConfig) -> Provider | None:
        """Keep what is asked about users until the configuration changes."""
        return config.make_provider()

    def deny(self, role_name: str, call: Call, error: LoginError, record: Record) -> LoginError:
        """Count and keep a denial; return it with its reference."""
        checks = record.checks
        self.counts.deny(checks)
        reference = self.denials.add(
            Denial(
                role=role_name,
                error=error.public,
                detail=error.detail,
                remote_addr=call.remote_addr,
                checks=checks,
            ),
            self.secret_texts(call.request),
        )
        return LoginError(f"{error.public} (reference {reference})", error.detail)

    # --- logins in a browser -------------------------------------------------------------------

    @cached
    def client(self, config: JWTConfig) -> OIDCClient:
        """Keep the client with its provider's metadata and keys until the configuration changes."""
        return config.make_client(self.browser.keys.known.signing)

    @writes("oidc/auth_url", unauthenticated=True, forward=True)
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
        if mode == "direct" and config.oidc_response_mode == "form_post":
            raise UserError("callback_mode 'direct' needs the response mode 'query'")
        asked = Begun(redirect_uri=redirect_uri, client_nonce=client_nonce, address=call.remote_addr)
        try:
            client = await self.made_client(config)
            return await self.browser.begin(client, config, bounds, self.roles.stored_name(name), asked)
        except ProviderError as error:
            self.log.warning("no login can begin", extra={"kv": {"role": name}}, exc_info=error)
            if mode == "device":
                raise UserError(f"error authorizing device: {error}") from error
            return {"auth_url": ""}

    @read("oidc/callback", unauthenticated=True, forward=True)
    async def callback(
        self,
        call: Call,
        code: Code,
        id_token: IDToken,
        state: Str = "",
        client_nonce: Str = "",
        error: Str = "",
        error_description: Str = "",
        error_uri: Str = "",
        confirmation: Str = "",
    ) -> Response | Raw:
        """End a login: who was at the provider gets a token, or lets a waiting client have it."""
        config = await self.config.find()
        if config is None:
            raise UserError(f"{FAILED} Could not load configuration")
        arrived = Arrived(
            state=state, code=code, id_token=id_token, error=error, error_description=error_description
        )
        record, role_name = Record(), ""
        try:
            pending = await self.browser.open(state)
            role_name = pending.role
            if pending.mode == "direct":
                return await self.end_direct(call, config, pending, arrived, bool(confirmation))
            if pending.mode == "device":
                raise LoginError(
                    f"{FAILED} Expired or missing OAuth state.", "no browser comes back for a device"
                )
            await self.browser.spend(pending, client_nonce)
            role = await self.role_of(pending)
            verify_login_address(role, call.connection)
            identity = await self.end(config, role, pending, arrived, record)
            granted = grant(identity, role, pending.role, call.connection)
        except LoginError as refusal:
            raise self.deny(role_name, call, refusal, record) from refusal
        self.counts.allowed += 1
        return granted

    @writes("oidc/callback", unauthenticated=True, forward=True)
    async def posted(
        self, code: Code, id_token: IDToken, state: Str = "", error: Str = "", error_description: Str = ""
    ) -> Raw:
        """Take what a provider has a browser bring in a form, and have the login go on where it began."""
        config = await self.config.find()
        if config is None:
            raise UserError(f"{FAILED} Could not load configuration.")
        if config.oidc_response_mode != "form_post":
            return Raw(b"", content_type="application/json", status=405)
        arrived = Arrived(
            state=state, code=code, id_token=id_token, error=error, error_description=error_description
        )
        try:
            pending = await self.browser.open(state)
            if pending.mode != "client":
                raise LoginError(f"{FAILED} Expired or missing OAuth state.")
            client, role = await self.made_client(config), await self.role_of(pending)
            going_on = await self.browser.keep_post(client, config, role, pending, arrived)
        except LoginError as refusal:
            self.log.info("a form is refused: %s", refusal.detail or refusal.public)
            return _refusal_page(refusal)
        mount = mount_of(pending.redirect_uri)
        if not mount:
            return raw_page(error_page(FAILED, "Invalid redirect path."), 400)
        return raw_page(post_message_page(mount, going_on, "no_code"))

    @writes("oidc/poll", unauthenticated=True, forward=True)
    async def poll(self, call: Call, state: Str = "", client_nonce: Str = "") -> Response:
        """Tell a waiting client how its login has ended: with a token, not at all, or not yet."""
        config = await self.config.find()
        if config is None:
            raise UserError(f"{FAILED} Could not load configuration")
        record, role_name = Record(), ""
        try:
            pending = await self.browser.open(state)
            role_name = pending.role
            if pending.mode == "client":
                raise LoginError(
                    f"{FAILED} Expired or missing OAuth state.", "no client waits for this login"
                )
            if not pending.is_from(client_nonce):
                await self.browser.spoil(pending)
                raise LoginError("invalid client_nonce")
            role = await self.role_of(pending)
            if pending.mode == "direct":
                identity = await self.browser.outcome(pending)
            else:
                verify_login_address(role, call.connection)
                client, provider = await self.made_client(config), self.provider(config)
                identity = await self.browser.poll_device(client, provider, role, pending, record)
            granted = grant(identity, role, pending.role, call.connection)
        except NotYet as answer:
            raise UserError(str(answer)) from answer
        except LoginError as refusal:
            raise self.deny(role_name, call, refusal, record) from refusal
        self.counts.allowed += 1
        return granted

    async def end_direct(
        self, call: Call, config: JWTConfig, pending: Pending, arrived: Arrived, is_confirmed: bool
    ) -> Raw:
        """Answer a browser that came back to the server in place of its client."""
        role = await self.roles.find(pending.role)
        if role is not None and not (is_confirmed or role.oidc_disable_confirmation or arrived.error):
            fields = {"state": arrived.state, "code": arrived.code.reveal()}
            return raw_page(confirmation_page(pending.address, pending.role, fields))
        record = Record()
        try:
            await self.browser.spend(pending, None)
        except LoginError as refusal:
            # Somebody loaded the page again: how the login has ended is for its client still.
            return _refusal_page(refusal)
        try:
            role = await self.role_of(pending)
            verify_login_address(role, call.connection)
            identity = await self.end(config, role, pending, arrived, record)
            await self.browser.outcomes.succeed(pending, identity)
        except (LoginError, PermissionDeniedError) as refusal:
            denial = self.deny(pending.role, call, _as_denial(refusal), record)
            self.browser.outcomes.fail(pending, denial.public)
            return _refusal_page(denial)
        return raw_page(success_page())

    async def end(
        self, config: JWTConfig, role: JWTRole, pending: Pending, arrived: Arrived, checks: Record
    ) -> Identity:
        """Return who has logged in at the provider."""
        client = await self.made_client(config)
        return await self.browser.finish(
            client, config, self.provider(config), role, pending, arrived, checks
        )

    async def role_of(self, pending: Pending) -> JWTRole:
        """Return the role of a login, as it is now."""
        role = await self.roles.find(pending.role)
        if role is None:
            raise LoginError(f"{FAILED} Role could not be found")
        return role

    async def made_client(self, config: JWTConfig) -> OIDCClient:
        """Return the client at the provider; the keys of the mount are there then."""
        await self.browser.keys.get()
        try:
            return self.client(config)
        except ValueError as error:
            raise LoginError(f"error getting provider for login operation: {error}") from error

    @read("oidc/jwks", unauthenticated=True)
    async def client_keys(self) -> Raw:
        """Show the public key with which the client shows its provider who it is (RFC 7523)."""
        config = await self.config.find()
        if config is None or config.oidc_client_authentication != "private_key_jwt":
            raise NotFoundError("the client of this mount has no key")
        from authkit.oidc import SigningKey

        keys = await self.browser.keys.get()
        return Raw(json.dumps({"keys": [SigningKey(keys.signing).jwk()]}), content_type="application/json")

    @renewal
    async def renew(self, call: RenewCall, role: JWTRole) -> Renewal:
        """Renew as long as the role exists; a login that is tied to its provider, as long as that renews."""
        if not call.state:
            return keep()
        config = await self.config.get()
        client = await self.made_client(config)
        try:
            groups, state = await self.browser.renew(client, self.provider(config), role, call)
        except LoginError as error:
            self.log.warning("not renewed: %s", error.detail or error.public)
            raise UserError(f"not renewed at the provider: {error.public}") from error
        return update(groups=groups, state=state)

    @every("1m", writes=True)
    async def forget_old_logins(self, task: Task) -> None:
        """Delete what is kept of browser logins that can go on no more."""
        await self.browser.forget_old()

    async def invalidated(self, key: str) -> None:
        """Read the keys of browser logins again where another node has made them."""
        if key == KEYS_PATH:
            self.browser.keys.forget()

    def special_paths(self) -> SpecialPaths:
        """Have everything of browser logins kept seal-wrapped."""
        special = super().special_paths()
        return replace(special, seal_wrap_storage=(*special.seal_wrap_storage, "oidc/"))


def _refusal_page(refusal: LoginError) -> Raw:
    return raw_page(error_page(FAILED, refusal.public.removeprefix(FAILED).strip()), 400)


def _as_denial(refusal: LoginError | PermissionDeniedError) -> LoginError:
    return refusal if isinstance(refusal, LoginError) else LoginError(f"{FAILED} {refusal}")
