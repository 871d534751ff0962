"""What the paths of browser logins share: configuration, roles, the client at the provider, denials."""

from __future__ import annotations

from typing import TYPE_CHECKING

from authkit import (
    AuthMethod,
    Call,
    Collection,
    Identity,
    LoginError,
    Response,
    Singleton,
    SpecialPaths,
    Task,
    cached,
    every,
    grant,
    replace,
)
from authkit.oidc import Record
from jwt_auth.browser.client_keys import CLIENT_KEYS_PATH
from jwt_auth.browser.logins import BrowserLogins
from jwt_auth.browser.pending import Pending
from jwt_auth.browser.sealing_keys import LOGIN_KEYS_PREFIX, REFRESH_KEYS_PREFIX
from jwt_auth.denials import Denials, LoginExplanation
from jwt_auth.settings.config import JWTConfig
from jwt_auth.settings.role import JWTRole
from jwt_auth.settings.terms import TERMS_CHANGED, login_terms
from jwt_auth.status import LoginCounts
from jwt_auth.texts.browser_logins import FAILED

if TYPE_CHECKING:
    from authkit.oidc import OIDCClient, UserDirectory
    from jwt_auth.admission.trust import Trust

__all__ = ["BrowserMount"]

ROLE = {"role_type": "jwt", "user_claim": "sub", "bound_audiences": "vault"}
"""The example of a role."""


class BrowserMount(AuthMethod):
    """Configuration and roles, and what is kept of browser logins."""

    config = Singleton(JWTConfig, "config", seal_wrap=True, replace=True, deletable=False)
    roles = Collection(JWTRole, "role/{name}", example=ROLE)

    async def start(self) -> None:
        """Know nothing yet."""
        self.denials = Denials()
        self.counts = LoginCounts()
        self.browser = BrowserLogins(
            self.storage, self.mount_id, now=self.clock.time, clock=self.clock.monotonic
        )

    @cached
    def provider(self, config: JWTConfig) -> UserDirectory | None:
        """Keep what is asked about users until the configuration changes."""
        return config.make_provider()

    def deny(self, role_name: str, call: Call, error: LoginError, record: Record) -> LoginError:
        """Count and keep a denial; return it with its reference."""
        checks = record.checks
        self.counts.deny(checks)
        reference = self.denials.add(
            LoginExplanation(
                role=role_name,
                error=error.public,
                detail=error.detail,
                remote_addr=call.remote_addr,
                checks=checks,
            ),
            self.secret_texts(call.request),
        )
        return LoginError(f"{error.public} (reference {reference})", error.detail)

    @cached
    def client(self, config: JWTConfig) -> OIDCClient:
        """Keep the client with its provider's metadata and keys until the configuration changes."""
        return config.make_client(self.browser.client_keys.signer, self.clock.time)

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
