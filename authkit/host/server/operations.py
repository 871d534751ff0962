"""What an HTTP method asks for: the operation, the path and the data, as a Vault server sees them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from authkit.host.messages import Failure, HostRequest
from authkit.host.store.times import read_duration
from authkit.logical import Operation
from authkit.values import Value, field

__all__ = ["Asked", "parse_request", "wrap_ttl_of"]

_TRUE = ("1", "t", "T", "TRUE", "true", "True")
_FALSE = ("0", "f", "F", "FALSE", "false", "False")


class Asked(Value, frozen=True, kw_only=True):
    """A request in the server's terms (Vault 1.21, http/logical.go, buildLogicalRequestNoAuth)."""

    operation: Operation | None
    """`None`: a method that asks for nothing, such as `OPTIONS`."""
    path: str
    data: Mapping[str, Any] = field(default_factory=dict)
    has_data: bool = False


def parse_request(request: HostRequest) -> Asked:
    """Return what a request asks for.

    Raises:
        Failure: the method is unknown, or `list` is not a boolean.
    """
    query = _flatten(request.query)
    if request.method == "HELP" or "help" in request.query:
        data = {key: value for key, value in query.items() if key != "help"}
        return Asked(operation=Operation.HELP, path=request.path, data=data, has_data=bool(data))
    if request.method in ("POST", "PUT", "PATCH"):
        operation = Operation.PATCH if request.method == "PATCH" else Operation.UPDATE
        return Asked(
            operation=operation,
            path=request.path,
            data=request.body or {},
            has_data=request.body is not None,
        )
    if request.method == "LIST" or (request.method == "GET" and _is_list(query.pop("list", ""))):
        path = request.path if request.path.endswith("/") else f"{request.path}/"
        return Asked(operation=Operation.LIST, path=path, data=query, has_data=bool(query))
    operations = {
        "GET": Operation.READ,
        "DELETE": Operation.DELETE,
        "HEAD": Operation.HEADER,
        "OPTIONS": None,
    }
    if request.method not in operations:
        raise Failure(405)
    return Asked(operation=operations[request.method], path=request.path, data=query, has_data=bool(query))


def wrap_ttl_of(text: str) -> timedelta:
    """Return the wrapping TTL that a client asks for, zero for none.

    Raises:
        Failure: it is not a duration, or negative.
    """
    try:
        ttl = read_duration(text)
    except ValueError as error:
        raise Failure(400, f"error parsing X-Vault-Wrap-TTL header: {error}") from error
    if ttl < timedelta(0):
        raise Failure(400, "error parsing X-Vault-Wrap-TTL header: requested wrap ttl cannot be negative")
    return ttl


def _is_list(text: Any) -> bool:
    if text == "" or text in _FALSE:
        return False
    if text in _TRUE:
        return True
    raise Failure(400)


def _flatten(query: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    return {key: values[0] if len(values) == 1 else list(values) for key, values in query.items() if values}
