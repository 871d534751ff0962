"""What an author says of a lease, and what the host keeps of it for renewal and revocation.

A host keeps the answer, too, and sends it along, but nothing here reads that: it holds the credential itself,
and after a renewal it is whatever the renewal answered (Vault 1.21, vault/expiration.go).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar, Final

from authkit.errors import InternalError
from authkit.framework import Model
from authkit.logical import LeasedSecret, LeaseOptions, Response
from authkit.masking import Secret
from authkit.values import Value, replace, verify_collections

__all__ = ["ROLE_KEY", "Lease", "Renewal", "SecretRecord", "lease_response", "renewed_secret"]

SECRET_TYPE_KEY: Final = "secret_type"  # noqa: S105 - a name
"""By which an SDK finds what renews and revokes (Vault SDK 0.21, framework/secret.go)."""

ROLE_KEY: Final = "role"
KEPT_KEY: Final = "kept"

_ZERO: Final = timedelta(0)


class Lease(Value, frozen=True, kw_only=True):
    """A credential with a lifetime: what a handler of `@credentials` returns.

    Raises:
        TypeError: a lifetime is not a timedelta, the data has no names, or holds bytes or a set, which JSON
            has not, or `warnings` is one text.
        ValueError: a lifetime is negative, or `ttl` exceeds `max_ttl`.
    """

    data: Mapping[str, Any]
    """What the client gets. A `Secret` is sent as its text, in lists and mappings too."""
    ttl: timedelta = _ZERO
    """Zero: as the mount has it."""
    max_ttl: timedelta = _ZERO
    """With all renewals. Zero: as the mount has it."""
    renewable: bool = True
    """Without effect if nothing renews these credentials."""
    warnings: tuple[str, ...] = ()
    """For the client."""

    unshown: ClassVar = ("data",)

    def __post_init__(self) -> None:
        verify_collections(data=self.data, warnings=self.warnings)
        if not isinstance(self.data, Mapping):
            raise TypeError(f"data takes names with their values, not {type(self.data).__name__}")
        for name, value in self.data.items():
            _verify_json(name, value)
        _verify_lifetimes(self.ttl, self.max_ttl)


class Renewal(Value, frozen=True, kw_only=True):
    """A decision to renew: what a handler of `renew` returns. A refusal is raised.

    Only `max_ttl` bounds what a client asks for: an increment counts, not `ttl` (Vault 1.21,
    vault/expiration.go, Renew).

    Raises:
        TypeError: a lifetime is not a timedelta, or `warnings` is one text.
        ValueError: a lifetime is negative, or `ttl` exceeds `max_ttl`.
    """

    ttl: timedelta = _ZERO
    """From now on. Zero: as the mount has it."""
    max_ttl: timedelta = _ZERO
    """From the issue on. Zero: as the mount has it."""
    keep: Model | None = None
    """In place of what was kept for revocation; `None` leaves that alone."""
    warnings: tuple[str, ...] = ()
    """For the client."""

    def __post_init__(self) -> None:
        verify_collections(warnings=self.warnings)
        _verify_lifetimes(self.ttl, self.max_ttl)


class SecretRecord(Value, frozen=True, kw_only=True):
    """What is known of a credential without its lease: the internal data of `LeasedSecret`."""

    secret_type: str
    role: str = ""
    """The stored name of the role that it was made by; empty without one."""
    kept: Mapping[str, Any] | None = None
    """What the author keeps for revocation, as the model stores it; `None` if nothing."""

    unshown: ClassVar = ("kept",)

    @classmethod
    def read(cls, internal_data: Mapping[str, Any]) -> SecretRecord:
        """Return the record in the internal data of a lease, or in an entry of the write-ahead log.

        Raises:
            InternalError: it is nothing that `internal_data` wrote.
        """
        secret_type, role = internal_data.get(SECRET_TYPE_KEY), internal_data.get(ROLE_KEY, "")
        kept = internal_data.get(KEPT_KEY)
        if not isinstance(secret_type, str) or not isinstance(role, str):
            raise InternalError("secret type not found in the lease")
        if kept is not None and not isinstance(kept, Mapping):
            raise InternalError("what was kept with the lease cannot be read")
        return cls(secret_type=secret_type, role=role, kept=kept)

    def internal_data(self) -> dict[str, Any]:
        """Return what the host keeps."""
        return {SECRET_TYPE_KEY: self.secret_type, ROLE_KEY: self.role, KEPT_KEY: self.kept}

    def load(self, model: type[Model]) -> Model:
        """Return what the author keeps.

        Raises:
            InternalError: nothing was kept, or it is not what this model stores.
        """
        if self.kept is None:
            raise InternalError("nothing was kept with the lease")
        try:
            return model.from_stored(self.kept)
        except Exception as error:
            raise InternalError("what was kept with the lease cannot be read") from error


def lease_response(lease: Lease, record: SecretRecord, *, is_renewable: bool) -> Response:
    """Return the answer that makes a host keep a lease.

    Raises:
        InternalError: the data has the form of an error.
    """
    data = _revealed(lease.data)
    if Response(data=data).is_error:
        raise InternalError("data of this form would arrive as an error; raise UserError for one")
    options = LeaseOptions(ttl=lease.ttl, max_ttl=lease.max_ttl, renewable=is_renewable and lease.renewable)
    secret = LeasedSecret(lease=options, internal_data=record.internal_data())
    return Response(data=data, secret=secret, warnings=lease.warnings)


def renewed_secret(secret: LeasedSecret, renewal: Renewal) -> LeasedSecret:
    """Return a leased secret as it goes on: a host replaces all that it has by the answer."""
    lease = replace(secret.lease, ttl=renewal.ttl, max_ttl=renewal.max_ttl)
    internal_data = secret.internal_data
    if renewal.keep is not None:
        internal_data = {**internal_data, KEPT_KEY: renewal.keep.to_stored()}
    return replace(secret, lease=lease, internal_data=internal_data)


def _revealed(value: Any) -> Any:
    match value:
        case Secret():
            return value.reveal()
        case Mapping():
            return {name: _revealed(each) for name, each in value.items()}
        case list() | tuple():
            return [_revealed(each) for each in value]
        case _:
            return value


def _verify_json(name: str, value: Any) -> None:
    """Raise TypeError for what looks as if JSON had it. The text leaves out the value."""
    if isinstance(value, bytes | bytearray | set | frozenset):
        instead = (
            "text: decode it, or encode it as Base64" if isinstance(value, bytes | bytearray) else "a list"
        )
        raise TypeError(
            f"data[{name!r}] is {type(value).__name__}, which JSON does not have; it takes {instead}"
        )
    if isinstance(value, Mapping):
        value = value.values()
    elif not isinstance(value, list | tuple):
        return
    for each in value:
        _verify_json(name, each)


def _verify_lifetimes(ttl: timedelta, max_ttl: timedelta) -> None:
    for name, value in {"ttl": ttl, "max_ttl": max_ttl}.items():
        if not isinstance(value, timedelta):
            raise TypeError(f"{name} takes a timedelta, not {type(value).__name__}")
    if ttl < _ZERO or max_ttl < _ZERO:
        raise ValueError("a lifetime is not negative")
    if _ZERO < max_ttl < ttl:
        raise ValueError("ttl cannot be greater than max_ttl")
