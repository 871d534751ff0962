"""What operators write. The names of the fields are those of the server's own database engine."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Final, Literal

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

from authkit import Bool, Int, Model, Seconds, Secret, Str, StrList, UserError, field
from authkit.credentials import (
    UsernameTemplate,
    fill_url,
    make_default_template,
    split_statements,
    verify_placeholders,
)
from authkit.secrets import RotatedRole

__all__ = ["DatabaseConfig", "PostgresCredential", "PostgresUser", "StaticRole", "UserRole"]

MAX_NAME: Final = 63
"""Bytes of a name in PostgreSQL (documentation, 4.1.1, NAMEDATALEN)."""

DEFAULT_TEMPLATE: Final = make_default_template(max_length=MAX_NAME)
_USER: Final = re.compile(r"[^:/?@]*(:(\{\{password\}\})?)?")
"""What stands before the `@` of a URL."""
_SECRETS: Final = frozenset({"sslpassword", "scram_client_key", "scram_server_key", "oauth_client_secret"})
"""Parameters of a URL besides its password that are secrets (libpq 18, documentation, 32.1.2)."""
PLACEHOLDERS: Final = ("name", "username", "password", "expiration")


class DatabaseConfig(Model):
    """How the engine reaches the database."""

    connection_url: Str = field(
        help="Such as postgresql://{{username}}:{{password}}@db.example.com:5432/app?sslmode=verify-full.",
        required=True,
    )
    username: Str = field(help="The user that creates the others: it needs CREATEROLE.", required=True)
    password: Secret = field(help="Its password; rotate-root replaces it.", goes_to=["connection_url"])
    password_authentication: Literal["password", "scram-sha-256"] = field(
        default="scram-sha-256", help="Whether the engine hashes the passwords that it sets by itself."
    )
    username_template: Str = field(
        default=DEFAULT_TEMPLATE, help="A Go template with .DisplayName and .RoleName."
    )
    password_policy: Str = field(default="", help="A password policy of the server; empty: 20 characters.")
    max_open_connections: Int = field(
        default=4, help="At most that many connections, 1 to 100, and as many that end users."
    )
    verify_connection: Bool = field(default=True, help="Whether a write of this object connects.")
    root_rotation_statements: StrList = field(default=(), help="Default: ALTER ROLE ... PASSWORD.")

    @property
    def hashes_passwords(self) -> bool:
        """Whether passwords are hashed before they are sent."""
        return self.password_authentication == "scram-sha-256"  # noqa: S105 - a method, no password

    def check(self) -> None:
        """Refuse what cannot work."""
        if not 1 <= self.max_open_connections <= 100:
            raise UserError("max_open_connections is 1 to 100")
        if not self.connection_url.startswith(("postgresql://", "postgres://")):
            # In key=value form the encoded password would not be decoded.
            raise UserError("connection_url begins with postgresql://")
        if _has_password(self.connection_url):
            # It would be shown to whoever reads config, and in errors.
            raise UserError(
                "connection_url has a password: write {{password}} there, and the field password; "
                "any other @ is written as %40"
            )
        if "{{" in self.username:
            raise UserError("username holds a placeholder")
        if not UsernameTemplate(self.username_template).is_unique():
            raise UserError(
                "username_template needs random 8 or uuid: a second user would have the name of the first"
            )
        _verify_statements(self.root_rotation_statements)


class UserRole(Model):
    """What users of a role may do, and for how long."""

    creation_statements: StrList = field(help="SQL that creates the user {{name}}.", required=True)
    revocation_statements: StrList = field(default=(), help="Default: revoke all grants, and drop the user.")
    renew_statements: StrList = field(default=(), help="Default: ALTER ROLE ... VALID UNTIL.")
    rollback_statements: StrList = field(default=(), help="Run when a creation has failed, then revocation.")
    default_ttl: Seconds = field(default=timedelta(0), help="Default: that of the mount.")
    max_ttl: Seconds = field(default=timedelta(0), help="Default: that of the mount.")

    def check(self) -> None:
        """Refuse what cannot work."""
        if timedelta(0) < self.max_ttl < self.default_ttl:
            raise UserError("default_ttl cannot be greater than max_ttl")
        for statements in (
            self.creation_statements,
            self.revocation_statements,
            self.renew_statements,
            self.rollback_statements,
        ):
            _verify_statements(statements)


class StaticRole(RotatedRole):
    """A user that exists, whose password the engine changes."""

    username: Str = field(help="The user.", required=True, max_length=MAX_NAME)
    rotation_statements: StrList = field(default=(), help="Default: ALTER ROLE ... PASSWORD.")

    def check(self) -> None:
        """Refuse what cannot work."""
        _verify_statements(self.rotation_statements)


class PostgresUser(Model):
    """What is kept of a user to revoke it, also when its role is gone."""

    username: Str
    revocation_statements: StrList = ()
    rollback_statements: StrList = ()


class PostgresCredential(Model):
    """What a client gets of a user."""

    username: Str = field(help="The user's name.")
    password: Secret = field(help="Its password.")


def _has_password(url: str) -> bool:
    """Return whether a URL has a password of its own, or what was meant as one.

    A `/` or `@` in a password makes another part of it: psycopg reads the host in its place.

    Raises:
        UserError: the URL cannot be parsed.
    """
    user, _, _ = url.partition("://")[2].rpartition("@")
    try:
        parts = conninfo_to_dict(fill_url(url, {"username": "-", "password": "-"}))
    except ProgrammingError:
        raise UserError("connection_url cannot be parsed") from None
    is_port = set(str(parts.get("port", ""))) <= set("0123456789,")  # else what stood before a forgotten @
    has_other = parts.get("password", "-") != "-" or not _SECRETS.isdisjoint(parts)
    return not _USER.fullmatch(user) or not is_port or has_other


def _verify_statements(statements: tuple[str, ...]) -> None:
    verify_placeholders(split_statements(statements), PLACEHOLDERS)
