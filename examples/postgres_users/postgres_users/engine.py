"""The secrets engine: temporary users, static users, and the engine's own password."""

from __future__ import annotations

from authkit import Call, Collection, Secret, Singleton, UpstreamError, UserError, Write, cached
from authkit.credentials import (
    UsernameTemplate,
    generate_password,
    replace_unsafe,
    verify_password_policy,
)
from authkit.secrets import (
    CredsCall,
    Lease,
    Renewal,
    RenewCall,
    RevokeCall,
    RotateCall,
    SecretsEngine,
    credentials,
    root_rotation,
    rotated,
)
from postgres_users.database import Database
from postgres_users.settings import (
    DatabaseConfig,
    PostgresCredential,
    PostgresUser,
    StaticRole,
    UserRole,
)

__all__ = ["PostgresUsers"]


class PostgresUsers(SecretsEngine, name="postgres_users", version="0.2.0-dev"):
    """Users of a PostgreSQL database: temporary ones, and static ones whose password changes."""

    config = Singleton(DatabaseConfig, "config", seal_wrap=True)
    roles = Collection(UserRole, "roles/{name}")
    static_roles = Collection(StaticRole, "static-roles/{name}")

    @cached
    def database(self, config: DatabaseConfig) -> Database:
        """Connect, as long as the configuration is the same."""
        return Database(config)

    @cached
    def names(self, config: DatabaseConfig) -> UsernameTemplate:
        """Parse the template of names."""
        return UsernameTemplate(config.username_template)

    @config.on_write
    async def verify_config(self, write: Write[DatabaseConfig]) -> None:
        """Refuse a policy that makes no password, and a database that cannot be reached."""
        await verify_password_policy(self.system, write.new.password_policy)
        if write.new.verify_connection:
            await Database(write.new).verify()

    @credentials("creds/{role}", answer=PostgresCredential)
    async def create(self, call: CredsCall, config: DatabaseConfig, role: UserRole) -> Lease:
        """Create a user."""
        fields = {
            "display_name": replace_unsafe(call.display_name),
            "role_name": replace_unsafe(call.role_name),
        }
        username = self.names(config).make(**fields)
        if not self.names(config).is_unique(**fields):
            raise UserError("username_template cuts the random part off after your token's name")
        password = await generate_password(self.system, config.password_policy)
        expiration = await call.expires_at(ttl=role.default_ttl, max_ttl=role.max_ttl)
        # Else the statements would fail, and what is undone then is another one's user.
        await self.database(config).verify_new(username)
        await call.keep(
            PostgresUser(
                username=username,
                revocation_statements=role.revocation_statements,
                rollback_statements=role.rollback_statements,
            )
        )
        await self.database(config).run(
            role.creation_statements,
            username=username,
            password=password,
            expiration=expiration,
            what="create the user",
        )
        data = {"username": username, "password": password}
        return Lease(data=data, ttl=role.default_ttl, max_ttl=role.max_ttl)

    @create.renew
    async def extend(
        self, call: RenewCall, config: DatabaseConfig, user: PostgresUser, role: UserRole
    ) -> Renewal:
        """Let the user's password be valid for longer."""
        until = await call.expires_at(ttl=role.default_ttl, max_ttl=role.max_ttl)
        database = self.database(config)
        if role.renew_statements:
            what = "extend the user"
            await database.run(role.renew_statements, username=user.username, expiration=until, what=what)
        else:
            await database.extend(user.username, until)
        return Renewal(ttl=role.default_ttl, max_ttl=role.max_ttl)

    @create.revoke
    async def remove(
        self, call: RevokeCall, config: DatabaseConfig, user: PostgresUser, role: UserRole | None
    ) -> None:
        """Drop the user."""
        database, statements = self.database(config), role or user
        if call.is_rollback and statements.rollback_statements:
            await database.run(
                statements.rollback_statements,
                username=user.username,
                what="roll back the creation",
                is_end=True,
                may_be_missing=call.is_rollback,
            )
        if statements.revocation_statements:
            await database.run(
                statements.revocation_statements,
                username=user.username,
                what="revoke the user",
                is_end=True,
                may_be_missing=call.is_rollback,
            )
        else:
            await database.drop(user.username)

    @rotated(creds="static-creds/{name}", rotate="rotate-role/{name}", shows=("username",))
    async def set_password(
        self, call: RotateCall, config: DatabaseConfig, role: StaticRole, password: Secret
    ) -> None:
        """Change the password of a static role now."""
        if role.username == config.username:
            raise UserError("this is the user of config, whose password config/rotate-root changes")
        database = self.database(config)
        if role.rotation_statements:
            what = "set the password"
            await database.run(role.rotation_statements, username=role.username, password=password, what=what)
        else:
            await database.set_password(role.username, password)

    @root_rotation("config/rotate-root")
    async def rotate_root(self, call: Call, config: DatabaseConfig, password: Secret) -> None:
        """Change the engine's own password, so that nobody else knows it."""
        database = self.database(config)
        if config.root_rotation_statements:
            what = "set the password"
            await database.run(
                config.root_rotation_statements, username=config.username, password=password, what=what
            )
        else:
            await database.set_password(config.username, password)

    @rotate_root.check
    async def can_log_in(self, config: DatabaseConfig) -> bool:
        """Whether a configuration's password is valid."""
        try:
            await Database(config).verify()
        except UpstreamError:
            return False
        return True
