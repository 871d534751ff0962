"""Logins on another device (RFC 8628): nobody comes back, the provider is asked."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from authkit import Connection, Identity, LoginError, TooManyRequestsError
from authkit.oidc import Checks
from jwt_auth.admission.admit import admit, verify_role_type
from jwt_auth.admission.id_tokens import IDTokenProof
from jwt_auth.browser.pending import Pending, Spent, States, hash_nonce
from jwt_auth.browser.poll_intervals import LoginPendingError, PollIntervals
from jwt_auth.browser.rate_limits import DEVICES, POLLS, Allowance, KnownAddresses
from jwt_auth.browser.renewals import Renewals
from jwt_auth.browser.requests import LoginRequest, requested_scopes, show_poll_interval
from jwt_auth.settings.config import JWTConfig
from jwt_auth.settings.role import JWTRole
from jwt_auth.settings.terms import login_terms
from jwt_auth.texts.browser_logins import login_failed
from jwt_auth.texts.words import say

if TYPE_CHECKING:
    from authkit.oidc import OIDCClient
    from jwt_auth.admission.trust import Trust

__all__ = ["DeviceLogins"]


class DeviceLogins:
    """The device logins of one mount.

    Args:
        states: seals logins that have begun.
        spent: knows those that have ended.
        renewals: keeps what a renewal at the provider needs.
        known: addresses that have logged in.
        clock: seconds since some moment.
    """

    def __init__(
        self,
        states: States,
        spent: Spent,
        renewals: Renewals,
        known: KnownAddresses,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._states = states
        self._spent = spent
        self._renewals = renewals
        self._devices = Allowance(DEVICES, known, clock)
        self._polls = Allowance(POLLS, known, clock)
        self._intervals = PollIntervals(clock)

    async def begin(
        self, client: OIDCClient, config: JWTConfig, role: JWTRole, role_name: str, asked: LoginRequest
    ) -> dict[str, str]:
        """Return where the user goes with another device.

        Raises:
            ProviderError: the provider cannot be asked.
        """
        with self._devices.ask(asked.address):
            device = await client.authorize_device(requested_scopes(role))
        pending = self._states.begin(
            role_name,
            login_terms(role, config),
            client_nonce=hash_nonce(asked.client_nonce),
            address=asked.address,
            secret=device.device_code,
        )
        self._intervals.begin(pending.id, device.interval)
        answer = {
            "state": await self._states.close(pending),
            "poll_interval": show_poll_interval(role, device.interval),
        }
        if device.complete_uri:
            return answer | {"auth_url": device.complete_uri}
        return answer | {"auth_url": device.verification_uri, "user_code": device.user_code}

    async def poll(
        self,
        client: OIDCClient,
        trust: Trust,
        role: JWTRole,
        pending: Pending,
        checks: Checks,
        connection: Connection | None,
    ) -> Identity:
        """Return the identity of the user who logged in on another device.

        Raises:
            LoginPendingError: the login has not ended.
            LoginError: the login is denied.
        """
        from authkit.oidc import EndpointError, OAuthError

        with login_failed():
            verify_role_type(role, IDTokenProof.role_type)
        if not self._intervals.is_due(pending.id):
            raise LoginPendingError("slow_down")
        address = connection.remote_addr if connection is not None else ""
        try:
            with self._polls.ask(address):
                tokens = await client.poll_device(pending.secret)
        except TooManyRequestsError as error:
            raise LoginPendingError("slow_down") from error
        except OAuthError as error:
            if error.code == "slow_down":
                self._intervals.slow_down(pending.id)
            if error.code in ("authorization_pending", "slow_down"):
                raise LoginPendingError(error.code) from error
            raise LoginError(f"authorization failed: {error.code}", error.detail) from error
        except EndpointError as error:
            raise say(error) from error
        with login_failed():
            await self._spent.spend(pending)
        at_provider = self._renewals.at(client, trust)
        proof = IDTokenProof(at_provider, tokens.id_token, tokens=tokens, begun=pending.created)
        identity = await admit(role, pending.role, proof, checks, connection=connection)
        await self._spent.remember(pending)
        self._polls.welcome(address)
        return identity
