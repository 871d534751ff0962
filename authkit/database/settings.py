"""The settings of a connection: what an operator writes to `database/config/<name>`."""

from __future__ import annotations

import re
from functools import cached_property
from typing import Any, Final

from authkit.credentials import fill_url
from authkit.errors import UserError
from authkit.framework import Bool, Int, Model, Seconds, Str, field
from authkit.masking import Secret

__all__ = ["HIDDEN_NAMES", "DatabaseSettings", "SQLSettings"]

HIDDEN_NAMES: Final = frozenset({"password", "private_key", "service_account_json"})
"""The only keys whose values a host leaves out when it shows a connection (Vault 1.21,
builtin/logical/database/path_config_connection.go, connectionReadHandler)."""

DEFAULT_OPEN_CONNECTIONS: Final = 4
"""As the official SQL plugins (Vault SDK 0.21, database/helper/connutil/sql.go)."""


class DatabaseSettings(Model):
    """Settings that every connection has. Derive from it, and add your own.

    A host stores them and shows all but `password`, `private_key` and `service_account_json`: a `Secret`
    has one of these names.

    Raises:
        TypeError: at definition, a secret has a name that hosts show.
    """

    username_template: Str = field(default="", help="Template of user names; empty: that of the plugin.")
    max_open_connections: Int = field(
        default=DEFAULT_OPEN_CONNECTIONS,
        help="Connections to the database at once, and as many to end users; 0: the default.",
    )
    max_connection_lifetime: Seconds = field(
        default=0, help="After that long a connection is replaced; 0: never."
    )

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for name, declared in cls.schema.items():
            if declared.sensitive and name not in HIDDEN_NAMES:
                hidden = ", ".join(sorted(HIDDEN_NAMES))
                raise TypeError(f"{cls.__name__}.{name}: a server shows it; it hides only {hidden}")

    @property
    def open_connections(self) -> int:
        """How many connections may be open at once."""
        return self.max_open_connections if self.max_open_connections > 0 else DEFAULT_OPEN_CONNECTIONS


class SQLSettings(DatabaseSettings):
    """Settings of an SQL database that is reached by a URL, with the names of the official plugins."""

    connection_url: Str = field(
        missing="connection_url cannot be empty",
        help="URL, with {{username}} and {{password}} for the two fields.",
    )
    username: Str = field(default="", help="The user that creates the others.")
    password: Secret = field(default="", help="Its password.")
    disable_escaping: Bool = field(default=False, help="Put user name and password into the URL as they are.")

    def check(self) -> None:
        """Refuse a URL that is empty, and values that would be filled again."""
        if "{{" in self.username or "{{" in self.password.reveal():
            raise UserError("username and/or password cannot contain the template variables")

    @cached_property
    def url(self) -> Secret:
        """The URL with user name and password in it, escaped for a URL unless that is disabled."""
        values = {"username": self.username, "password": self.password.reveal()}
        if not self.disable_escaping:
            return Secret(fill_url(self.connection_url, values))
        # In one pass: what was filled in is not filled again.
        return Secret(_PLACEHOLDER.sub(lambda match: values[match[1]], self.connection_url))


_PLACEHOLDER: Final = re.compile(r"\{\{(username|password)\}\}")
