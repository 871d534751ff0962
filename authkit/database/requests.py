"""What an author's methods are asked for: users to create, change and delete, and operators' statements."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from authkit.credentials import fill_placeholders, format_expiration, split_statements, verify_placeholders
from authkit.errors import UserError
from authkit.masking import Secret
from authkit.values import Value

__all__ = [
    "CredentialType",
    "ExpirationChange",
    "NewUser",
    "PasswordChange",
    "PublicKeyChange",
    "UserDeletion",
]


class CredentialType(StrEnum):
    """What a user proves its identity with, as roles name it (`credential_type`)."""

    PASSWORD = "password"  # noqa: S105
    RSA_PRIVATE_KEY = "rsa_private_key"
    CLIENT_CERTIFICATE = "client_certificate"


class _UserRequest(Value, frozen=True, kw_only=True):
    """One user, and what the operator has written for the occasion."""

    username: str
    commands: tuple[str, ...] = ()
    """The operator's statements as they were written: neither split nor filled. A database whose statements
    are not SQL reads them here."""

    unshown: ClassVar[tuple[str, ...]] = ("commands",)
    occasion: ClassVar[str]

    @property
    def placeholders(self) -> Mapping[str, str]:
        """Values that fill `{{name}}` and other placeholders of a statement, by name; secrets included."""
        return {"name": self.username, "username": self.username}

    def statements(self, *, default: Collection[str] = ()) -> tuple[str, ...]:
        """Return the statements to run, in order, with placeholders filled.

        `default` is used, and filled as well, where the operator has written none.

        Raises:
            UserError: there are none, nor a default; or one has an unknown placeholder, which would make or
                drop a user of that name.
            InternalError: a value may not stand in a statement, because it has a character that could end a
                quoted text.
        """
        statements = split_statements(self.commands) or list(default)
        if not statements:
            raise UserError(f"empty {self.occasion} statements")
        values = self.placeholders
        verify_placeholders(statements, values)
        return tuple(fill_placeholders(statement, values) for statement in statements)


class NewUser(_UserRequest, frozen=True, kw_only=True):
    """A user to create. Its name was made by the operator's template, or by that of the class."""

    display_name: str = ""
    """Of the token that asks. Strangers may choose it."""
    role_name: str = ""
    """The role that the credentials are for."""
    credential_type: CredentialType = CredentialType.PASSWORD
    """One of the class's `credential_types`."""
    password: Secret
    """Set by the host; empty if the credential is another one."""
    public_key: str = ""
    """PEM of a PKIX public key, if the credential is an RSA key."""
    subject: str = ""
    """Distinguished name, if the credential is a client certificate."""
    expiration: datetime | None = None
    """When the lease ends, with some slack. In UTC."""
    rollback_commands: tuple[str, ...] = ()
    """As `commands`. The layer hands them to `delete_user` when creating has failed half-way."""

    unshown: ClassVar = ("commands", "rollback_commands", "password")
    occasion: ClassVar = "creation"

    @property
    def placeholders(self) -> Mapping[str, str]:
        """`name`, `username`, `password`, `expiration`, `public_key` and `subject`.

        A user with a key or a certificate has no `password`: an empty one would let everybody in.
        """
        has_password = self.credential_type is CredentialType.PASSWORD
        return {
            **super().placeholders,
            **({"password": self.password.reveal()} if has_password else {}),
            "public_key": self.public_key,
            "subject": self.subject,
            "expiration": _time_text(self.expiration),
        }


class PasswordChange(_UserRequest, frozen=True, kw_only=True):
    """Another password for a user: of a static role, or the connection's own. May be asked for twice."""

    password: Secret
    """Set by the host."""

    unshown: ClassVar = ("commands", "password")
    occasion: ClassVar = "rotation"

    @property
    def placeholders(self) -> Mapping[str, str]:
        """`name`, `username` and `password`."""
        return {**super().placeholders, "password": self.password.reveal()}


class PublicKeyChange(_UserRequest, frozen=True, kw_only=True):
    """Another public key for a user."""

    public_key: str
    """PEM of a PKIX public key."""

    occasion: ClassVar = "rotation"

    @property
    def placeholders(self) -> Mapping[str, str]:
        """`name`, `username` and `public_key`."""
        return {**super().placeholders, "public_key": self.public_key}


class ExpirationChange(_UserRequest, frozen=True, kw_only=True):
    """Another end for a user, because its lease was renewed."""

    expiration: datetime | None
    """When the lease ends, with some slack. In UTC."""

    occasion: ClassVar = "renewal"

    @property
    def placeholders(self) -> Mapping[str, str]:
        """`name`, `username` and `expiration`."""
        return {**super().placeholders, "expiration": _time_text(self.expiration)}


class UserDeletion(_UserRequest, frozen=True, kw_only=True):
    """A user to delete. It may be gone already, which is success."""

    occasion: ClassVar = "revocation"


def _time_text(moment: datetime | None) -> str:
    return "" if moment is None else format_expiration(moment)
