"""Users of a Redis or Valkey server, by its access control lists."""

from redis.asyncio import Redis
from redis.exceptions import RedisError

from authkit import Bool, Int, Secret, Str, UserError, field
from authkit.database import Database, DatabaseSettings, NewUser, PasswordChange, UserDeletion


class Settings(DatabaseSettings):
    """Where the server is, and the user that creates the others."""

    host: Str = field(help="Name or address of the server.")
    port: Int = field(default=6379, help="Its port.")
    username: Str = field(help="A user that may change access control lists.")
    password: Secret = field(help="Its password. It is never shown again.")
    tls: Bool = field(default=False, help="Connect with TLS.")


class RedisACL(Database[Settings, Redis], name="redis-acl", version="0.1.0"):
    """Create, change and delete users of Redis."""

    driver_errors = (RedisError,)

    async def connect(self) -> Redis:
        """Prepare a client. It connects when it is first used."""
        at, password = self.settings, self.settings.password.reveal()
        # Without attempts of its own: a broken connection is replaced.
        options = {"username": at.username, "password": password, "ssl": at.tls, "retry": None}
        return Redis(host=at.host, port=at.port, **options)

    async def ping(self, connection: Redis) -> None:
        """Ask the server for a sign of life."""
        await connection.ping()

    async def disconnect(self, connection: Redis) -> None:
        """Close the client."""
        await connection.aclose()

    async def create_user(self, connection: Redis, user: NewUser) -> None:
        """Create a user with the rules of the role; without any it reads all keys."""
        rules = user.statements(default=["~*", "+@read"])
        await set_user(connection, user.username, "reset", "on", f">{user.password.reveal()}", *rules)

    async def change_password(self, connection: Redis, change: PasswordChange) -> None:
        """Replace all passwords of a user that exists."""
        if await connection.acl_getuser(change.username) is None:
            raise UserError("there is no such user")
        await set_user(connection, change.username, "resetpass", f">{change.password.reveal()}")

    async def delete_user(self, connection: Redis, user: UserDeletion) -> None:
        """Delete a user and end its connections. One that is gone already is fine with Redis."""
        await connection.acl_deluser(user.username)


async def set_user(connection: Redis, *rules: str) -> None:
    """Create or change a user. Each rule is a word of its own to Redis: there is nothing to escape."""
    await connection.execute_command("ACL", "SETUSER", *rules)
