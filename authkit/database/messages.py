"""Messages of `dbplugin.v5` as values: what the host sends, checked, and what it gets back."""

from __future__ import annotations

from typing import Any

from authkit.database.instance import Change
from authkit.database.requests import (
    CredentialType,
    ExpirationChange,
    NewUser,
    PasswordChange,
    PublicKeyChange,
    UserDeletion,
)
from authkit.errors import RPCError, StatusCode, UserError
from authkit.masking import Secret
from authkit.wire.pb import database_pb2 as pb
from authkit.wire.well_known import decode_struct, decode_time

__all__ = [
    "CREDENTIAL_TYPES",
    "CREDENTIAL_TYPES_KEY",
    "decode_changes",
    "decode_deletion",
    "decode_new_user",
    "decode_settings",
    "encode_settings",
]

CREDENTIAL_TYPES = (
    CredentialType.PASSWORD,
    CredentialType.RSA_PRIVATE_KEY,
    CredentialType.CLIENT_CERTIFICATE,
)
"""By their number on the wire."""

CREDENTIAL_TYPES_KEY = "supported_credential_types"
"""In the answer to Initialize: the types that roles may have; without it passwords alone (Vault SDK 0.21,
database/dbplugin/v5/database.go)."""


def decode_settings(message: pb.InitializeRequest) -> dict[str, Any]:
    """Return the settings of a connection. A number without a fraction is an integer: see `Struct`."""
    return {
        name: int(value) if isinstance(value, float) and value.is_integer() else value
        for name, value in decode_struct(message.config_data).items()
    }


def encode_settings(message: pb.InitializeRequest, types: list[str]) -> bytes:
    """Return the answer to Initialize: what was sent, which the host stores, and the credential types."""
    answer = pb.InitializeResponse(config_data=message.config_data)
    if types == [CredentialType.PASSWORD]:
        answer.config_data.fields.pop(CREDENTIAL_TYPES_KEY, None)
    else:
        answer.config_data.update({CREDENTIAL_TYPES_KEY: types})
    return answer.SerializeToString()


def decode_new_user(message: pb.NewUserRequest) -> NewUser:
    """Return a user that has no name yet.

    Raises:
        RPCError: the message lacks a part.
        UserError: the credential is of a type that does not exist.
    """
    if not message.HasField("username_config"):
        raise RPCError(StatusCode.INVALID_ARGUMENT, "missing username config")
    user = NewUser(
        username="",
        display_name=message.username_config.display_name,
        role_name=message.username_config.role_name,
        credential_type=_credential_type(message.credential_type),
        password=Secret(message.password),
        public_key=message.public_key.decode("utf-8", "replace"),
        subject=message.subject,
        expiration=decode_time(message.expiration) if message.HasField("expiration") else None,
        commands=tuple(message.statements.Commands),
        rollback_commands=tuple(message.rollback_statements.Commands),
    )
    _verify_credential(user)
    return user


def _verify_credential(user: NewUser) -> None:
    """Refuse a user without its credential: to some databases it would be one that needs none."""
    credential = {
        CredentialType.PASSWORD: user.password.reveal(),
        CredentialType.RSA_PRIVATE_KEY: user.public_key,
        CredentialType.CLIENT_CERTIFICATE: user.subject,
    }
    if not credential[user.credential_type]:
        raise RPCError(StatusCode.INVALID_ARGUMENT, f"missing {user.credential_type.value} of the user")


def decode_changes(message: pb.UpdateUserRequest) -> list[Change]:
    """Return the changes to a user. An empty credential is no change, as for plugins in Go.

    Raises:
        RPCError: the message names no user, or no change.
        UserError: the user would change its own password.
    """
    if not message.username:
        raise RPCError(StatusCode.INVALID_ARGUMENT, "no username provided")
    if message.self_managed_password:
        raise UserError("this plugin changes no password as the user itself (self_managed_password)")
    changes: list[Change] = []
    if message.password.new_password:
        changes.append(
            PasswordChange(
                username=message.username,
                password=Secret(message.password.new_password),
                commands=tuple(message.password.statements.Commands),
            )
        )
    if message.public_key.new_public_key:
        changes.append(
            PublicKeyChange(
                username=message.username,
                public_key=message.public_key.new_public_key.decode("utf-8", "replace"),
                commands=tuple(message.public_key.statements.Commands),
            )
        )
    if message.HasField("expiration"):
        changes.append(
            ExpirationChange(
                username=message.username,
                expiration=decode_time(message.expiration.new_expiration),
                commands=tuple(message.expiration.statements.Commands),
            )
        )
    if not changes:
        raise RPCError(StatusCode.INVALID_ARGUMENT, "update user request has no changes")
    return changes


def decode_deletion(message: pb.DeleteUserRequest) -> UserDeletion:
    """Return the user to delete.

    Raises:
        RPCError: the message names no user.
    """
    if not message.username:
        raise RPCError(StatusCode.INVALID_ARGUMENT, "no username provided")
    return UserDeletion(username=message.username, commands=tuple(message.statements.Commands))


def _credential_type(number: int) -> CredentialType:
    if not 0 <= number < len(CREDENTIAL_TYPES):
        raise UserError(f"unknown credential type {number}")
    return CREDENTIAL_TYPES[number]
