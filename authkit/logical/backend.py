"""The backend: what serves one mount."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from enum import IntEnum
from typing import Any, ClassVar, Protocol, runtime_checkable

from authkit.clock import SYSTEM_CLOCK, Clock
from authkit.logical.request import Request
from authkit.logical.response import Response
from authkit.logical.storage import Storage
from authkit.logical.system import SystemView
from authkit.values import Value, asdict, field, verify_collections

__all__ = [
    "Backend",
    "BackendConfig",
    "BackendFactory",
    "BackendType",
    "EventSender",
    "Gauges",
    "HasExistenceChecks",
    "HasGauges",
    "HasKnownRoles",
    "HasSecretFields",
    "Servable",
    "SpecialPaths",
]


class BackendType(IntEnum):
    """What a backend can be mounted as. An auth mount takes `CREDENTIAL` only."""

    UNKNOWN = 0
    LOGICAL = 1
    CREDENTIAL = 2


class SpecialPaths(Value, frozen=True, kw_only=True):
    """Paths that the host treats in a special way. All relative to the mount, without leading `/`.

    `root`, `unauthenticated`, `limited` and `allow_snapshot_read` are request paths: exact, or a
    prefix with a trailing `*`; all but `root` may hold `+` for one whole segment. A pattern that
    breaks these rules makes the mount fail. `local_storage`, `seal_wrap_storage` and
    `write_forwarded_storage` are storage keys or prefixes.
    """

    root: tuple[str, ...] = ()
    unauthenticated: tuple[str, ...] = ()
    local_storage: tuple[str, ...] = ()
    seal_wrap_storage: tuple[str, ...] = ()
    write_forwarded_storage: tuple[str, ...] = ()
    binary: tuple[str, ...] = ()
    limited: tuple[str, ...] = ()
    allow_snapshot_read: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        verify_collections(**asdict(self))


class EventSender(Protocol):
    """Events and observations. A host without them takes both calls and does nothing."""

    async def send_event(
        self,
        event_type: str,
        *,
        metadata: Mapping[str, Any],
        entity_ids: tuple[str, ...] = (),
        note: str = "",
    ) -> None:
        """Send an event (Vault 1.13 and later)."""

    async def record_observation(self, observation_type: str, data: Mapping[str, Any]) -> None:
        """Record an observation (Vault 1.20 and later, kept by Enterprise only)."""


class BackendConfig(Value, frozen=True, kw_only=True):
    """What a mount is set up with. Set by the host.

    While a plugin is registered the host sets one up with empty `options` and `backend_uuid`;
    then every call of `storage` and `system` fails.
    """

    storage: Storage
    """Readable during setup, writable from `initialize` on."""
    system: SystemView
    events: EventSender
    options: Mapping[str, str] = field(default_factory=dict)
    """The mount's options, and `plugin_name`, `plugin_type`, `plugin_version`."""
    backend_uuid: str = ""
    """Stays the same as long as the mount exists."""
    clock: Clock = SYSTEM_CLOCK
    """What the mount reads the time from. The simulator of tests sets one that they move."""

    def __post_init__(self) -> None:
        verify_collections(options=self.options)


class Backend(Protocol):
    """One instance per mount. The host calls these methods concurrently.

    A failure is a raised `LogicalError`, `FieldError`, `LoginError` or `StorageError`; anything
    else becomes a neutral internal error whose cause is only logged.
    """

    def special_paths(self) -> SpecialPaths:
        """Return the special paths. Asked after setup; a host may ask again after a reload."""
        ...

    async def initialize(self) -> None:
        """Begin to work: after mounting, unsealing and reloading. Storage is writable on the active node."""

    async def handle_request(self, request: Request) -> Response | None:
        """Answer a request. `None` is an empty answer: 404 for read and list, 204 for others."""
        ...

    async def handle_existence_check(self, request: Request) -> bool | None:
        """Return whether the object of `request.path` exists, `None` where nobody can tell."""
        ...

    async def invalidate_key(self, key: str) -> None:
        """Forget what was cached of this storage key; somebody else changed it."""

    async def cleanup(self) -> None:
        """Stop: unmount, seal, reload. May be called twice."""


@runtime_checkable
class HasExistenceChecks(Protocol):
    """A backend that knows, without waiting, on which paths it has no existence check.

    Optional: hosts ask before each write, also before each login, and nearly always for nothing.
    """

    def has_existence_check(self, path: str) -> bool:
        """Return whether `handle_existence_check` has to be asked about `path`."""
        ...


@runtime_checkable
class HasKnownRoles(Protocol):
    """A backend that may know, without waiting, which role a login would have.

    Optional: hosts ask after each login of a service token.
    """

    def known_role(self, path: str, body: Mapping[str, Any]) -> str | None:
        """Return what `handle_request` would answer to `RESOLVE_ROLE`, `None` where it has to be asked."""
        ...


@runtime_checkable
class HasSecretFields(Protocol):
    """A backend that knows which fields of a request hold secrets.

    Optional. When a request fails, these are masked in the text that its client reads.
    """

    def secret_texts(self, request: Request) -> Collection[str]:
        """Return what the request has in secret fields. Called for any request, a malformed one too."""
        ...


class Gauges(Value, frozen=True, kw_only=True):
    """What a mount has at this moment, for its metrics."""

    cached_objects: int = 0
    """Objects that it keeps in memory."""
    wal_entries: int = 0
    """Entries of its write-ahead log at the last tick of the host."""
    waiting_calls: int = 0
    """Calls of plain `def` handlers that wait for a thread."""


@runtime_checkable
class HasGauges(Protocol):
    """A backend that has figures for the metrics of its process. Optional."""

    def mount_gauges(self) -> Gauges:
        """Return the figures of this moment, without waiting. Called from any thread."""
        ...


class BackendFactory(Value, frozen=True, kw_only=True):
    """What a plugin serves: makes one backend per mount."""

    build: Callable[[BackendConfig], Backend]
    """Called for each mount, also while registering. It must not touch storage or the system view."""
    backend_type: BackendType
    version: str = ""
    """As `v1.2.3`: compared as text with the version that the operator registers. Empty: none."""


class Servable(Protocol):
    """A backend class, as `authkit.serve` and `authkit.testing.Simulator` take it."""

    name: ClassVar[str]
    version: ClassVar[str]

    @classmethod
    def factory(cls) -> BackendFactory:
        """Return what makes its instances."""
        ...
