"""`static-roles/`, `static-creds/` and `rotate-role/`: existing users, whose passwords are rotated."""

from __future__ import annotations

from typing import Any

from authkit.database import CredentialType, PasswordChange
from authkit.errors import UserError
from authkit.framework import KV, Collection, Str, StrList, Write, field
from authkit.host.backends.database.errors import EngineError
from authkit.host.backends.database.open_connections import call_plugin
from authkit.host.backends.database.roles import Role, Roles, read_credential_type
from authkit.masking import Secret
from authkit.secrets import RotateCall, RotatedRole, rotated

__all__ = ["StaticRole", "StaticRoles"]


class StaticRole(RotatedRole):
    """An existing user, and how often its password is changed."""

    db_name: Str = field(missing="database name is a required field", help="The connection.")
    username: Str = field(missing="username is a required field to create a static account", help="The user.")
    rotation_statements: StrList = field(default=(), help="What changes its password.")
    credential_type: Str = field(default="password", help="password.")
    credential_config: KV = field(default={}, help="password_policy.")

    @property
    def password_policy(self) -> str:
        """The host's policy of its passwords."""
        return self.credential_config.get("password_policy", "")

    def check(self) -> None:
        """Refuse types of credentials that are not passwords."""
        if read_credential_type(self.credential_type) is not CredentialType.PASSWORD:
            raise UserError("this host changes no keys of static roles")

    def read_shape(self) -> dict[str, Any]:
        """Return what a read shows: optional fields only if they are set."""
        shown = super().read_shape()
        optional = {"credential_config", *RotatedRole.schema}
        shown = {name: each for name, each in shown.items() if each or name not in optional}
        return shown | {"skip_import_rotation": False}


class StaticRoles(Roles):
    """Static roles, in addition to roles."""

    static_roles = Collection(StaticRole, "static-roles/{name}", lower_names=False, seal_wrap=True)

    @Roles.roles.on_write
    async def verify_no_static_role(self, write: Write[Role]) -> None:
        """Refuse the name of a static role."""
        await self._verify_free(f"static-roles/{write.name}", StaticRole)

    @static_roles.on_write
    async def verify_static_role(self, write: Write[StaticRole]) -> None:
        """Refuse the name of a role, another user than before, and a connection that is not for it."""
        await self._verify_free(f"roles/{write.name}", Role)
        if write.stored is not None and write.stored.username != write.new.username:
            raise UserError("cannot update static account username")
        (await self.get_config(write.new.db_name)).verify_allowed(write.name)

    async def _verify_free(self, key: str, model: type[Role] | type[StaticRole]) -> None:
        if await self.objects.find(key, model) is not None:
            raise UserError("Role and Static Role names must be unique")

    @rotated(creds="static-creds/{name}", rotate="rotate-role/{name}", shows=("username",))
    async def set_password(self, call: RotateCall, role: StaticRole, password: Secret) -> None:
        """Change the password of a static role now."""
        config = await self.get_config(role.db_name)
        config.verify_allowed(call.role_name)
        opened = await self.open_connections.get(role.db_name, config)
        change = PasswordChange(username=role.username, password=password, commands=role.rotation_statements)
        try:
            await call_plugin("unable to update user", opened.connection.change_user(change))
        except EngineError as error:
            raise EngineError(f"error setting credentials: {error}") from error
