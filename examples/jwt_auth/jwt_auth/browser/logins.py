"""Logins in a browser: how they begin, and what a mount keeps of them.

The protocol with the provider is in `authkit.oidc`; a login between its beginning and its end, in
`jwt_auth.browser.pending`; the end, in `jwt_auth.browser.callbacks`, or `jwt_auth.browser.devices` on another
device; the paths, in `jwt_auth.browser.paths`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from authkit import Identity, LoginError, Storage, UserError
from jwt_auth.admission.admit import verify_role_type
from jwt_auth.admission.id_tokens import IDTokenProof
from jwt_auth.browser.callbacks import Callbacks
from jwt_auth.browser.client_keys import ClientKeys
from jwt_auth.browser.devices import DeviceLogins
from jwt_auth.browser.outcomes import Outcomes, PostedTokens
from jwt_auth.browser.pending import Pending, Spent, States, hash_nonce
from jwt_auth.browser.poll_intervals import LoginPendingError
from jwt_auth.browser.posted import Posted
from jwt_auth.browser.rate_limits import LOGINS, Allowance, KnownAddresses
from jwt_auth.browser.redirects import for_form_post, is_allowed, take_namespace
from jwt_auth.browser.renewals import Renewals
from jwt_auth.browser.requests import LoginRequest, authorization_request, show_poll_interval
from jwt_auth.browser.sealing_keys import RefreshTokens, make_login_keys
from jwt_auth.settings.config import JWTConfig
from jwt_auth.settings.role import JWTRole
from jwt_auth.settings.terms import login_terms
from jwt_auth.texts.browser_logins import FAILED, login_failed

if TYPE_CHECKING:
    from authkit.oidc import OIDCClient

__all__ = ["BrowserLogins"]

MAX_LOGGED_URI: Final = 1024
"""Characters of a refused redirect URI in the log: anybody may send 64 KiB, each of which costs."""

_log = logging.getLogger(__name__)


class BrowserLogins:
    """The browser logins of one mount.

    Args:
        now: seconds since 1970.
        clock: seconds since some moment.
    """

    def __init__(
        self,
        storage: Storage,
        mount: str,
        *,
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.client_keys = ClientKeys(storage, now)
        self.login_keys = make_login_keys(storage, mount, now)
        self.refresh_tokens = RefreshTokens(storage, mount, now)
        self.states = States(self.login_keys, now)
        self.spent = Spent(storage, now)
        self.outcomes = Outcomes(storage, now)
        self.posted_tokens = PostedTokens(storage, now)
        self.renewals = Renewals(storage, self.refresh_tokens, now)
        posted = Posted(self.login_keys, self.posted_tokens)
        self.callbacks = Callbacks(self.spent, posted, self.renewals)
        known = KnownAddresses(clock)
        self.logins = Allowance(LOGINS, known, clock)
        self.devices = DeviceLogins(self.states, self.spent, self.renewals, known, clock)

    async def begin(
        self, client: OIDCClient, config: JWTConfig, role: JWTRole, role_name: str, asked: LoginRequest
    ) -> dict[str, str]:
        """Return where to send the browser, empty where the role does not let it come back.

        Raises:
            ProviderError: the provider cannot be asked.
        """
        try:
            verify_role_type(role, IDTokenProof.role_type)
        except LoginError as error:
            # The official plugin means this answer for such roles too (0.26, path_oidc.go, authURL).
            _log.warning("no login in a browser: %s", error.public, extra={"kv": {"role": role_name}})
            return {"auth_url": ""}
        if role.callback_mode == "device":
            return await self.devices.begin(client, config, role, role_name, asked)
        uri, namespace = asked.redirect_uri, ""
        if config.namespace_in_state:
            uri, namespace = take_namespace(uri)
        if not is_allowed(uri, role.allowed_redirect_uris or ()):
            shown = {"role": role_name, "redirect_uri": uri[:MAX_LOGGED_URI]}
            _log.warning("unauthorized redirect_uri", extra={"kv": shown})
            return {"auth_url": ""}
        if config.is_form_post:
            uri = for_form_post(uri)
        pending = self.states.begin(
            role_name,
            login_terms(role, config),
            redirect_uri=uri,
            client_nonce=hash_nonce(asked.client_nonce),
            address=asked.address,
        )
        state = await self.states.close(pending)
        # A web interface takes the namespace off again before it comes back.
        carried = f"{state},ns={namespace}" if namespace else state
        request = authorization_request(pending, config, role, state=carried)
        answer = {"auth_url": await client.authorization_url(request)}
        if role.callback_mode == "direct":
            answer |= {"state": state, "poll_interval": show_poll_interval(role, 0)}
        return answer

    async def open(self, state: str) -> Pending:
        """Return the login that a state represents.

        Raises:
            LoginError: the state is unknown or has expired.
        """
        with login_failed():
            return await self.states.open(state.partition(",ns=")[0])

    async def forget_old(self) -> None:
        """Delete stored state of logins that have ended or expired."""
        for kept in (self.spent, self.outcomes, self.posted_tokens):
            await kept.forget()

    async def rotate_keys(self) -> None:
        """Replace keys that are due, and those of earlier versions."""
        await self.client_keys.drop_former()
        await self.login_keys.tend()
        await self.refresh_tokens.keys.tend()

    def forget_keys(self) -> None:
        """Read keys again where another node has changed some."""
        self.client_keys.forget()
        self.login_keys.forget()
        self.refresh_tokens.keys.forget()

    async def spoil(self, pending: Pending) -> None:
        """End the login of a client whose state came back with another's nonce, unless it has ended."""
        with suppress(LoginError):
            await self.spent.spend(pending)
            self.outcomes.spoil(pending, f"{FAILED} Expired or missing OAuth state.")

    async def outcome(self, pending: Pending) -> Identity:
        """Return the identity of a direct login.

        Raises:
            LoginPendingError: the login has not ended.
            UserError: the login has failed; the text ends in its reference.
        """
        found = await self.outcomes.take(pending)
        if found is None:
            raise LoginPendingError("authorization_pending")
        if isinstance(found, str):
            raise UserError(found)
        return found

    async def spend(self, pending: Pending, client_nonce: str | None) -> None:
        """Use the login's state up, and return if it is the client's who has begun it; `None` asks for none.

        Raises:
            LoginError: it is used up already, or somebody else's.
        """
        with login_failed():
            await self.spent.spend(pending)
        if client_nonce is not None and not pending.is_from(client_nonce):
            raise LoginError("invalid client_nonce")
