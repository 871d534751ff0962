"""The paths of browser and device logins: start, callback and poll; and renewals at the provider.

The logins themselves: see `jwt_auth.browser.logins`; the pages: `jwt_auth.browser.pages`.
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

from authkit import (
    AuthMethod,
    Call,
    Collection,
    Identity,
    LoginError,
    LowerStr,
    NotFoundError,
    PermissionDeniedError,
    Raw,
    Renewal,
    RenewCall,
    Response,
    ResponseInfo,
    Seconds,
    Secret,
    Singleton,
    SpecialPaths,
    Str,
    Task,
    TooManyRequestsError,
    UserError,
    cached,
    every,
    field,
    grant,
    read,
    renewal,
    replace,
    verify_login_address,
    write,
)
from authkit.oidc import ProviderError, Record
from jwt_auth.browser.client_keys import CLIENT_KEYS_PATH
from jwt_auth.browser.logins import FAILED, BrowserLogins, CallbackData, LoginPendingError, LoginRequest
from jwt_auth.browser.pages import (
    confirmation_page,
    error_page,
    is_in_frame,
    post_message_page,
    raw_page,
    success_page,
)
from jwt_auth.browser.pending import Pending
from jwt_auth.browser.rate_limits import Asked
from jwt_auth.browser.redirects import mount_of
from jwt_auth.browser.sealing_keys import LOGIN_KEYS_PREFIX, REFRESH_KEYS_PREFIX
from jwt_auth.denials import Denial, Denials
from jwt_auth.settings.config import JWTConfig
from jwt_auth.settings.role import JWTRole
from jwt_auth.settings.terms import TERMS_CHANGED, login_terms
from jwt_auth.status import LoginCounts
from jwt_auth.texts.tokens import say

if TYPE_CHECKING:
    from authkit.oidc import OIDCClient, UserDirectory
    from jwt_auth.admission.trust import Trust


__all__ = ["BrowserAuth"]

Code = Annotated[Secret, field(default="", help="The code that the provider has sent.")]
IDToken = Annotated[Secret, field(default="", help="The ID token that the provider has sent.")]


PAGE = ResponseInfo(description="A page for a browser.", media_type="text/html")


class BrowserAuth(AuthMethod):
    """Configuration, roles, and logins in a browser."""

    config = Singleton(JWTConfig, "config", seal_wrap=True, replace=True, deletable=False)
    roles = Collection(JWTRole, "role/{name}")

    async def start(self) -> None:
        """Know nothing yet."""
        self.denials = Denials()
        self.counts = LoginCounts()
        self.browser = BrowserLogins(self.storage, self.mount_id)

    @cached
    def provider(self, config: JWTConfig) -> UserDirectory | None:
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
        return config.make_client(self.browser.client_keys.signer)

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

    @read("oidc/callback", unauthenticated=True, forward=True)
    async def callback(
        self,
        call: Call,
        code: Code,
        id_token: IDToken,
        state: Str = "",
        client_nonce: Str = "",
        iss: Str = "",
        error: Str = "",
        error_description: Str = "",
        error_uri: Str = "",
        confirmation: Str = "",
    ) -> Response | Raw:
        """End a login: who was at the provider gets a token, or lets a waiting client have it."""
        config = await self.config.find()
        if config is None:
            raise UserError(f"{FAILED} Could not load configuration")
        arrived = CallbackData(
            state=state,
            code=code,
            id_token=id_token,
            client_nonce=client_nonce,
            iss=iss,
            error=error,
            error_description=error_description,
        )
        record, role_name = Record(), ""
        try:
            pending = await self.browser.open(state)
            role_name = pending.role
            role = await self.role_of(pending, config)
            if role.callback_mode == "direct":
                return await self.end_direct(call, config, role, pending, arrived, confirmation)
            if role.callback_mode == "device":
                raise LoginError(
                    f"{FAILED} Expired or missing OAuth state.", "no browser comes back for a device"
                )
            verify_login_address(role, call.connection)
            await self.browser.logins.wait(call.remote_addr)
            with self.browser.logins.ask(call.remote_addr) as asked:
                await self.browser.spend(pending, client_nonce)
                identity = await self.end(call, config, role, pending, arrived, record)
                asked.is_good = True
            granted = await self.granted(call, pending, identity)
        except LoginError as refusal:
            raise self.deny(role_name, call, refusal, record) from refusal
        self.counts.allowed += 1
        return granted

    @write("oidc/callback", unauthenticated=True, forward=True, responses={200: PAGE})
    async def posted(
        self,
        code: Code,
        id_token: IDToken,
        state: Str = "",
        client_nonce: Str = "",
        iss: Str = "",
        error: Str = "",
        error_description: Str = "",
    ) -> Raw:
        """Take what a provider has a browser bring in a form, and have the login go on where it began."""
        config = await self.config.find()
        if config is None:
            raise UserError(f"{FAILED} Could not load configuration.")
        if not config.is_form_post:
            return Raw(b"", content_type="application/json", status=405)
        arrived = CallbackData(
            state=state,
            code=code,
            id_token=id_token,
            client_nonce=client_nonce,
            iss=iss,
            error=error,
            error_description=error_description,
        )
        try:
            pending = await self.browser.open(state)
            role = await self.role_of(pending, config)
            if role.callback_mode != "client":
                raise LoginError(f"{FAILED} Expired or missing OAuth state.")
            mount, is_of_client = mount_of(pending.redirect_uri), bool(client_nonce and pending.client_nonce)
            if not (mount or is_of_client or error):
                raise LoginError("Invalid redirect path.")
            client = await self.made_client(config)
            going_on = await self.browser.keep_post(client, config, role, pending, arrived)
        except LoginError as refusal:
            self.log.info("a form is refused: %s", refusal.detail or refusal.public)
            return _refusal_page(refusal)
        if not going_on:
            # The client that began the login has sent it on, and comes back by itself.
            return Raw(b"", content_type="application/json", status=204)
        return raw_page(post_message_page(mount, state, going_on))

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
                identity = await self.browser.poll_device(
                    client, trust, role, pending, record, call.connection
                )
            granted = await self.granted(call, pending, identity)
        except LoginPendingError as answer:
            raise UserError(str(answer)) from answer
        except LoginError as refusal:
            raise self.deny(role_name, call, refusal, record) from refusal
        self.counts.allowed += 1
        return granted

    async def end_direct(
        self,
        call: Call,
        config: JWTConfig,
        role: JWTRole,
        pending: Pending,
        arrived: CallbackData,
        confirmation: str,
    ) -> Raw:
        """Answer a browser that came back to the server in place of its client."""
        if is_in_frame(call.headers):
            return _refusal_page(LoginError("This page does not work inside another page."))
        is_asked = not (role.oidc_disable_confirmation or arrived.error)
        if is_asked and not pending.is_confirmed(arrived.code, confirmation):
            confirmed = pending.confirmation(arrived.code)
            fields = {"state": arrived.state, "code": arrived.code.reveal(), "iss": arrived.iss}
            fields["confirmation"] = confirmed
            return raw_page(confirmation_page(pending.address, pending.role, fields))
        await self.browser.logins.wait(call.remote_addr)
        try:
            with self.browser.logins.ask(call.remote_addr) as asked:
                return await self.end_confirmed(call, config, role, pending, arrived, asked)
        except TooManyRequestsError as refusal:
            return raw_page(error_page(FAILED, str(refusal)), refusal.status)

    async def end_confirmed(
        self,
        call: Call,
        config: JWTConfig,
        role: JWTRole,
        pending: Pending,
        arrived: CallbackData,
        asked: Asked,
    ) -> Raw:
        """End a direct login that somebody has begun, for the client that waits for it."""
        record = Record()
        try:
            await self.browser.spend(pending, None)
        except LoginError as refusal:
            # Somebody loaded the page again: how the login has ended is for its client still.
            return _refusal_page(refusal)
        try:
            verify_login_address(role, call.connection)
            identity = await self.end(call, config, role, pending, arrived, record)
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

    async def end(
        self,
        call: Call,
        config: JWTConfig,
        role: JWTRole,
        pending: Pending,
        arrived: CallbackData,
        checks: Record,
    ) -> Identity:
        """Return who has logged in at the provider."""
        client = await self.made_client(config)
        return await self.browser.finish(
            client, await self.trusted(config), role, pending, arrived, checks, call.connection
        )

    async def trusted(self, config: JWTConfig) -> Trust:
        """Return whose tokens are accepted.

        Raises:
            LoginError: an issuer has keys that this version does not take, or a provider cannot be used.
        """
        raise NotImplementedError

    async def role_of(self, pending: Pending, config: JWTConfig) -> JWTRole:
        """Return the role of a login, as it is now and was when the login began.

        Raises:
            LoginError: there is none any more, or role or configuration have changed.
        """
        role = await self.roles.find(pending.role)
        if role is None:
            raise LoginError(f"{FAILED} Role could not be found")
        if login_terms(role, config) != pending.terms:
            raise LoginError(f"{FAILED} {TERMS_CHANGED}")
        return role

    async def granted(self, call: Call, pending: Pending, identity: Identity) -> Response:
        """Grant a login by its role, which is looked at again: the provider may have let it wait.

        Raises:
            LoginError: the role is gone, or role or configuration have changed.
        """
        role = await self.role_of(pending, await self.config.get())
        return grant(identity, role, pending.role, call.connection)

    async def made_client(self, config: JWTConfig) -> OIDCClient:
        """Return the client at the provider; the keys of the mount are there then."""
        await self.browser.client_keys.load()
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

    @every("1m", writes=True)
    async def forget_old_logins(self, task: Task) -> None:
        """Delete what is kept of browser logins that can go on no more, and replace keys in time."""
        await self.browser.forget_old()
        await self.browser.rotate_keys()

    async def invalidated(self, key: str) -> None:
        """Read the keys of browser logins again where another node has made some."""
        if key.startswith((LOGIN_KEYS_PREFIX, REFRESH_KEYS_PREFIX, CLIENT_KEYS_PATH)):
            self.browser.forget_keys()

    def special_paths(self) -> SpecialPaths:
        """Have everything of browser logins kept seal-wrapped."""
        special = super().special_paths()
        return replace(special, seal_wrap_storage=(*special.seal_wrap_storage, "oidc/"))


def _refusal_page(refusal: LoginError) -> Raw:
    return raw_page(error_page(FAILED, refusal.public.removeprefix(FAILED).strip()), 400)


def _as_denial(refusal: LoginError | PermissionDeniedError | TooManyRequestsError) -> LoginError:
    return refusal if isinstance(refusal, LoginError) else LoginError(f"{FAILED} {refusal}")
