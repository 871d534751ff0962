"""A client at one OpenID provider: logins in a browser or on a device, renewal, and userinfo.

The caller keeps the state of a login and decides who is let in. Requests: `authkit.oidc.client.endpoints`.
Checks of ID tokens: `authkit.oidc.tokens.id_token`. Userinfo: `authkit.oidc.client.userinfo`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from authkit.errors import LoginError, TokenError
from authkit.masking import Secret
from authkit.oidc.client.authentication import ClientAuthentication
from authkit.oidc.client.authorization_request import (
    REQUEST_SECONDS,
    AuthorizationRequest,
    build_authorization_url,
    join_scopes,
)
from authkit.oidc.client.endpoints import EndpointError, Endpoints, OAuthError, quote_briefly
from authkit.oidc.client.responses import (
    DeviceAuthorization,
    TokenSet,
    read_device,
    read_tokens,
    require_id_token,
)
from authkit.oidc.client.userinfo import merge_userinfo, read_userinfo
from authkit.oidc.http.errors import ProviderError
from authkit.oidc.keys.discovery import ProviderMetadata
from authkit.oidc.keys.key import ALGORITHMS
from authkit.oidc.keys.sources import DiscoveredKeys
from authkit.oidc.tokens.checks import NO_RECORD, Checks
from authkit.oidc.tokens.id_token import DEFAULT_ALGORITHMS, IDTokenRules, verify_id_token, verify_token_hash
from authkit.oidc.tokens.registered_claims import DEFAULT_LEEWAYS, Claims, Leeways
from authkit.printable import quote
from authkit.values import replace, verify_collections

__all__ = ["OIDCClient"]

DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
"""RFC 8628 section 3.4."""


class OIDCClient:
    """One client at one provider. For one event loop.

    Every failure is a `LoginError` with a text for the caller and a detail for the log.

    Args:
        keys: of the provider, with its metadata; closed with the client. Every request trusts what
            they trust.
        client_id: the name of the client at the provider.
        authentication: how it authenticates to the provider.
        algorithms: what ID tokens and userinfo may be signed with; `RS256` if empty.
        now: seconds since 1970.

    Raises:
        ValueError: there is no client id, or no such algorithm.
    """

    def __init__(
        self,
        keys: DiscoveredKeys,
        *,
        client_id: str,
        authentication: ClientAuthentication,
        algorithms: Collection[str] = (),
        now: Callable[[], float] = time.time,
    ) -> None:
        verify_collections(algorithms=algorithms)
        for algorithm in algorithms:
            if algorithm not in ALGORITHMS:
                raise ValueError(f"unsupported signing algorithm {quote(algorithm)}")
        if not client_id:
            raise ValueError("the client's id is empty")
        self.keys = keys
        self.client_id = client_id
        self._authentication = authentication
        self._algorithms = tuple(algorithms) or DEFAULT_ALGORITHMS
        self._endpoints = Endpoints(keys.network)
        self._now = now

    async def authorization_url(self, request: AuthorizationRequest) -> str:
        """Return where to send a browser to.

        Raises:
            EndpointError: the provider's metadata cannot be fetched, or name no such endpoint.
        """
        endpoint = (await self._metadata()).authorization_endpoint
        if not endpoint:
            text = "the provider has no authorization endpoint"
            raise EndpointError(text, code="no_authorization_endpoint")
        return build_authorization_url(endpoint, self.client_id, request)

    async def verify_response_issuer(self, issuer: str, *, is_required: bool) -> None:
        """Compare the `iss` of an authorization response with the provider's issuer (RFC 9207 section 2.4).

        A response of another provider, which shares the redirect URI, must not make its code go to this one.
        Call it before anything in the response is used.

        Args:
            issuer: as it came back with the browser; empty when nothing came.
            is_required: whether it has to be there when the provider announces it. False where something
                between browser and caller may have dropped it.

        Raises:
            TokenError: the response is of another issuer, or has none and needs one.
            EndpointError: the provider's metadata cannot be fetched.
        """
        metadata = await self._metadata()
        if issuer and issuer != metadata.issuer:
            raise TokenError(
                "the response is of another issuer (iss): invalid issuer",
                f"expected {quote(metadata.issuer)}, got {quote_briefly(issuer)}",
            )
        if not issuer and is_required and metadata.sends_issuer:
            raise TokenError("the response names no issuer (iss), which the provider always does")

    async def exchange(self, code: Secret | str, request: AuthorizationRequest) -> TokenSet:
        """Return the tokens for a code. It is sent once, whatever comes back.

        Raises:
            OAuthError: the provider refuses it.
            EndpointError: the provider cannot be asked, or answers with something else.
            LoginError: the request is of the implicit flow, or too old.
        """
        if request.is_implicit:
            raise LoginError("the request is of the implicit flow, which has no code", code="implicit_flow")
        if not self._now() < request.created + REQUEST_SECONDS - 1:
            raise LoginError("the request is too old", code="request_expired")
        code = code if isinstance(code, Secret) else Secret(code)
        form = {
            "grant_type": "authorization_code",
            "code": code.reveal(),
            "redirect_uri": request.redirect_uri,
            "code_verifier": request.verifier,
        }
        return require_id_token(await self._ask_for_tokens(form, "code"), "code")

    async def verify_id_token(
        self,
        id_token: Secret | str,
        request: AuthorizationRequest | None,
        *,
        access_token: Secret | None = None,
        code: Secret | str | None = None,
        subject: str = "",
        audiences: Collection[str] = (),
        profile: str = "any",
        leeways: Leeways = DEFAULT_LEEWAYS,
        implicit: bool = False,
        checks: Checks = NO_RECORD,
    ) -> Claims:
        """Return the claims of an ID token if it is for this client, and for this login.

        Args:
            request: of the login; `None` for a token that none led to, as of a device or a refresh:
                there is no nonce to compare then.
            access_token: what came with it, to compare with `at_hash`.
            code: what it was exchanged for, to compare with `c_hash`.
            subject: exactly the `sub` it must have; empty for any.
            audiences: one of which it must be for, where there is no request that names them; empty for
                the client's own.
            profile: the kind of token that it must be besides an ID token; see `PROFILES`.
            leeways: bounds on its dates besides those of every ID token; the default adds none.
            implicit: whether it came from the browser: its hashes are not looked at.

        Raises:
            TokenError: it is for another client or login, or not valid.
            KeySourceError: the keys of the provider cannot be set up.
            EndpointError: its metadata cannot be fetched.
        """
        verify_collections(audiences=audiences)
        rules = self._rules((await self._metadata()).issuer, request, subject, audiences)
        rules = replace(rules, profile=profile, leeways=leeways)
        token, claims = await verify_id_token(id_token, self.keys, rules, now=self._now(), checks=checks)
        if implicit:
            return claims
        if access_token is not None:
            verify_token_hash(token, claims, "at_hash", access_token, checks)
        if code is not None:
            code = code if isinstance(code, Secret) else Secret(code)
            verify_token_hash(token, claims, "c_hash", code, checks)
        return claims

    async def add_userinfo(self, access_token: Secret, claims: Claims) -> Claims:
        """Return verified claims with what the provider's userinfo adds; the same without such an endpoint.

        Raises:
            EndpointError: it cannot be fetched.
            TokenError: it is about somebody else, or not of this provider.
            KeySourceError: the keys of the provider cannot be set up.
        """
        metadata = await self._metadata()
        if not metadata.userinfo_endpoint:
            return claims
        with _prefixed("userinfo: "):
            response = await self._endpoints.get(metadata.userinfo_endpoint, access_token)
            userinfo = await read_userinfo(
                response, self.keys, client_id=self.client_id, algorithms=self._algorithms, now=self._now()
            )
            return merge_userinfo(claims, userinfo, metadata.issuer)

    async def refresh(self, refresh_token: Secret) -> TokenSet:
        """Return new tokens for a refresh token (RFC 6749 section 6). The old one may be void afterwards.

        Raises:
            OAuthError: the provider refuses it; `invalid_grant` if for good.
            EndpointError: the provider cannot be asked, or answers with something else.
        """
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token.reveal()}
        return await self._ask_for_tokens(form, "refresh_token")

    async def authorize_device(self, scopes: Sequence[str] = ()) -> DeviceAuthorization:
        """Begin a login on another device (RFC 8628 section 3.1).

        Raises:
            OAuthError: the provider refuses.
            EndpointError: it has no such endpoint, cannot be asked, or answers with something else.
        """
        verify_collections(scopes=scopes)
        metadata = await self._metadata()
        if not metadata.device_authorization_endpoint:
            text = "the provider has no device authorization endpoint"
            raise EndpointError(text, code="no_device_endpoint")
        form = {"scope": join_scopes(scopes)}
        content = await self._post(metadata, metadata.device_authorization_endpoint, form)
        try:
            return read_device(content)
        except ValueError as error:
            raise EndpointError("the provider's answer cannot be used", str(error)) from None

    async def poll_device(self, device_code: Secret) -> TokenSet:
        """Return the tokens of a login on another device once it has ended.

        Raises:
            OAuthError: not yet (`authorization_pending`, `slow_down`), or not at all.
            EndpointError: the provider cannot be asked, or answers with something else.
        """
        form = {"grant_type": DEVICE_GRANT, "device_code": device_code.reveal()}
        return require_id_token(await self._ask_for_tokens(form, "device_code"), "device_code")

    async def close(self) -> None:
        """Close the connections and stop the tasks of the keys. Safe to call more than once."""
        await self.keys.close()

    async def _metadata(self) -> ProviderMetadata:
        try:
            return await self.keys.metadata()
        except ProviderError as error:
            text = f"the provider's metadata cannot be had: {error.public}"
            facts = {"reason": error.public}
            raise EndpointError(text, error.detail, code="metadata_not_fetched", facts=facts) from error

    def _rules(
        self, issuer: str, request: AuthorizationRequest | None, subject: str, audiences: Collection[str]
    ) -> IDTokenRules:
        if isinstance(audiences, str):
            raise TypeError("audiences is a collection of names")
        rules = IDTokenRules(
            issuer=issuer,
            client_id=self.client_id,
            algorithms=self._algorithms,
            subject=subject,
            audiences=tuple(audiences),
        )
        if request is None:
            return rules
        return replace(
            rules,
            nonce=request.nonce,
            audiences=request.audiences or rules.audiences,
            max_age=request.max_age,
            requested_at=request.created,
        )

    async def _ask_for_tokens(self, form: Mapping[str, str], grant: str) -> TokenSet:
        metadata, facts = await self._metadata(), {"grant": grant}
        if not metadata.token_endpoint:
            text = "the provider has no token endpoint"
            raise EndpointError(text, code="no_token_endpoint", facts=facts)
        try:
            content = await self._post(metadata, metadata.token_endpoint, form)
        except OAuthError as error:
            raise OAuthError(error.code, detail=error.detail, facts=facts) from error
        except EndpointError as error:
            text = f"the provider gives no tokens: {error.public}"
            facts = {"grant": grant, "reason": error.public}
            raise EndpointError(text, error.detail, code="token_request_failed", facts=facts) from error
        return read_tokens(content, grant)

    async def _post(self, metadata: ProviderMetadata, url: str, form: Mapping[str, str]) -> dict[str, Any]:
        shown = self._authentication.credentials(self.client_id, metadata, self._now())
        try:
            return await self._endpoints.post(url, shown.headers, {**form, **shown.form})
        except OAuthError as error:
            if error.code == "invalid_client":
                self._authentication.note_refusal(shown, metadata)
            raise


@contextmanager
def _prefixed(prefix: str) -> Iterator[None]:
    """Put `prefix` before the texts of what is raised about a token or by an endpoint."""
    try:
        yield
    except OAuthError as error:
        raise OAuthError(error.code, prefix + error.public, error.detail) from error
    except (TokenError, EndpointError) as error:
        raise type(error)(prefix + error.public, error.detail) from error
