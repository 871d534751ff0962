"""Logins in a browser or on a device: the start, the provider's response, and the resulting identity.

The protocol with the provider is in `authkit.oidc`; a login between its beginning and its end, in
`jwt_auth.browser.pending`; the paths, in `jwt_auth.browser.paths`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, ClassVar, Final

from authkit import Connection, Identity, LoginError, Secret, Storage, TooManyRequestsError, UserError, Value
from authkit.oidc import NO_RECORD, Checks, Claims
from jwt_auth.admission.admit import admit, verify_role_type
from jwt_auth.admission.id_tokens import FAILED, IDTokenProof
from jwt_auth.browser.client_keys import ClientKeys
from jwt_auth.browser.outcomes import Outcomes, PostedTokens
from jwt_auth.browser.pending import Pending, Spent, States, hash_nonce
from jwt_auth.browser.poll_intervals import DEFAULT_SECONDS, PollIntervals
from jwt_auth.browser.posted import Posted
from jwt_auth.browser.rate_limits import DEVICES, LOGINS, POLLS, Allowance, KnownAddresses
from jwt_auth.browser.redirects import for_form_post, is_allowed, take_namespace
from jwt_auth.browser.renewals import Renewals
from jwt_auth.browser.sealing_keys import RefreshTokens, make_login_keys
from jwt_auth.settings.config import JWTConfig
from jwt_auth.settings.role import JWTRole
from jwt_auth.settings.terms import login_terms
from jwt_auth.texts.tokens import say, say_of_id_token

if TYPE_CHECKING:
    from authkit.oidc import AuthorizationRequest, OIDCClient, TokenSet
    from jwt_auth.admission.trust import Trust

__all__ = ["FAILED", "BrowserLogins", "CallbackData", "LoginPendingError", "LoginRequest"]

NO_CODE: Final = "no_code"
"""With this code the official plugin releases what an earlier POST has brought. Here it releases nothing."""

MAX_LOGGED_URI: Final = 1024
"""Characters of a refused redirect URI in the log: anybody may send 64 KiB, each of which costs."""

_log = logging.getLogger(__name__)


class LoginPendingError(Exception):
    """The login has not ended yet. The text is the OAuth code: continue polling, or poll less often."""


class LoginRequest(Value, frozen=True, kw_only=True):
    """What a client asks for when a login begins."""

    redirect_uri: str
    client_nonce: str
    address: str
    """Where it asks from, empty when the host does not say."""


class CallbackData(Value, frozen=True, kw_only=True):
    """What a browser brings back from the provider. All of it may be forged."""

    state: str
    code: Secret
    id_token: Secret
    client_nonce: str = ""
    iss: str = ""
    """Which provider it comes from (RFC 9207); empty when that does not say, or a client has dropped it."""
    error: str = ""
    error_description: str = ""

    unshown: ClassVar = ("state", "client_nonce")


class BrowserLogins:
    """The browser logins of one mount."""

    def __init__(self, storage: Storage, mount: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.client_keys = ClientKeys(storage)
        self.login_keys = make_login_keys(storage, mount)
        self.refresh_tokens = RefreshTokens(storage, mount)
        self.states = States(self.login_keys)
        self.spent = Spent(storage)
        self.outcomes = Outcomes(storage)
        self.posted_tokens = PostedTokens(storage)
        self.posted = Posted(self.login_keys, self.posted_tokens)
        self.renewals = Renewals(storage, self.refresh_tokens)
        known = KnownAddresses(clock)
        self.logins = Allowance(LOGINS, known, clock)
        self._devices = Allowance(DEVICES, known, clock)
        self._polls = Allowance(POLLS, known, clock)
        self._intervals = PollIntervals(clock)

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
            return await self._begin_device(client, config, role, role_name, asked)
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
        request = _request(pending, config, role, state=carried)
        answer = {"auth_url": await client.authorization_url(request)}
        if role.callback_mode == "direct":
            answer |= {"state": state, "poll_interval": _interval(role, 0)}
        return answer

    async def open(self, state: str) -> Pending:
        """Return the login that a state represents.

        Raises:
            LoginError: the state is unknown or has expired.
        """
        with _login_failed():
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
        with _login_failed():
            await self.spent.spend(pending)
        if client_nonce is not None and not pending.is_from(client_nonce):
            raise LoginError("invalid client_nonce")

    async def finish(
        self,
        client: OIDCClient,
        trust: Trust,
        role: JWTRole,
        pending: Pending,
        arrived: CallbackData,
        checks: Checks,
        connection: Connection | None,
    ) -> Identity:
        """Return the identity of the user who logged in at the provider.

        Raises:
            LoginError: the login is denied.
        """
        with _login_failed():
            verify_role_type(role, IDTokenProof.role_type)
        if arrived.error:
            raise _refusal_of_provider(arrived)
        request = _request(pending, trust.config, role, state=arrived.state)
        code, id_token = await self._received(trust.config, pending, arrived)
        # The command line and web interfaces pass on the code and the state alone.
        is_straight = role.callback_mode == "direct"
        await _verify_issuer(client, arrived, is_required=is_straight)
        if code:
            tokens: TokenSet | None = (exchanged := await _exchange(client, request, code))
            token, describe = exchanged.id_token, _exchange_failed
        else:
            tokens, token, describe = None, id_token, _verification_failed
        proof = IDTokenProof(
            self.renewals.at(client, trust),
            token,
            tokens=tokens,
            request=request,
            code=code or None,
            begun=pending.created,
            describe=describe,
        )
        identity = await admit(role, pending.role, proof, checks, connection=connection)
        await self.spent.remember(pending)
        return identity

    async def keep_post(
        self,
        client: OIDCClient,
        config: JWTConfig,
        role: JWTRole,
        pending: Pending,
        arrived: CallbackData,
    ) -> str:
        """Return what the page goes on with in place of a code; empty for the client that began the login.

        A code is sealed into it. An ID token is stored, once it is known to be for this login: strangers can
        store nothing. Only that text releases them, or the nonce of the client if that has sent them itself.

        Raises:
            LoginError: the provider has refused, the response is not of the type that it was asked for, the
                ID token is not acceptable, or the nonce is not that of the client.
        """
        if arrived.error:
            raise _refusal_of_provider(arrived)
        if arrived.client_nonce and not pending.is_from(arrived.client_nonce):
            raise LoginError("invalid client_nonce")
        is_of_client = bool(arrived.client_nonce and pending.client_nonce)
        with _login_failed():
            _verify_type(config, arrived)
        await _verify_issuer(client, arrived, is_required=bool(arrived.code) and not is_of_client)
        with _login_failed():
            if arrived.code:
                return "" if is_of_client else await self.posted.seal_code(pending, arrived.code)
        request = _request(pending, config, role, state=arrived.state)
        await _verify(client, request, arrived.id_token, NO_RECORD)
        if not is_of_client:
            return await self.posted.keep_token(pending, arrived.id_token)
        await self.posted.keep_token_for(pending, arrived.id_token, arrived.client_nonce)
        return ""

    async def _received(
        self, config: JWTConfig, pending: Pending, arrived: CallbackData
    ) -> tuple[Secret, Secret]:
        """Return the code or the ID token that a GET brings or releases; the other one is empty.

        Where the provider sends forms, a GET brings the text from the page, or a code that a client got at
        its own address: such a client shows the nonce with which it began.

        Raises:
            LoginError: it is neither.
        """
        nothing, text = Secret(""), arrived.code.reveal()
        with _login_failed():
            if arrived.id_token:
                raise LoginError("An ID token is taken from a form only.")
            if config.response_type == "id_token":
                found = await self.posted.take_token(pending, text, arrived.client_nonce)
                if not found and text not in ("", NO_CODE):
                    raise LoginError("This mount does not take a code: its response type is 'id_token'.")
                code, id_token = nothing, found
            elif not config.is_form_post:
                code, id_token = nothing if text == NO_CODE else arrived.code, nothing
            else:
                code, id_token = await self.posted.open_code(pending, text), nothing
                if not code and text != NO_CODE and pending.client_nonce:
                    code = arrived.code
            if not (code or id_token):
                raise LoginError("No code or id_token received.")
        return code, id_token

    async def poll_device(
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

        with _login_failed():
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
        await self.spend(pending, None)
        at_provider = self.renewals.at(client, trust)
        proof = IDTokenProof(at_provider, tokens.id_token, tokens=tokens, begun=pending.created)
        identity = await admit(role, pending.role, proof, checks, connection=connection)
        await self.spent.remember(pending)
        self._polls.welcome(address)
        return identity

    async def _begin_device(
        self, client: OIDCClient, config: JWTConfig, role: JWTRole, role_name: str, asked: LoginRequest
    ) -> dict[str, str]:
        with self._devices.ask(asked.address):
            device = await client.authorize_device(_scopes(role))
        pending = self.states.begin(
            role_name,
            login_terms(role, config),
            client_nonce=hash_nonce(asked.client_nonce),
            address=asked.address,
            secret=device.device_code,
        )
        self._intervals.begin(pending.id, device.interval)
        answer = {
            "state": await self.states.close(pending),
            "poll_interval": _interval(role, device.interval),
        }
        if device.complete_uri:
            return answer | {"auth_url": device.complete_uri}
        return answer | {"auth_url": device.verification_uri, "user_code": device.user_code}


@contextmanager
def _login_failed() -> Iterator[None]:
    """Let the texts of refusals begin as the command line wants them."""
    try:
        yield
    except LoginError as error:
        raise LoginError(f"{FAILED} {say(error).public}", error.detail) from error


async def _verify_issuer(client: OIDCClient, arrived: CallbackData, *, is_required: bool) -> None:
    """Compare the issuer of a response with the provider's, before its code goes there."""
    with _login_failed():
        await client.verify_response_issuer(arrived.iss, is_required=is_required)


async def _exchange(client: OIDCClient, request: AuthorizationRequest, code: Secret) -> TokenSet:
    try:
        return await client.exchange(code, request)
    except LoginError as error:
        raise _exchange_failed(say(error)) from error


def _exchange_failed(error: LoginError) -> LoginError:
    quoted = error.public.replace("\\", "\\\\").replace('"', '\\"')
    text = f'{FAILED} Error exchanging oidc code: "Provider.Exchange: {quoted}".'
    return LoginError(text, error.detail)


def _verification_failed(error: LoginError) -> LoginError:
    return LoginError(f"Token verification failed. {error.public}", error.detail)


async def _verify(
    client: OIDCClient, request: AuthorizationRequest, id_token: Secret, checks: Checks
) -> Claims:
    try:
        return await client.verify_id_token(id_token, request, implicit=True, checks=checks)
    except LoginError as error:
        raise _verification_failed(say_of_id_token(error, is_implicit=True)) from error


def _verify_type(config: JWTConfig, arrived: CallbackData) -> None:
    """Check that a form brings what the provider was asked for, and nothing else.

    Raises:
        LoginError: it brings nothing, or another response type.
    """
    brought = {"code": bool(arrived.code), "id_token": bool(arrived.id_token)}
    if not any(brought.values()):
        raise LoginError("No code or id_token received.")
    for name, is_there in brought.items():
        if is_there and name != config.response_type:
            raise LoginError(
                f"This mount does not take a response with {name!r}: its response type is "
                f"{config.response_type!r}."
            )


def _request(pending: Pending, config: JWTConfig, role: JWTRole, *, state: str) -> AuthorizationRequest:
    from authkit.oidc import AuthorizationRequest

    return AuthorizationRequest(
        redirect_uri=pending.redirect_uri,
        state=state,
        nonce=pending.nonce,
        verifier=pending.verifier,
        scopes=_scopes(role),
        audiences=tuple(role.token_bounds["audiences"]),
        max_age=int(role.max_age.total_seconds()),
        created=pending.created,
        response_types=tuple(config.oidc_response_types) or ("code",),
        response_mode=config.oidc_response_mode,
    )


def _scopes(role: JWTRole) -> tuple[str, ...]:
    return tuple(role.oidc_scopes or ())


def _interval(role: JWTRole, of_provider: int) -> str:
    """Return how long a client waits before it asks again, in seconds. Clients want a text."""
    return str(int(role.poll_interval.total_seconds()) or of_provider or DEFAULT_SECONDS)


def _refusal_of_provider(arrived: CallbackData) -> LoginError:
    """Return what a client is told when the provider sent an error. Its words are for the log alone."""
    from authkit.oidc import known_code

    code = known_code(arrived.error)
    detail = f"the provider said {arrived.error[:100]!r}: {arrived.error_description[:500]!r}"
    if code != "unknown_error":
        return LoginError(f"{FAILED} {code}", detail)
    text = "An unknown error occurred during OIDC authentication. Check server logs for details"
    return LoginError(f"{FAILED} {text}", detail)
