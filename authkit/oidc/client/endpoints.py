"""One request to an OAuth endpoint and what comes back: an answer, or an error with OAuth's code.

The requests of a login: `authkit.oidc.client.client`. Nothing is sent twice and no redirect is
followed: these requests carry codes, secrets and tokens. What a provider says in words goes to the
log, quoted and cut; a caller reads codes that are known here, and status numbers.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import urlencode

from authkit.errors import LoginError
from authkit.masking import Secret, mask_text
from authkit.oidc.http.client import HTTPClient, HTTPResponse, check_token, describe_status
from authkit.oidc.http.errors import FetchError, ProviderError
from authkit.oidc.http.network import Network
from authkit.oidc.tokens.jws import STRICT_READER
from authkit.printable import quote

__all__ = ["OAUTH_CODES", "EndpointError", "Endpoints", "OAuthError", "known_code", "quote_briefly"]

REQUEST_TIMEOUT = 10.0
"""Seconds for a request with its answer: somebody waits in front of a browser."""

MAX_ANSWER_BYTES = 256 * 1024
"""The largest answer: token answers with big ID tokens stay below 64 KiB."""

MAX_SHOWN_CHARACTERS = 200
"""How much of what a provider says an operator reads."""

OAUTH_CODES = frozenset(
    {
        # RFC 6749 sections 4.1.2.1 and 5.2.
        "invalid_request",
        "unauthorized_client",
        "access_denied",
        "unsupported_response_type",
        "invalid_scope",
        "server_error",
        "temporarily_unavailable",
        "invalid_client",
        "invalid_grant",
        "unsupported_grant_type",
        # RFC 8628 section 3.5.
        "authorization_pending",
        "slow_down",
        "expired_token",
        # OpenID Connect Core 1.0 section 3.1.2.6.
        "interaction_required",
        "login_required",
        "account_selection_required",
        "consent_required",
        "invalid_request_uri",
        "invalid_request_object",
        "request_not_supported",
        "request_uri_not_supported",
        "registration_not_supported",
    }
)
"""The error codes that are safe to show to strangers."""


class EndpointError(LoginError, ProviderError):
    """A login failed because an endpoint of its provider could not be used, or did not do as asked.

    `public` holds nothing of the provider but a status or a code; `detail` is for the log.
    """


class OAuthError(EndpointError):
    """The provider refused. `code` is one of `OAUTH_CODES`, or `unknown_error`."""

    def __init__(
        self,
        code: str,
        public: str = "",
        detail: str = "",
        *,
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        text = public or f"the provider refuses: {quote(code)}"
        super().__init__(text, detail, code=code, facts=facts)


def known_code(code: str) -> str:
    """Return the code in lower case if it is one of `OAUTH_CODES`, `unknown_error` for any other text."""
    found = code.lower()
    return found if found in OAUTH_CODES else "unknown_error"


class Endpoints:
    """Requests to the endpoints of one provider, each made once, over a connection of its own.

    No more than `authkit.oidc.http.client.MAX_SESSIONS` are made at once; `TooManyRequestsError`
    is raised for further ones.
    """

    def __init__(self, network: Network) -> None:
        self._client = HTTPClient(network, max_bytes=MAX_ANSWER_BYTES, timeout=REQUEST_TIMEOUT)

    async def post(self, url: str, headers: Mapping[str, str], form: Mapping[str, str]) -> dict[str, Any]:
        """Return the object that the endpoint answers to a form with.

        Raises:
            OAuthError: it refuses, and says why.
            EndpointError: it does not answer in time, or with something else.
        """
        headers = {"Content-Type": "application/x-www-form-urlencoded", **headers}
        response = await self._send("POST", url, headers, urlencode(form).encode())
        try:
            content = STRICT_READER.read_object(response.body)
        except ValueError as error:
            raise EndpointError(*_describe(response, str(error))) from None
        if "error" in content:
            raise _refusal(content, response.sent_secrets)
        if response.status not in (200, 201):
            raise EndpointError(*_describe(response, "it holds no error code"))
        return content

    async def get(self, url: str, token: Secret) -> HTTPResponse:
        """Return what the endpoint answers to this bearer token with status 200.

        Raises:
            EndpointError: it does not.
        """
        try:
            headers = {"Accept": "application/json, application/jwt"}
            headers["Authorization"] = f"Bearer {check_token(token.reveal())}"
        except ValueError as error:
            raise EndpointError("the access token cannot be sent", str(error)) from None
        response = await self._send("GET", url, headers, None)
        if response.status != 200:
            raise EndpointError(*_describe(response))
        return response

    async def _send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None
    ) -> HTTPResponse:
        try:
            async with self._client.session(url) as session:
                return await session.send(method, url, headers, body)
        except FetchError as error:
            raise EndpointError(error.public, error.detail) from error


def quote_briefly(value: object, sent: Collection[str] = ()) -> str:
    """Return what a stranger said, quoted, without secrets that were `sent` there, and cut when long."""
    text = mask_text(value, sent) if isinstance(value, str) else repr(type(value).__name__)
    return quote(text if len(text) <= MAX_SHOWN_CHARACTERS else text[:MAX_SHOWN_CHARACTERS] + "...")


def _refusal(content: Mapping[str, Any], sent: Collection[str]) -> OAuthError:
    code = content["error"]
    detail = f"the provider says {quote_briefly(code, sent)}"
    if "error_description" in content:
        detail += f": {quote_briefly(content['error_description'], sent)}"
    return OAuthError(known_code(code) if isinstance(code, str) else "unknown_error", detail=detail)


def _describe(response: HTTPResponse, reason: str = "") -> tuple[str, str]:
    """Return the texts for an answer that is no use. The body of a success may hold tokens."""
    public = describe_status(response.status)
    if response.status < 400:
        return f"{public}, but no usable answer", reason
    said = quote_briefly(response.excerpt())
    return public, f"{reason}: {said}" if reason else said
