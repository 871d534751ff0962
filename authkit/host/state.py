"""Everything that a host keeps, in one value that its backends are handed."""

from __future__ import annotations

import secrets
import uuid
from datetime import datetime

from authkit.host.mounts.storage import StorageGate
from authkit.host.mounts.table import MountTable
from authkit.host.store.catalog import Catalog
from authkit.host.store.clock import Clock
from authkit.host.store.identity import IdentityStore
from authkit.host.store.leases import LeaseStore
from authkit.host.store.policies import PolicyStore
from authkit.host.store.storage import PhysicalStorage
from authkit.host.store.tokens import TokenStore
from authkit.values import Value, field

__all__ = ["HostState", "Identification"]


class Identification(Value, frozen=True, kw_only=True):
    """What a host reports about itself. The ids change at each start, as in Vault's dev mode."""

    cluster_name: str = field(default_factory=lambda: f"vault-cluster-{secrets.token_hex(4)}")
    cluster_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    storage_type: str = "inmem"
    started: datetime


class HostState(Value, frozen=True, kw_only=True):
    """The parts of a host. Made by the core."""

    clock: Clock
    physical: PhysicalStorage
    gate: StorageGate
    tokens: TokenStore
    leases: LeaseStore
    identity: IdentityStore
    policies: PolicyStore
    catalog: Catalog
    mounts: MountTable
    about: Identification
