"""What a login grants, and the leases of tokens and secrets."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Any, ClassVar

from authkit.values import Value, field, verify_collections

__all__ = ["Alias", "Auth", "LeaseOptions", "LeasedSecret", "TokenType"]

_ZERO = timedelta(0)


class TokenType(IntEnum):
    """What kind of token the host makes. It takes a number outside this list for `BATCH`."""

    DEFAULT = 0
    SERVICE = 1
    BATCH = 2
    DEFAULT_SERVICE = 3
    DEFAULT_BATCH = 4


class LeaseOptions(Value, frozen=True, kw_only=True):
    """How long a token or secret lives. Zero means: as the mount has it."""

    ttl: timedelta = _ZERO
    """Set by the plugin; at renewal what was granted last."""
    max_ttl: timedelta = _ZERO
    """Set by the plugin."""
    renewable: bool = False
    """Set by the plugin."""
    increment: timedelta = _ZERO
    """Set by the host at renewal: what the client asked for."""
    issue_time: datetime | None = None
    """Set by the host at renewal, in UTC."""


class Alias(Value, frozen=True, kw_only=True):
    """A name under which an auth method knows somebody. The host ties it to an entity."""

    name: str
    """Set by the plugin: stable, never reused. The host compares it case-insensitively."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """Set by the plugin. Each change is a write on the host: nothing that varies from login to login."""
    custom_metadata: Mapping[str, str] = field(default_factory=dict)
    """Set by the plugin; taken over when the alias is created, not later."""
    mount_type: str = ""
    """Set by the host."""
    mount_accessor: str = ""
    """Set by the host."""
    id: str = ""
    """Set by the host."""
    namespace_id: str = ""
    """Set by the host."""
    local: bool = False
    """Set by the host: the alias belongs to a local mount."""

    def __post_init__(self) -> None:
        verify_collections(metadata=self.metadata, custom_metadata=self.custom_metadata)


class Auth(Value, frozen=True, kw_only=True):
    """What a login grants; at renewal, what it granted."""

    lease: LeaseOptions = field(default_factory=LeaseOptions)
    """Set by the plugin."""
    internal_data: Mapping[str, Any] = field(default_factory=dict)
    """Set by the plugin; kept with the lease, returned at renewal, never shown."""
    display_name: str = ""
    """Set by the plugin; the host puts the mount's name in front."""
    policies: tuple[str, ...] = ()
    """Set by the plugin: the policies it asks for."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """Set by the plugin; on the token and in the audit log."""
    alias: Alias | None = None
    """Set by the plugin. Without it the token has no entity."""
    group_aliases: tuple[Alias, ...] = ()
    """Set by the plugin: replaces the entity's membership in this mount's external groups."""
    period: timedelta = _ZERO
    """Set by the plugin: renewable for ever, this long each time."""
    explicit_max_ttl: timedelta = _ZERO
    """Set by the plugin: fixed at creation."""
    num_uses: int = 0
    """Set by the plugin; 0 means unlimited."""
    bound_cidrs: tuple[str, ...] = ()
    """Set by the plugin: addresses from which the token may be used."""
    token_type: TokenType = TokenType.DEFAULT
    """Set by the plugin; the mount's tuning can override it."""
    no_default_policy: bool = False
    """Set by the plugin: leave out the policy `default`."""
    entity_id: str = ""
    """Set by the host at renewal. At login leave it empty."""
    accessor: str = ""
    """Set by the host at renewal."""
    client_token: str = ""
    """Empty: the host never sends it."""
    token_policies: tuple[str, ...] = ()
    """Set by the host at renewal: the policies of the token itself."""
    identity_policies: tuple[str, ...] = ()
    """Set by the host."""
    orphan: bool = False
    """Set by the host, and not sent to plugins: the token has no parent."""

    unshown: ClassVar = ("internal_data", "client_token")

    def __post_init__(self) -> None:
        verify_collections(
            internal_data=self.internal_data,
            policies=self.policies,
            metadata=self.metadata,
            group_aliases=self.group_aliases,
            bound_cidrs=self.bound_cidrs,
            token_policies=self.token_policies,
            identity_policies=self.identity_policies,
        )


class LeasedSecret(Value, frozen=True, kw_only=True):
    """A secret with a lease (`logical.Secret`). Auth methods have none."""

    lease: LeaseOptions = field(default_factory=LeaseOptions)
    """Set by the plugin."""
    internal_data: Mapping[str, Any] = field(default_factory=dict)
    """Set by the plugin; returned at renewal and revocation."""
    lease_id: str = ""
    """Set by the host."""

    unshown: ClassVar = ("internal_data",)
