"""What a host and its plugins know of each other: a catalog's plugin, one mounted backend, the version.

`authkit.host.supervisor` implements the protocols.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Protocol

from authkit.database import ExpirationChange, NewUser, PasswordChange, UserDeletion
from authkit.logical import BackendConfig, BackendType, Request, Response, SpecialPaths

__all__ = [
    "VAULT_VERSION",
    "DatabaseConnection",
    "HostedBackend",
    "HostedDatabase",
    "HostedPlugin",
    "MountedBackend",
    "RegisteredPlugin",
]

VAULT_VERSION: Final = "1.21.1"
"""What the host says it is, to clients and to plugins: the server that it was compared with."""


class MountedBackend(Protocol):
    """What serves one mount: a backend of the host itself, or `HostedBackend`."""

    async def initialize(self) -> None:
        """Let the backend begin to work. From here on its storage has to be writable.

        Raises:
            LogicalError: what the plugin reported.
        """

    async def handle_request(self, request: Request) -> Response | None:
        """Return the answer to a request, `None` for an empty one.

        The call has no time limit: cancel it, and the plugin's handler is cancelled.

        Raises:
            LogicalError: what the plugin reported; `response_data` holds what came beside it. A
                reply that grants something beside an error grants nothing.
        """
        ...

    async def handle_existence_check(self, request: Request) -> bool | None:
        """Return whether the object exists, `None` where the path has no such check.

        Raises:
            LogicalError: what the plugin reported. A server takes `UnsupportedPathError` for "no
                check", shows a `UserError`, and takes others for internal errors.
        """
        ...

    async def invalidate_key(self, key: str) -> None:
        """Report that another node changed a storage key, relative to the mount. Its failure is logged."""

    async def cleanup(self) -> None:
        """End the mount. Never raises for what the plugin does; may be called twice."""


class HostedBackend(MountedBackend, Protocol):
    """One mount of a plugin, from `HostedPlugin.set_up` until `cleanup`.

    Every call raises `PluginGoneError` when the plugin ends under it; the next call first starts it
    again, sets the mount up and initializes it. A start that fails
    raises `PluginStartError`; `RPCError` is a status that the plugin gave.
    """

    async def special_paths(self) -> SpecialPaths:
        """Return the special paths; a plugin that cannot tell has none, as on a Vault server."""
        ...


class RegisteredPlugin(Protocol):
    """One entry of the plugin catalog: one process, or none."""

    @property
    def version(self) -> str:
        """The version that it reports of itself, empty when it reports none or was not asked yet."""
        ...

    async def probe(self) -> None:
        """Ask the plugin what it is, as registration does: no storage, no system view, no mount.

        Raises:
            PluginStartError: it could not be started.
            PluginSetupError: it refused the setup without storage.
        """

    async def close(self) -> None:
        """End what it serves, and the process. Nothing is left behind. Safe to call more than once."""


class HostedPlugin(RegisteredPlugin, Protocol):
    """An auth method or a secrets engine, behind any number of mounts."""

    @property
    def backend_type(self) -> BackendType:
        """What it can be mounted as; `UNKNOWN` before the first `probe` or `set_up`."""
        ...

    async def set_up(self, config: BackendConfig) -> HostedBackend:
        """Set up a mount. `config` is what the host serves to it, for as long as the mount lives.

        The storage has to refuse writes until this returns (`cannot write to storage during setup`
        on a Vault server); which storage that is, is the caller's to say.

        Raises:
            PluginStartError: the plugin could not be started.
            PluginSetupError: it refused; the text is its own.
        """
        ...


class DatabaseConnection(Protocol):
    """One configured connection of a database plugin, from `HostedDatabase.connect` until `close`.

    A call raises `PluginGoneError` when the plugin ends under it; the connection is not `is_open` then.
    `RPCError` is a status that the plugin gave.
    """

    @property
    def is_open(self) -> bool:
        """Whether the plugin still runs."""
        ...

    async def create_user(self, user: NewUser) -> str:
        """Create a user, and return its name."""
        ...

    async def change_user(self, change: PasswordChange | ExpirationChange) -> None:
        """Change a user."""

    async def delete_user(self, user: UserDeletion) -> None:
        """Delete a user."""

    async def close(self) -> None:
        """End the connection. Its failure is logged. The plugin ends with its last connection."""


class HostedDatabase(RegisteredPlugin, Protocol):
    """A database plugin, behind any number of connections."""

    async def connect(
        self, settings: Mapping[str, Any], *, verify: bool
    ) -> tuple[DatabaseConnection, Mapping[str, Any]]:
        """Configure a connection; return it, and the settings to store.

        Raises:
            PluginStartError: the plugin could not be started.
            PluginGoneError: it ended.
            RPCError: it refused.
        """
        ...
