"""Why a server does not answer, in one line: not the chain of texts of the HTTP library."""

from __future__ import annotations

import socket
import ssl

__all__ = ["explain_unreachable"]


def explain_unreachable(address: str, error: Exception) -> str:
    """Return what failed between this machine and the server, and what to check.

    `error` is what an HTTP library has raised; the error of the operating system or of TLS is below it.
    """
    cause = _innermost(error)
    return f"cannot ask {address}: {_reason(cause)}. {_advice(cause)}"


def _innermost(error: BaseException) -> BaseException:
    # urllib3 has some causes only as arguments: it wraps them without raising from them.
    inside = (each for each in error.args if isinstance(each, BaseException))
    below = error.__cause__ or error.__context__ or next(inside, None)
    return error if below is None else _innermost(below)


def _reason(cause: BaseException) -> str:
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({cause.verify_message})"
    if isinstance(cause, TimeoutError):
        return "no answer in time"
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    return str(cause) or type(cause).__name__


def _advice(cause: BaseException) -> str:
    if isinstance(cause, ssl.SSLCertVerificationError):
        return "Set VAULT_CACERT or BAO_CACERT to the file of its authority; check the name in the address"
    if isinstance(cause, ssl.SSLError):
        return "Check that VAULT_ADDR or BAO_ADDR has the right scheme: https:// for a listener with TLS"
    if isinstance(cause, socket.gaierror):
        return "Check the name in VAULT_ADDR or BAO_ADDR"
    return "Check that the server runs, and that VAULT_ADDR or BAO_ADDR is its address"
