"""What a browser brings back from the provider, and the identity that comes of it.

The beginning of a login: see `jwt_auth.browser.logins`; the path: `jwt_auth.browser.paths.callback`; the
protocol with the provider: `authkit.oidc`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from authkit import Connection, Identity, LoginError, Model, Secret, Str, field
from authkit.oidc import NO_RECORD, Checks, Claims
from jwt_auth.admission.admit import admit, verify_role_type
from jwt_auth.admission.id_tokens import IDTokenProof
from jwt_auth.browser.pending import Pending, Spent
from jwt_auth.browser.posted import Posted
from jwt_auth.browser.renewals import Renewals
from jwt_auth.browser.requests import authorization_request
from jwt_auth.settings.config import JWTConfig
from jwt_auth.settings.role import JWTRole
from jwt_auth.texts.browser_logins import (
    exchange_failed,
    login_failed,
    refused_by_provider,
    verification_failed,
)
from jwt_auth.texts.words import say, say_of_id_token

if TYPE_CHECKING:
    from authkit.oidc import AuthorizationRequest, OIDCClient, TokenSet
    from jwt_auth.admission.trust import Trust

__all__ = ["CallbackData", "Callbacks"]

NO_CODE: Final = "no_code"
"""With this code the official plugin releases what an earlier POST has brought. Here it releases nothing."""


class CallbackData(Model):
    """What a browser brings back from the provider. All of it may be forged."""

    state: Str = ""
    code: Secret = field(default="", help="The code that the provider has sent.")
    id_token: Secret = field(default="", help="The ID token that the provider has sent.")
    client_nonce: Str = ""
    iss: Str = ""
    """Which provider it comes from (RFC 9207); empty when that does not say, or a client has dropped it."""
    error: Str = ""
    error_description: Str = ""


class Callbacks:
    """The ends of one mount's browser logins.

    Args:
        spent: keeps a login known that has ended well.
        posted: what forms bring.
        renewals: keeps what a renewal at the provider needs.
    """

    def __init__(self, spent: Spent, posted: Posted, renewals: Renewals) -> None:
        self._spent = spent
        self._posted = posted
        self._renewals = renewals

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
        with login_failed():
            verify_role_type(role, IDTokenProof.role_type)
        if arrived.error:
            raise refused_by_provider(arrived.error, arrived.error_description)
        request = authorization_request(pending, trust.config, role, state=arrived.state)
        code, id_token = await self._received(trust.config, pending, arrived)
        # The command line and web interfaces pass on the code and the state alone.
        is_straight = role.callback_mode == "direct"
        await _verify_issuer(client, arrived, is_required=is_straight)
        if code:
            tokens: TokenSet | None = (exchanged := await _exchange(client, request, code))
            token, describe = exchanged.id_token, exchange_failed
        else:
            tokens, token, describe = None, id_token, verification_failed
        proof = IDTokenProof(
            self._renewals.at(client, trust),
            token,
            tokens=tokens,
            request=request,
            code=code or None,
            begun=pending.created,
            describe=describe,
        )
        identity = await admit(role, pending.role, proof, checks, connection=connection)
        await self._spent.remember(pending)
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
            raise refused_by_provider(arrived.error, arrived.error_description)
        if arrived.client_nonce and not pending.is_from(arrived.client_nonce):
            raise LoginError("invalid client_nonce")
        is_of_client = bool(arrived.client_nonce and pending.client_nonce)
        with login_failed():
            _verify_type(config, arrived)
        await _verify_issuer(client, arrived, is_required=bool(arrived.code) and not is_of_client)
        with login_failed():
            if arrived.code:
                return "" if is_of_client else await self._posted.seal_code(pending, arrived.code)
        request = authorization_request(pending, config, role, state=arrived.state)
        await _verify(client, request, arrived.id_token, NO_RECORD)
        if not is_of_client:
            return await self._posted.keep_token(pending, arrived.id_token)
        await self._posted.keep_token_for(pending, arrived.id_token, arrived.client_nonce)
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
        with login_failed():
            if arrived.id_token:
                raise LoginError("An ID token is taken from a form only.")
            if config.response_type == "id_token":
                found = await self._posted.take_token(pending, text, arrived.client_nonce)
                if not found and text not in ("", NO_CODE):
                    raise LoginError("This mount does not take a code: its response type is 'id_token'.")
                code, id_token = nothing, found
            elif not config.is_form_post:
                code, id_token = nothing if text == NO_CODE else arrived.code, nothing
            else:
                code, id_token = await self._posted.open_code(pending, text), nothing
                if not code and text != NO_CODE and pending.client_nonce:
                    code = arrived.code
            if not (code or id_token):
                raise LoginError("No code or id_token received.")
        return code, id_token


async def _verify_issuer(client: OIDCClient, arrived: CallbackData, *, is_required: bool) -> None:
    """Compare the issuer of a response with the provider's, before its code goes there."""
    with login_failed():
        await client.verify_response_issuer(arrived.iss, is_required=is_required)


async def _exchange(client: OIDCClient, request: AuthorizationRequest, code: Secret) -> TokenSet:
    try:
        return await client.exchange(code, request)
    except LoginError as error:
        raise exchange_failed(say(error)) from error


async def _verify(
    client: OIDCClient, request: AuthorizationRequest, id_token: Secret, checks: Checks
) -> Claims:
    try:
        return await client.verify_id_token(id_token, request, implicit=True, checks=checks)
    except LoginError as error:
        raise verification_failed(say_of_id_token(error, is_implicit=True)) from error


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
