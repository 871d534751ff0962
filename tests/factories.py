"""Hosts, requests and mounts for tests of backends: driven by `handle_request`, as a host does."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Generic, TypeVar

from authkit.clock import SYSTEM_CLOCK, Clock
from authkit.framework import Backend
from authkit.logical import (
    Auth,
    BackendConfig,
    ClusterInfo,
    Connection,
    Entity,
    Group,
    IdentityToken,
    Operation,
    PluginEnvironment,
    ReplicationState,
    Request,
    Response,
    RotationInfo,
    RotationJob,
    Storage,
    StorageEntry,
    WrapInfo,
)
from authkit.masking import Secret
from authkit.testing import InMemoryStorage
from authkit.values import replace

B = TypeVar("B", bound=Backend)


class FakeClock:
    """A clock that stands still until it is told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds


class FakeSystem:
    """A host's system view with the answers of a plain mount; set attributes to change them."""

    def __init__(self) -> None:
        self.default_ttl = timedelta(hours=768)
        self.max_ttl = timedelta(hours=768)
        self.version = "1.21.1"

    async def default_lease_ttl(self) -> timedelta:
        return self.default_ttl

    async def max_lease_ttl(self) -> timedelta:
        return self.max_ttl

    async def tainted(self) -> bool:
        return False

    async def caching_disabled(self) -> bool:
        return False

    async def replication_state(self) -> ReplicationState:
        return ReplicationState.PERFORMANCE_DISABLED | ReplicationState.DR_DISABLED

    async def local_mount(self) -> bool:
        return False

    async def mlock_enabled(self) -> bool:
        return False

    async def entity_info(self, entity_id: str) -> Entity | None:
        return None

    async def groups_for_entity(self, entity_id: str) -> list[Group]:
        return []

    async def plugin_env(self) -> PluginEnvironment:
        return PluginEnvironment(vault_version=self.version)

    async def cluster_info(self) -> ClusterInfo:
        return ClusterInfo()

    async def generate_password(self, policy_name: str) -> Secret:
        return Secret("password-for-tests")

    async def wrap_response(self, data: Mapping[str, Any], ttl: timedelta) -> WrapInfo:
        return WrapInfo(ttl=ttl)

    async def generate_identity_token(self, audience: str, ttl: timedelta) -> IdentityToken:
        return IdentityToken(token=Secret("identity-token-for-tests"), ttl=ttl)

    async def register_rotation_job(self, job: RotationJob) -> str:
        return "job"

    async def deregister_rotation_job(self, mount_point: str, path: str) -> None:
        return None

    async def rotation_info(self, path: str) -> RotationInfo:
        return RotationInfo(issue_time=None, expire_time=None, ttl=timedelta(0))


class FakeEvents:
    """Takes events and observations, and keeps them."""

    def __init__(self) -> None:
        self.sent: list[str] = []

    async def send_event(
        self,
        event_type: str,
        *,
        metadata: Mapping[str, Any],
        entity_ids: tuple[str, ...] = (),
        note: str = "",
    ) -> None:
        self.sent.append(event_type)

    async def record_observation(self, observation_type: str, data: Mapping[str, Any]) -> None:
        self.sent.append(observation_type)


def mount_config(uuid: str = "u-1", *, storage: Storage | None = None, **options: str) -> BackendConfig:
    """What a host serves to a mount: storage in memory and the plain system view, unless told otherwise."""
    return BackendConfig(
        storage=InMemoryStorage() if storage is None else storage,
        system=FakeSystem(),
        events=FakeEvents(),
        options=options,
        backend_uuid=uuid,
    )


class CountingStorage(InMemoryStorage):
    """Storage in memory that counts its reads and can be told to fail."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = 0
        self.failure: Exception | None = None

    async def get(self, key: str) -> StorageEntry | None:
        self.reads += 1
        return await super().get(key)

    async def put(self, entry: StorageEntry) -> None:
        if self.failure is not None:
            raise self.failure
        await super().put(entry)


class Mount(Generic[B]):
    """One mounted backend, and the requests of a host to it."""

    def __init__(self, backend_class: type[B], *, clock: Clock = SYSTEM_CLOCK) -> None:
        self.storage = CountingStorage()
        self.system = FakeSystem()
        self.events = FakeEvents()
        config = BackendConfig(storage=self.storage, system=self.system, events=self.events, clock=clock)
        self.backend = backend_class(config)

    async def request(
        self,
        operation: Operation,
        path: str,
        data: Mapping[str, Any] | None = None,
        *,
        address: str | None = "192.0.2.1",
        auth: Auth | None = None,
    ) -> Response | None:
        """Send one request as it is. Without `address` the host knows no connection."""
        connection = None if address is None else Connection(remote_addr=address)
        request = Request(
            operation=operation,
            path=path,
            data=data or {},
            has_data=data is not None,
            connection=connection,
            auth=auth,
        )
        return await self.backend.handle_request(request)

    async def write(self, path: str, data: Mapping[str, Any] | None = None, **fields: Any) -> Response | None:
        """Write as a client does: the existence check decides between create and update."""
        body = {**(data or {}), **fields}
        check = Request(operation=Operation.UPDATE, path=path, data=body, has_data=True)
        exists = await self.backend.handle_existence_check(check)
        operation = Operation.CREATE if exists is False else Operation.UPDATE
        return await self.request(operation, path, body)

    async def read(self, path: str) -> Mapping[str, Any] | None:
        """Return the data of a read, `None` for an empty answer."""
        response = await self.request(Operation.READ, path)
        return None if response is None else response.data

    async def delete(self, path: str) -> Response | None:
        """Delete."""
        return await self.request(Operation.DELETE, path)

    async def list(self, path: str) -> list[str]:
        """Return the keys of a list, none for an empty answer."""
        response = await self.request(Operation.LIST, path)
        return [] if response is None or response.data is None else response.data["keys"]

    async def login(self, path: str = "login", *, address: str | None = "192.0.2.1", **fields: Any) -> Auth:
        """Log in and return what is granted."""
        response = await self.request(Operation.UPDATE, path, fields, address=address)
        assert response is not None
        assert response.auth is not None
        return response.auth

    async def renew(self, auth: Auth, *, address: str | None = "192.0.2.1") -> Auth:
        """Renew a login, with what a host adds to it, and return what goes on."""
        kept = replace(auth, entity_id="entity-1", accessor="accessor-1")
        response = await self.request(Operation.RENEW, "login", auth=kept, address=address)
        assert response is not None
        assert response.auth is not None
        return response.auth

    async def tick(self) -> None:
        """Send the host's periodic request."""
        await self.request(Operation.ROLLBACK, "", address=None)
