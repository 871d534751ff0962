"""What an operator writes of a connection, and what is shown of it (Vault 1.21)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from authkit.database import CredentialType
from authkit.database.messages import CREDENTIAL_TYPES_KEY
from authkit.database.settings import HIDDEN_NAMES
from authkit.framework import Bool, CommaList, Map, Model, Str, StrList, field
from authkit.globs import matches_glob
from authkit.host.backends.database.errors import EngineError

__all__ = ["OWN_NAMES", "URL_WARNING", "ConnectionConfig", "ConnectionFields"]

URL_WARNING: Final = (
    "Password found in connection_url, use a templated url to enable root rotation and prevent read access "
    "to password information."
)

_ROTATION: Final = {
    "rotation_period": 0,
    "rotation_schedule": "",
    "rotation_window": 0,
    "disable_automated_rotation": False,
}
"""Of Vault Enterprise: shown, and refused in a write."""

_PASSWORD: Final = re.compile(r"(?<=://)([^/?#:@]*):(?!\{\{password\}\}@)([^/?#@]+)(?=@)")


class ConnectionFields(Model):
    """A connection to a database. All other fields are settings of its plugin."""

    plugin_name: Str = field(default="", help="The database plugin, as it is registered.")
    plugin_version: Str = field(default="", help="Its version; by default the newest one.")
    allowed_roles: CommaList = field(default=(), help="Names of roles, with `*` for any text.")
    verify_connection: Bool = field(default=True, help="Whether a write connects to the database.")
    root_rotation_statements: StrList = field(default=(), help="What rotate-root runs.")
    password_policy: Str = field(default="", help="A password policy of the host.")


OWN_NAMES: Final = frozenset(
    {"name", "skip_static_role_import_rotation", *ConnectionFields.schema, *_ROTATION}
)
"""Fields of a write that are not settings of the plugin."""


class ConnectionConfig(ConnectionFields):
    """A connection as it is stored. Its settings hold the password."""

    connection_details: Map = field(default={})

    @property
    def username(self) -> str:
        """The user that creates the others, empty if the settings name none."""
        return self._text("username")

    @property
    def password(self) -> str:
        """Its password, empty if there is none."""
        return self._text("password")

    @property
    def private_key(self) -> str:
        """Its private key, empty if there is none."""
        return self._text("private_key")

    @property
    def has_password_in_url(self) -> bool:
        """Whether the URL has a password that is not a placeholder."""
        return _PASSWORD.search(self._text("connection_url")) is not None

    def supports(self, kind: CredentialType) -> bool:
        """Return whether its plugin makes users with such credentials."""
        return kind.value in self.connection_details.get(
            CREDENTIAL_TYPES_KEY, (CredentialType.PASSWORD.value,)
        )

    def verify_allowed(self, role: str) -> None:
        """Raise EngineError if the connection is not for this role. The text is Vault's, and the status."""
        if not any(matches_glob(pattern, role) for pattern in self.allowed_roles):
            raise EngineError(f'"{role}" is not an allowed role')

    def show(self, running_version: str) -> dict[str, Any]:
        """Return what a read says."""
        details = {name: each for name, each in self.connection_details.items() if name not in HIDDEN_NAMES}
        if isinstance(url := details.get("connection_url"), str):
            details["connection_url"] = _PASSWORD.sub(r"\1:xxxxx", url)
        return {
            "allowed_roles": list(self.allowed_roles),
            "connection_details": details,
            "password_policy": self.password_policy,
            "plugin_name": self.plugin_name,
            "plugin_version": self.plugin_version,
            "root_credentials_rotate_statements": list(self.root_rotation_statements),
            "running_plugin_version": running_version,
            "skip_static_role_import_rotation": False,
            "verify_connection": self.verify_connection,
            **_ROTATION,
        }

    def _text(self, name: str) -> str:
        value = self.connection_details.get(name)
        return value if isinstance(value, str) else ""


def asks_for_rotation(data: Mapping[str, Any]) -> bool:
    """Return whether a write asks the host to rotate the connection's own password by time."""
    return bool(data.get("rotation_period") or data.get("rotation_schedule"))
