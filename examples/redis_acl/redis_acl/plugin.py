"""Users of a Redis or Valkey server, by its access control lists."""

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from authkit import Bool, Int, Secret, Str, UserError, field
from authkit.database import Database, DatabaseSettings, NewUser, PasswordChange, UserDeletion

ONCE = Retry(NoBackoff(), retries=0)  # authkit replaces broken connections


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
        at, value = self.settings, self.settings.password.reveal()
        return Redis(host=at.host, port=at.port, ssl=at.tls, username=at.username, password=value, retry=ONCE)

    async def ping(self, connection: Redis) -> None:
        """Ask the server for a sign of life."""
        await connection.ping()

    async def disconnect(self, connection: Redis) -> None:
        """Close the client."""
        await connection.aclose()

    async def create_user(self, connection: Redis, user: NewUser) -> None:
        """Create a user with the rules of the role; without any it reads all keys."""
        if await connection.acl_getuser(user.username) is not None:
            raise UserError("there is such a user already")  # Redis would give it another password
        rules = ["reset", "on", f">{user.password.reveal()}", *user.statements(default=["~*", "+@read"])]
        await connection.execute_command("ACL SETUSER", user.username, *rules)

    async def change_password(self, connection: Redis, change: PasswordChange) -> None:
        """Replace all passwords of a user that exists."""
        if await connection.acl_getuser(change.username) is None:
            raise UserError("there is no such user")
        rules = ["resetpass", f">{change.password.reveal()}"]
        await connection.execute_command("ACL SETUSER", change.username, *rules)

    async def delete_user(self, connection: Redis, user: UserDeletion) -> None:
        """Delete a user and end its connections. One that is gone already is fine with Redis."""
        await connection.acl_deluser(user.username)
