"""A small secrets engine: keys that are cut, and in its storage as long as they fit."""

from __future__ import annotations

from authkit import Collection, Model, Name, Seconds, StorageEntry
from authkit.secrets import CredsCall, Lease, Renewal, RenewCall, RevokeCall, SecretsEngine, credentials

__all__ = ["Keys"]


class KeyRole(Model):
    """How long keys fit."""

    ttl: Seconds
    max_ttl: Seconds


class Key(Model):
    """What revoking a key needs."""

    name: Name


class Keys(SecretsEngine, name="keys", version="0.1.0"):
    """Keys that fit for a while."""

    roles = Collection(KeyRole, "roles/{name}")

    @credentials("creds/{role}")
    async def cut(self, call: CredsCall, role: KeyRole) -> Lease:
        """Cut a key."""
        key = Key(name=f"key-{len(await self.storage.list('keys/'))}")
        await call.keep(key)
        await self.storage.put(StorageEntry(f"keys/{key.name}", b"{}"))
        return Lease(data={"key": key.name}, ttl=role.ttl, max_ttl=role.max_ttl)

    @cut.renew
    async def extend(self, call: RenewCall, role: KeyRole) -> Renewal:
        """Let a key fit on."""
        return Renewal(ttl=role.ttl, max_ttl=role.max_ttl)

    @cut.revoke
    async def change_lock(self, call: RevokeCall, key: Key) -> None:
        """Let a key fit no longer."""
        await self.storage.delete(f"keys/{key.name}")
