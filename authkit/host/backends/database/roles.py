"""`roles/` and `creds/`: users that are made for a lease, and deleted with it."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any, Final

from authkit.credentials import generate_password, make_rsa_key
from authkit.database import CredentialType, ExpirationChange, NewUser, UserDeletion
from authkit.errors import UserError
from authkit.framework import KV, Collection, Model, Seconds, Str, StrList, field
from authkit.host.backends.database.connections import Connections
from authkit.host.backends.database.errors import EngineError
from authkit.host.backends.database.open_connections import call_plugin
from authkit.host.backends.database.settings import ConnectionConfig
from authkit.masking import Secret
from authkit.secrets import CredsCall, Lease, Renewal, RenewCall, RevokeCall, credentials
from authkit.values import replace

__all__ = ["Role", "Roles", "read_credential_type"]

_ZERO: Final = timedelta(0)


class Role(Model):
    """What users of a role may do, and for how long."""

    db_name: Str = field(missing="database name is required", help="The connection.")
    creation_statements: StrList = field(default=(), help="What creates a user.")
    revocation_statements: StrList = field(default=(), help="What deletes a user.")
    rollback_statements: StrList = field(default=(), help="What undoes a creation that failed.")
    renew_statements: StrList = field(default=(), help="What lets a user live longer.")
    default_ttl: Seconds = field(default=_ZERO, help="Of a lease; by default the mount's.")
    max_ttl: Seconds = field(default=_ZERO, help="With all renewals; by default the mount's.")
    credential_type: Str = field(default="password", help="password or rsa_private_key.")
    credential_config: KV = field(default={}, help="password_policy; key_bits for keys.")

    def check(self) -> None:
        """Refuse types of credentials that this host does not make."""
        if read_credential_type(self.credential_type) is CredentialType.CLIENT_CERTIFICATE:
            raise UserError("this host makes no client certificates")
        self.key_bits  # noqa: B018 - raises

    @property
    def key_bits(self) -> int:
        """The size of a key."""
        text = self.credential_config.get("key_bits", "2048")
        if text not in ("2048", "3072", "4096"):
            raise UserError(f"credential_config validation failed: invalid key_bits: {text}")
        return int(text)

    def read_shape(self) -> dict[str, Any]:
        """Return what a read shows."""
        shown = super().read_shape()
        if self.credential_type == CredentialType.RSA_PRIVATE_KEY:
            shown["credential_config"] = {"format": "pkcs8", "key_bits": self.key_bits}
        elif not shown["credential_config"]:
            del shown["credential_config"]
        return shown


class DatabaseUser(Model):
    """What is kept with a lease, to delete its user."""

    username: Str
    db_name: Str
    revocation_statements: StrList = ()


class Roles(Connections):
    """Roles, and the users that they make."""

    roles = Collection(Role, "roles/{name}", lower_names=False)

    @credentials("creds/{role}")
    async def create(self, call: CredsCall, role: Role) -> Lease:
        """Request credentials for a role."""
        config = await self.get_config(role.db_name)
        config.verify_allowed(call.role_name)
        if not config.supports(CredentialType(role.credential_type)):
            raise UserError(f'unsupported credential_type: "{role.credential_type}"')
        opened = await self.open_connections.get(role.db_name, config)
        user = NewUser(
            username="",
            password=Secret(""),
            display_name=call.display_name,
            role_name=call.role_name,
            credential_type=CredentialType(role.credential_type),
            expiration=await call.expires_at(ttl=role.default_ttl, max_ttl=role.max_ttl),
            commands=role.creation_statements,
            rollback_commands=role.rollback_statements,
        )
        user, data = await self._with_credential(user, role, config)
        username = await call_plugin("unable to create new user", opened.connection.create_user(user))
        kept = DatabaseUser(
            username=username, db_name=role.db_name, revocation_statements=role.revocation_statements
        )
        # Only now is the name known: the plugin makes it.
        try:
            await call.keep(kept)
        except BaseException:
            await self._delete(kept, role)
            raise
        return Lease(data=data | {"username": username}, ttl=role.default_ttl, max_ttl=role.max_ttl)

    async def _with_credential(
        self, user: NewUser, role: Role, config: ConnectionConfig
    ) -> tuple[NewUser, dict[str, Any]]:
        """Return the user with a new credential, and what its client gets of that."""
        if user.credential_type is CredentialType.RSA_PRIVATE_KEY:
            pair = await asyncio.to_thread(make_rsa_key, role.key_bits)
            return replace(user, public_key=pair.public_key), {"rsa_private_key": pair.private_key}
        policy = role.credential_config.get("password_policy") or config.password_policy
        password = await generate_password(self.system, policy)
        return replace(user, password=password), {"password": password}

    @create.renew
    async def extend(self, call: RenewCall, user: DatabaseUser, role: Role | None) -> Renewal:
        """Let the user live longer."""
        if role is None:
            name = json.dumps(call.role_name, ensure_ascii=False)
            raise EngineError(f"error during renew: could not find role with name {name}")
        opened = await self.connect(role.db_name)
        change = ExpirationChange(
            username=user.username,
            expiration=await call.expires_at(ttl=role.default_ttl, max_ttl=role.max_ttl),
            commands=role.renew_statements,
        )
        await call_plugin("unable to update user", opened.connection.change_user(change))
        return Renewal(ttl=role.default_ttl, max_ttl=role.max_ttl)

    @create.revoke
    async def remove(self, call: RevokeCall, user: DatabaseUser, role: Role | None) -> None:
        """Delete the user, with the statements of the role, or those of the lease if the role is gone."""
        await self._delete(user, role)

    async def _delete(self, user: DatabaseUser, role: Role | None) -> None:
        current = role or user
        opened = await self.connect(current.db_name)
        deletion = UserDeletion(username=user.username, commands=current.revocation_statements)
        await call_plugin("unable to delete user", opened.connection.delete_user(deletion))


def read_credential_type(text: str) -> CredentialType:
    """Return the type of credential that a role names.

    Raises:
        UserError: no type has this name.
    """
    try:
        return CredentialType(text)
    except ValueError:
        raise UserError(f'invalid credential_type "{text}"') from None
