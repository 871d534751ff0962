"""Logins in a browser: how one begins, what comes back from the provider, and who it is in the end.

The protocol with the provider is `authkit.oidc`; what is between beginning and end, `jwt_auth.pending`; paths
and tokens, `jwt_auth.method`.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, ClassVar, Final

from authkit.auth import Identity, RenewCall
from authkit.errors import LoginError, TooManyRequestsError, UserError
from authkit.logical import Storage
from authkit.masking import Secret
from authkit.oidc import NO_RECORD, Checks, Claims
from authkit.values import Value, replace
from jwt_auth.config import JWTConfig
from jwt_auth.login import identify
from jwt_auth.mount_keys import Keys, MountKeys
from jwt_auth.outcomes import Outcomes, PostedTokens
from jwt_auth.pending import Pending, Seal, Spent, hash_nonce
from jwt_auth.providers import Lookups
from jwt_auth.redirects import for_form_post, is_allowed, take_namespace
from jwt_auth.role import JWTRole

if TYPE_CHECKING:
    from authkit.oidc import AuthorizationRequest, OIDCClient, TokenSet
    from authkit.oidc.providers import Provider

__all__ = ["FAILED", "Arrived", "Begun", "BrowserLogins", "NotYet"]

FAILED: Final = f"{'OpenBao' if 'BAO_VERSION' in os.environ else 'Vault'} login failed."
"""How the texts begin that the server's own command line takes apart (vault-plugin-auth-jwt 0.26, cli.go, and
OpenBao's). OpenBao's servers alone set that variable."""

NO_CODE: Final = "no_code"
"""A code that says: what an earlier POST has brought is to be used."""

MAX_DEVICES_AT_ONCE: Final = 8
"""Logins on devices that begin at the same moment: each is a call to the provider, and anybody can
begin one."""

_log = logging.getLogger(__name__)


class NotYet(Exception):
    """A login has not ended: the text says whether to ask again as before, or less often."""


class Begun(Value, frozen=True, kw_only=True):
    """What a client asks for when a login begins."""

    redirect_uri: str
    client_nonce: str
    address: str
    """Where it asks from, empty when the host does not say."""


class Arrived(Value, frozen=True, kw_only=True):
    """What a browser brings back from the provider. A stranger may have made all of it up."""

    state: str
    code: Secret
    id_token: Secret
    error: str = ""
    error_description: str = ""

    unshown: ClassVar = ("state",)


class BrowserLogins:
    """The browser logins of one mount."""

    def __init__(self, storage: Storage) -> None:
        self.keys = MountKeys(storage)
        self.spent = Spent(storage)
        self.outcomes = Outcomes(storage)
        self.posted = PostedTokens(storage)
        self._made: tuple[Keys, Seal] | None = None
        self._beginning = 0
        self._asked: set[bytes] = set()

    async def seal(self) -> Seal:
        """Return what makes and opens states."""
        keys = await self.keys.get()
        if self._made is None or self._made[0] is not keys:
            self._made = keys, Seal(keys.sealing)
        return self._made[1]

    async def begin(
        self, client: OIDCClient, config: JWTConfig, role: JWTRole, role_name: str, asked: Begun
    ) -> dict[str, str]:
        """Return where to send the browser, empty where the role does not let it come back.

        Raises:
            ProviderError: the provider cannot be asked.
        """
        if role.callback_mode == "device":
            return await self._begin_device(client, role, role_name, asked)
        uri, namespace = asked.redirect_uri, ""
        if config.namespace_in_state:
            uri, namespace = take_namespace(uri)
        if not is_allowed(uri, role.allowed_redirect_uris or ()):
            _log.warning("unauthorized redirect_uri", extra={"kv": {"role": role_name, "redirect_uri": uri}})
            return {"auth_url": ""}
        if config.oidc_response_mode == "form_post":
            uri = for_form_post(uri)
        seal = await self.seal()
        pending = seal.begin(
            role_name,
            redirect_uri=uri,
            client_nonce=hash_nonce(asked.client_nonce),
            max_age=int(role.max_age.total_seconds()),
            mode=role.callback_mode,
            address=asked.address,
        )
        state = seal.close(pending)
        # A web interface takes the namespace off again before it comes back.
        carried = f"{state},ns={namespace}" if namespace else state
        request = _request(seal, pending, config, role, state=carried)
        answer = {"auth_url": await client.authorization_url(request)}
        if role.callback_mode == "direct":
            answer |= {"state": state, "poll_interval": _interval(role, 0)}
        return answer

    async def open(self, state: str) -> Pending:
        """Return the login that a state stands for.

        Raises:
            LoginError: it stands for none that may go on.
        """
        with _login_failed():
            return (await self.seal()).open(state.partition(",ns=")[0])

    async def forget_old(self) -> None:
        """Delete what is stored about logins that can go on no more."""
        for kept in (self.spent, self.outcomes, self.posted):
            await kept.forget()

    async def spoil(self, pending: Pending) -> None:
        """End the login of a client whose state came back with another's nonce."""
        with suppress(LoginError):
            await self.spent.spend(pending)
        self.outcomes.fail(pending, f"{FAILED} Expired or missing OAuth state.")

    async def outcome(self, pending: Pending) -> Identity:
        """Return who has logged in directly.

        Raises:
            NotYet: nobody yet.
            UserError: nobody, and nobody will; the text ends in its reference.
        """
        found = await self.outcomes.take(pending)
        if found is None:
            raise NotYet("authorization_pending")
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
        config: JWTConfig,
        provider: Provider | None,
        role: JWTRole,
        pending: Pending,
        arrived: Arrived,
        checks: Checks,
    ) -> Identity:
        """Return who has logged in at the provider.

        Raises:
            LoginError: nobody who may log in with this role.
        """
        if arrived.error:
            raise _refusal_of_provider(arrived)
        request = _request(await self.seal(), pending, config, role, state=arrived.state)
        code = pending.secret if arrived.code.reveal() in ("", NO_CODE) else arrived.code
        if code:
            tokens, claims = await _exchange(client, request, code, checks)
        elif id_token := arrived.id_token or await self.posted.take(pending):
            tokens, claims = None, await _verify(client, request, id_token, checks)
        else:
            raise LoginError(f"{FAILED} No code or id_token received.")
        identity = await self._identity(client, provider, role, pending.role, claims, tokens, checks)
        await self.spent.remember(pending)
        return identity

    async def keep_post(
        self, client: OIDCClient, config: JWTConfig, role: JWTRole, pending: Pending, arrived: Arrived
    ) -> str:
        """Return the state with which a client gets what a form has brought.

        A code is sealed into it. An ID token is stored, once it is known to be for this login: strangers can
        store nothing.

        Raises:
            LoginError: the provider has refused, or the ID token is none.
        """
        if arrived.error:
            raise _refusal_of_provider(arrived)
        if arrived.id_token:
            request = _request(await self.seal(), pending, config, role, state=arrived.state)
            await _verify(client, request, arrived.id_token, NO_RECORD)
            await self.posted.put(pending, arrived.id_token)
        if not arrived.code:
            return arrived.state
        return (await self.seal()).close(replace(pending, secret=arrived.code))

    async def poll_device(
        self,
        client: OIDCClient,
        provider: Provider | None,
        role: JWTRole,
        pending: Pending,
        checks: Checks,
    ) -> Identity:
        """Return who has logged in on another device.

        Raises:
            NotYet: nobody yet.
            LoginError: nobody who may log in with this role.
        """
        from authkit.oidc import OAuthError

        if pending.id in self._asked:
            raise NotYet("slow_down")
        self._asked.add(pending.id)
        try:
            tokens = await client.poll_device(pending.secret)
        except OAuthError as error:
            if error.code in ("authorization_pending", "slow_down"):
                raise NotYet(error.code) from error
            raise LoginError(f"authorization failed: {error.code}", error.detail) from error
        except TooManyRequestsError as error:
            raise NotYet("slow_down") from error
        finally:
            self._asked.discard(pending.id)
        await self.spend(pending, None)
        claims = await client.verify_id_token(
            tokens.id_token,
            None,
            access_token=tokens.access_token,
            audiences=role.bound_audiences or (),
            checks=checks,
        )
        identity = await self._identity(client, provider, role, pending.role, claims, tokens, checks)
        await self.spent.remember(pending)
        return identity

    async def _begin_device(
        self, client: OIDCClient, role: JWTRole, role_name: str, asked: Begun
    ) -> dict[str, str]:
        if self._beginning >= MAX_DEVICES_AT_ONCE:
            raise TooManyRequestsError("too many logins begin at this moment, try again")
        self._beginning += 1
        try:
            device = await client.authorize_device(_scopes(role))
        finally:
            self._beginning -= 1
        seal = await self.seal()
        pending = seal.begin(
            role_name,
            client_nonce=hash_nonce(asked.client_nonce),
            mode="device",
            address=asked.address,
            secret=device.device_code,
        )
        answer = {"state": seal.close(pending), "poll_interval": _interval(role, device.interval)}
        if device.complete_uri:
            return answer | {"auth_url": device.complete_uri}
        return answer | {"auth_url": device.verification_uri, "user_code": device.user_code}

    async def _identity(
        self,
        client: OIDCClient,
        provider: Provider | None,
        role: JWTRole,
        role_name: str,
        claims: Claims,
        tokens: TokenSet | None,
        checks: Checks,
    ) -> Identity:
        """Return who the claims name, after everything that the role asks for."""
        claims = {name: value for name, value in claims.items() if name != "nonce"}
        if role.bound_subject and claims.get("sub") != role.bound_subject:
            raise LoginError(f"{FAILED} sub claim does not match bound subject")
        if tokens is not None:
            claims = await _with_userinfo(client, tokens, claims)
        access_token = tokens.access_token if tokens is not None else Secret("")
        identity = await identify(claims, role, role_name, Lookups(provider, role, access_token), checks)
        if not role.renew_at_provider:
            return identity
        if tokens is None or tokens.refresh_token is None:
            raise LoginError(
                f"{FAILED} The provider sent no refresh token, which this role renews with.",
                "the role may need the scope offline_access",
            )
        return replace(identity, state=await self.keep_refresh_token(tokens.refresh_token, claims))

    async def renew(
        self, client: OIDCClient, provider: Provider | None, role: JWTRole, call: RenewCall
    ) -> tuple[Sequence[str], Mapping[str, str]]:
        """Return today's groups of somebody, and what is kept for the next renewal.

        Raises:
            LoginError: the provider does not renew, or they may not log in with this role any more.
        """
        seal = await self.seal()
        try:
            kept = seal.unhide(str(call.state.get("refresh", "")))
        except ValueError as error:
            raise LoginError("what is kept for it is not of this mount") from error
        tokens = await client.refresh(kept)
        tokens = replace(tokens, refresh_token=tokens.refresh_token or kept)
        claims: Claims = {"sub": call.state.get("sub", "")}
        if tokens.id_token:
            claims = await client.verify_id_token(
                tokens.id_token,
                None,
                access_token=tokens.access_token,
                subject=str(call.state.get("sub", "")),
                audiences=role.bound_audiences or (),
            )
        if not claims["sub"] or claims["sub"] != call.state.get("sub"):
            raise LoginError("the provider renewed somebody else")
        identity = await self._identity(client, provider, role, call.role_name, claims, tokens, NO_RECORD)
        if identity.name != call.name:
            raise LoginError("the name has changed")
        return identity.groups, await self.keep_refresh_token(tokens.refresh_token or kept, claims)

    async def keep_refresh_token(self, token: Secret, claims: Claims) -> dict[str, str]:
        """Return what is kept with a token of ours to renew it with: sealed, of use to this mount only."""
        return {"refresh": (await self.seal()).hide(token), "sub": str(claims.get("sub", ""))}


@contextmanager
def _login_failed() -> Iterator[None]:
    """Let the texts of refusals begin as the command line wants them."""
    try:
        yield
    except LoginError as error:
        raise LoginError(f"{FAILED} {error.public}", error.detail) from error


async def _exchange(
    client: OIDCClient, request: AuthorizationRequest, code: Secret, checks: Checks
) -> tuple[TokenSet, Claims]:
    try:
        tokens = await client.exchange(code, request)
        claims = await client.verify_id_token(
            tokens.id_token, request, access_token=tokens.access_token, code=code, checks=checks
        )
    except LoginError as error:
        quoted = error.public.replace("\\", "\\\\").replace('"', '\\"')
        text = f'{FAILED} Error exchanging oidc code: "Provider.Exchange: {quoted}".'
        raise LoginError(text, error.detail) from error
    return tokens, claims


async def _verify(
    client: OIDCClient, request: AuthorizationRequest, id_token: Secret, checks: Checks
) -> Claims:
    try:
        return await client.verify_id_token(id_token, request, implicit=True, checks=checks)
    except LoginError as error:
        raise LoginError(f"Token verification failed. {error.public}", error.detail) from error


async def _with_userinfo(client: OIDCClient, tokens: TokenSet, claims: Claims) -> Claims:
    """Return the claims with what the provider's userinfo adds; without it when that cannot be had."""
    try:
        return await client.add_userinfo(tokens.access_token, claims)
    except LoginError as error:
        _log.warning("no userinfo: %s", error.detail or error.public)
        return claims


def _request(
    seal: Seal, pending: Pending, config: JWTConfig, role: JWTRole, *, state: str
) -> AuthorizationRequest:
    from authkit.oidc import AuthorizationRequest

    return AuthorizationRequest(
        redirect_uri=pending.redirect_uri,
        state=state,
        nonce=seal.nonce(pending),
        verifier=seal.verifier(pending),
        scopes=_scopes(role),
        audiences=tuple(role.bound_audiences or ()),
        max_age=pending.max_age,
        created=pending.created,
        response_types=tuple(config.oidc_response_types) or ("code",),
        response_mode=config.oidc_response_mode,
    )


def _scopes(role: JWTRole) -> tuple[str, ...]:
    return tuple(role.oidc_scopes or ())


def _interval(role: JWTRole, of_provider: int) -> str:
    """Return how long a client waits before it asks again, in seconds. Clients want a text."""
    return str(int(role.poll_interval.total_seconds()) or of_provider or 5)


def _refusal_of_provider(arrived: Arrived) -> LoginError:
    """Return what a client is told when the provider sent an error. Its words are for the log alone."""
    from authkit.oidc import known_code

    code = known_code(arrived.error)
    detail = f"the provider said {arrived.error[:100]!r}: {arrived.error_description[:500]!r}"
    if code != "unknown_error":
        return LoginError(f"{FAILED} {code}", detail)
    text = "An unknown error occurred during OIDC authentication. Check server logs for details"
    return LoginError(f"{FAILED} {text}", detail)
