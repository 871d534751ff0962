"""The one call of protocol 4 to the server's HTTP API: a wrapping token for what it wraps.

The call is not repeated: the token would not work twice. It follows no redirect, sends no other token and no
namespace, and takes no proxy: the token goes to the server that made it, and to nobody else.
"""

from __future__ import annotations

import json
import logging
import ssl
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar

import httpx

from authkit.errors import HandshakeError
from authkit.wire.api_tls import APITLS
from authkit.wire.wrapping_token import WrappingToken

__all__ = ["unwrap"]

UNWRAP_SECONDS = 30.0
"""The token lives for a minute; the host that waits for us is the one that must answer."""
MAX_ANSWER_BYTES = 64 * 1024
"""A certificate and a key, wrapped into a few lines of JSON."""
_OTHER_NAME = (62, 64)
"""X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH (OpenSSL, x509_vfy.h)."""

E = TypeVar("E", bound=BaseException)

log = logging.getLogger(__name__)


def unwrap(token: WrappingToken, tls: APITLS) -> Mapping[str, Any]:
    """Exchange the token for the data that it wraps.

    Raises:
        HandshakeError: the server cannot be reached, is not the right one, or refuses the token; the error
            says what an operator can do, and shows neither the token nor what it wraps.
    """
    if tls.unverified_by:
        log.warning(
            "the certificate of %s is not verified, because of %s: whoever answers there gets the key of the "
            "connection between server and plugin. Use -ca-cert or -tls-server-name",
            token.shown_address,
            tls.unverified_by,
        )
    try:
        status, body = _send(token, tls)
    except (httpx.HTTPError, ValueError) as error:
        raise _failed(token, _explain(error)) from error
    if status != httpx.codes.OK:
        raise _failed(token, _explain_status(status, token))
    return _data_of(body, token)


def _send(token: WrappingToken, tls: APITLS) -> tuple[int, bytes]:
    headers = {"X-Vault-Token": token.token.reveal(), "X-Vault-Request": "true"}
    with (
        httpx.Client(verify=tls.context(), timeout=UNWRAP_SECONDS, trust_env=False) as client,
        client.stream(
            "PUT",
            f"{token.address}/v1/sys/wrapping/unwrap",
            headers=headers,
            content=b"null",
            extensions={"sni_hostname": tls.server_name} if tls.server_name else {},
        ) as response,
    ):
        return response.status_code, b"".join(_bounded(response.iter_bytes()))


def _bounded(chunks: Iterable[bytes]) -> Iterator[bytes]:
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > MAX_ANSWER_BYTES:
            raise ValueError("the answer is too long")
        yield chunk


def _data_of(body: bytes, token: WrappingToken) -> Mapping[str, Any]:
    try:
        data = json.loads(body)["data"]
    except (ValueError, KeyError, TypeError):
        data = None
    if not isinstance(data, Mapping):
        raise _failed(token, "the answer is not that of a Vault server: look at api_addr")
    return data


def _failed(token: WrappingToken, why: str) -> HandshakeError:
    return HandshakeError(f"cannot unwrap the certificate at {token.shown_address}: {why}")


def _explain(error: Exception) -> str:
    """Say what kept the call from being answered, and what to do."""
    refused = _find_cause(error, ssl.SSLCertVerificationError)
    if refused is not None:
        hint = "-tls-server-name" if refused.verify_code in _OTHER_NAME else "-ca-cert or -ca-path"
        text = refused.verify_message.rstrip(".")
        return f"its certificate is refused: {text}. Register the plugin with {hint}"
    failed = _find_cause(error, ssl.SSLError)
    if failed is not None:
        hint = (
            "" if "ALERT" not in (failed.reason or "") else ". Does it ask for -client-cert and -client-key?"
        )
        return f"TLS failed: {failed.reason or 'closed'}{hint}"
    if isinstance(error, httpx.TimeoutException):
        return f"no answer within {UNWRAP_SECONDS:.0f} seconds: look at api_addr"
    system = _find_cause(error, OSError)
    if system is not None:
        return f"{system.strerror or type(system).__name__}: api_addr must lead to this server from itself"
    return "the answer is too long" if type(error) is ValueError else type(error).__name__


def _find_cause(error: BaseException | None, kind: type[E]) -> E | None:
    while error is not None and not isinstance(error, kind):
        error = error.__cause__ or error.__context__
    return error


def _explain_status(status: int, token: WrappingToken) -> str:
    if status in (httpx.codes.BAD_REQUEST, httpx.codes.FORBIDDEN):
        if token.expires is not None and token.expires < time.time():
            return f"its token has expired (HTTP {status}): the plugin took too long to start"
        return (
            f"its token is not valid (HTTP {status}). It works once. If nothing of yours has used it, "
            "somebody else may have the key of this connection: look for sys/wrapping/unwrap in the audit log"
        )
    if httpx.codes.is_redirect(status):
        return f"it redirects (HTTP {status}): set api_addr to this server's own address"
    if status == httpx.codes.SERVICE_UNAVAILABLE:
        return f"it is sealed, or not in operation (HTTP {status})"
    return f"HTTP {status}"
