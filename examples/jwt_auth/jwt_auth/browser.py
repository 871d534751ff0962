"""Logins in a browser: how one begins, what comes back from the provider, and who it is in the end.

The protocol with the provider is `authkit.oidc`; what is between beginning and end, `jwt_auth.pending`; paths
and tokens, `jwt_auth.method`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, ClassVar, Final

from authkit.auth import Identity
from authkit.errors import LoginError, TooManyRequestsError, UserError
from authkit.logical import Connection, Storage
from authkit.masking import Secret
from authkit.oidc import NO_RECORD, Checks, Claims
from authkit.values import Value, replace
from jwt_auth.admission import admit, verify_role_type
from jwt_auth.config import JWTConfig
from jwt_auth.id_tokens import FAILED, IDTokenProof
from jwt_auth.mount_keys import Keys, MountKeys
from jwt_auth.outcomes import Outcomes, PostedTokens
from jwt_auth.pending import Pending, Seal, Spent, hash_nonce
from jwt_auth.redirects import is_allowed, take_namespace
from jwt_auth.renewals import Renewals
from jwt_auth.role import JWTRole

if TYPE_CHECKING:
    from authkit.oidc import AuthorizationRequest, OIDCClient, TokenSet
    from authkit.oidc.providers import Provider

__all__ = ["FAILED", "Arrived", "Begun", "BrowserLogins", "NotYet"]

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
        self.renewals = Renewals(storage, self._hide, self._unhide)
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
        try:
            verify_role_type(role, IDTokenProof.role_type)
        except LoginError as error:
            # The official plugin means this answer for such roles too (0.26, path_oidc.go, authURL).
            _log.warning("no login in a browser: %s", error.public, extra={"kv": {"role": role_name}})
            return {"auth_url": ""}
        if role.callback_mode == "device":
            return await self._begin_device(client, role, role_name, asked)
        uri, namespace = asked.redirect_uri, ""
        if config.namespace_in_state:
            uri, namespace = take_namespace(uri)
        if not is_allowed(uri, role.allowed_redirect_uris or ()):
            _log.warning("unauthorized redirect_uri", extra={"kv": {"role": role_name, "redirect_uri": uri}})
            return {"auth_url": ""}
        if config.oidc_response_mode == "form_post":
            uri = uri.replace("ui/vault", "v1", 1)
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
        connection: Connection | None,
    ) -> Identity:
        """Return who has logged in at the provider.

        Raises:
            LoginError: nobody who may log in with this role.
        """
        with _login_failed():
            verify_role_type(role, IDTokenProof.role_type)
        if arrived.error:
            raise _refusal_of_provider(arrived)
        request = _request(await self.seal(), pending, config, role, state=arrived.state)
        code = pending.secret if arrived.code.reveal() in ("", NO_CODE) else arrived.code
        if code:
            tokens = await _exchange(client, request, code)
            token, word = tokens.id_token, _exchange_failed
        elif id_token := arrived.id_token or await self.posted.take(pending):
            tokens, token, word = None, id_token, _verification_failed
        else:
            raise LoginError(f"{FAILED} No code or id_token received.")
        proof = IDTokenProof(
            self.renewals.at(client, provider, config),
            token,
            tokens=tokens,
            request=request,
            code=code or None,
            begun=pending.created,
            word=word,
        )
        identity = await admit(role, pending.role, proof, checks, connection=connection)
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
        config: JWTConfig,
        provider: Provider | None,
        role: JWTRole,
        pending: Pending,
        checks: Checks,
        connection: Connection | None,
    ) -> Identity:
        """Return who has logged in on another device.

        Raises:
            NotYet: nobody yet.
            LoginError: nobody who may log in with this role.
        """
        from authkit.oidc import OAuthError

        with _login_failed():
            verify_role_type(role, IDTokenProof.role_type)
        if pending.id in self._asked:
            raise NotYet("slow_down")
        self._asked.add(pending.id)
        try:
            tokens = await client.poll_device(pending.secret)
        except OAuthError as error:
            if error.code in ("authorization_pending", "slow_down"):
                raise NotYet(error.code) from error
            raise LoginError(f"authorization failed: {error.code}", error.detail) from error
        finally:
            self._asked.discard(pending.id)
        await self.spend(pending, None)
        at_provider = self.renewals.at(client, provider, config)
        proof = IDTokenProof(at_provider, tokens.id_token, tokens=tokens, begun=pending.created)
        identity = await admit(role, pending.role, proof, checks, connection=connection)
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

    async def _hide(self, token: Secret, context: str) -> str:
        return (await self.seal()).hide(token)

    async def _unhide(self, text: str, context: str) -> Secret:
        try:
            return (await self.seal()).unhide(text)
        except ValueError as error:
            raise LoginError("what is kept for it is not of this mount") from error


@contextmanager
def _login_failed() -> Iterator[None]:
    """Let the texts of refusals begin as the command line wants them."""
    try:
        yield
    except LoginError as error:
        raise LoginError(f"{FAILED} {error.public}", error.detail) from error


async def _exchange(client: OIDCClient, request: AuthorizationRequest, code: Secret) -> TokenSet:
    try:
        return await client.exchange(code, request)
    except LoginError as error:
        raise _exchange_failed(error) from error


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
        raise _verification_failed(error) from error


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
