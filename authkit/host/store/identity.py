"""Who is behind a token: entities, their aliases, and groups. Plain records and their store.

The API over it: `authkit.host.backends.identity`.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TypeVar

from authkit.auth.alias_metadata import MAX_PAIRS, TOO_MANY_PAIRS, find_pair_fault
from authkit.host.store.clock import Clock
from authkit.host.store.records import dump, load_all
from authkit.host.store.storage import PhysicalStorage
from authkit.logical import Alias
from authkit.names import fold_name
from authkit.values import Value, field, replace

__all__ = [
    "EXTERNAL",
    "INTERNAL",
    "AliasRecord",
    "EntityRecord",
    "GroupRecord",
    "IdentityError",
    "IdentityStore",
    "verify_metadata",
]

INTERNAL, EXTERNAL = "internal", "external"


class IdentityError(ValueError):
    """What was asked for cannot be kept."""


class AliasRecord(Value, frozen=True, kw_only=True):
    """The name by which a mount knows an entity or reports an external group.

    Made by a login or an operator; of a group, by an operator alone and without metadata.
    """

    id: str
    name: str
    mount_accessor: str
    mount_path: str = ""
    mount_type: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    custom_metadata: Mapping[str, str] = field(default_factory=dict)
    local: bool = False
    created: datetime
    updated: datetime


class EntityRecord(Value, frozen=True, kw_only=True):
    """Somebody. Made by a login or by an operator."""

    id: str
    name: str
    aliases: tuple[AliasRecord, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    policies: tuple[str, ...] = ()
    disabled: bool = False
    created: datetime
    updated: datetime


class GroupRecord(Value, frozen=True, kw_only=True):
    """Some entities. Made by an operator; logins decide on the members of an external one."""

    id: str
    name: str
    type: str = INTERNAL
    alias: AliasRecord | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    policies: tuple[str, ...] = ()
    member_entity_ids: tuple[str, ...] | None = None
    """`None`: never set, which the API shows."""
    member_group_ids: tuple[str, ...] = ()
    modify_index: int = 1
    created: datetime
    updated: datetime


def verify_metadata(metadata: Mapping[str, str]) -> None:
    """Raise IdentityError if an alias or entity may not have this metadata.

    Raises:
        IdentityError: it has too much, or a key that none may have.
    """
    if len(metadata) > MAX_PAIRS:
        raise IdentityError(TOO_MANY_PAIRS)
    for key, value in metadata.items():
        reason = find_pair_fault(key, value)
        if reason:
            raise IdentityError(f'failed to load metadata pair ("{key}", "{value}"): {reason}')


R = TypeVar("R", EntityRecord, GroupRecord)


class IdentityStore:
    """The entities and groups of a host."""

    ENTITIES, GROUPS = "core/identity/entity/", "core/identity/group/"

    def __init__(self, physical: PhysicalStorage, clock: Clock) -> None:
        self._physical = physical
        self._clock = clock
        self.entities: dict[str, EntityRecord] = {}
        self.groups: dict[str, GroupRecord] = {}
        self._owners: dict[tuple[str, str], str] = {}

    async def load(self) -> None:
        """Read what is stored."""
        for entity in await load_all(EntityRecord, self._physical, self.ENTITIES):
            self._take(entity)
        self.groups = {each.id: each for each in await load_all(GroupRecord, self._physical, self.GROUPS)}

    # --- entities ------------------------------------------------------------------------------

    def new_entity(self, name: str = "") -> EntityRecord:
        """Return an entity that is not stored yet."""
        now = self._clock.now()
        name = name or f"entity_{secrets.token_hex(4)}"
        return EntityRecord(id=str(uuid.uuid4()), name=name, created=now, updated=now)

    def find_entity_by_name(self, name: str) -> EntityRecord | None:
        """Return the entity of that name, whatever its case."""
        return _find_by_name(self.entities.values(), name)

    def find_owner(self, accessor: str, name: str) -> EntityRecord | None:
        """Return the entity that has the alias `name` at a mount."""
        return self.entities.get(self._owners.get((accessor, fold_name(name)), ""))

    def find_alias_of(self, accessor: str, name: str) -> tuple[EntityRecord, AliasRecord] | None:
        """Return the alias `name` at a mount with its entity."""
        owner, key = self.find_owner(accessor, name), (accessor, fold_name(name))
        aliases = owner.aliases if owner is not None else ()
        return next(((owner, each) for each in aliases if owner and _alias_key(each) == key), None)

    def find_alias(self, alias_id: str) -> tuple[EntityRecord, AliasRecord] | None:
        """Return the alias of that id with its entity."""
        pairs = ((each, alias) for each in self.entities.values() for alias in each.aliases)
        return next((pair for pair in pairs if pair[1].id == alias_id), None)

    async def put_entity(self, entity: EntityRecord) -> EntityRecord:
        """Store an entity, now changed; return it."""
        (stored,) = await self.put_entities(entity)
        return stored

    async def put_entities(self, *entities: EntityRecord) -> list[EntityRecord]:
        """Store entities, now changed, in one transaction; return them."""
        changed = [replace(each, updated=self._clock.now()) for each in entities]
        await self._change({each.id: each for each in changed}, {})
        return changed

    async def delete_entity(self, entity_id: str) -> None:
        """Remove an entity and its memberships."""
        groups = [_without(each, entity_id) for each in self.groups_of(entity_id, inherited=False)]
        await self._change({entity_id: None}, self._touched(groups))

    async def _change(
        self, entities: Mapping[str, EntityRecord | None], groups: Mapping[str, GroupRecord | None]
    ) -> None:
        """Store records and remove those that are `None`: all at once, and in one transaction."""
        old_entities = {each: self.entities.get(each) for each in entities}
        old_groups = {each: self.groups.get(each) for each in groups}
        # Before anything waits: another request must find it, and a client that goes away leaves no half.
        self._exchange(old_entities, entities)
        _exchange(self.groups, old_groups, groups)
        changes = {self.ENTITIES + key: dump(each) if each else None for key, each in entities.items()}
        changes |= {self.GROUPS + key: dump(each) if each else None for key, each in groups.items()}
        try:
            await self._physical.apply(changes)
        except Exception:
            self._exchange(entities, old_entities)
            _exchange(self.groups, groups, old_groups)
            raise

    def _exchange(
        self, old: Mapping[str, EntityRecord | None], new: Mapping[str, EntityRecord | None]
    ) -> None:
        """Put records in place of others, but for those that something has changed since."""
        same = [key for key in new if self.entities.get(key) is old[key]]
        for key in same:
            self._forget(key)
        for key in same:
            if (entity := new[key]) is not None:
                self._take(entity)

    def _take(self, entity: EntityRecord) -> None:
        self.entities[entity.id] = entity
        for alias in entity.aliases:
            self._owners[_alias_key(alias)] = entity.id

    def _forget(self, entity_id: str) -> None:
        entity = self.entities.pop(entity_id, None)
        for alias in entity.aliases if entity else ():
            self._owners.pop(_alias_key(alias), None)

    async def of_login(self, alias: Alias, mount_path: str) -> EntityRecord:
        """Return the entity of a login, made or updated as needed.

        The alias's metadata follows each login; its custom metadata is taken over once, when it is made
        (Vault 1.21, vault/identity_store.go, CreateOrFetchEntity).

        Raises:
            IdentityError: the metadata of a new alias cannot be kept.
        """
        entity = self.find_owner(alias.mount_accessor, alias.name)
        if entity is not None:
            return await self._refresh(entity, alias)
        for metadata in (alias.metadata, alias.custom_metadata):
            try:
                verify_metadata(metadata)
            except IdentityError as error:
                raise IdentityError(f"invalid alias metadata: {error}") from error
        now = self._clock.now()
        kept = AliasRecord(
            id=str(uuid.uuid4()),
            name=alias.name,
            mount_accessor=alias.mount_accessor,
            mount_path=mount_path,
            mount_type=alias.mount_type,
            metadata=dict(alias.metadata),
            custom_metadata=dict(alias.custom_metadata),
            local=alias.local,
            created=now,
            updated=now,
        )
        return await self.put_entity(replace(self.new_entity(), aliases=(kept,)))

    async def _refresh(self, entity: EntityRecord, alias: Alias) -> EntityRecord:
        key = _alias_key(alias)
        known = next(each for each in entity.aliases if _alias_key(each) == key)
        if dict(known.metadata) == dict(alias.metadata):
            return entity
        changed = replace(known, metadata=dict(alias.metadata), updated=self._clock.now())
        aliases = tuple(changed if each is known else each for each in entity.aliases)
        return await self.put_entity(replace(entity, aliases=aliases))

    # --- groups --------------------------------------------------------------------------------

    def new_group(self, name: str = "", kind: str = INTERNAL) -> GroupRecord:
        """Return a group that is not stored yet."""
        now = self._clock.now()
        name = name or f"group_{secrets.token_hex(4)}"
        return GroupRecord(
            id=str(uuid.uuid4()), name=name, type=kind, modify_index=0, created=now, updated=now
        )

    def find_group_by_name(self, name: str) -> GroupRecord | None:
        """Return the group of that name, whatever its case."""
        return _find_by_name(self.groups.values(), name)

    def find_mapped_group(self, accessor: str, name: str) -> GroupRecord | None:
        """Return the external group that a mount's group name is mapped to."""
        key = (accessor, fold_name(name))
        return next(
            (each for each in self.groups.values() if each.alias and _alias_key(each.alias) == key), None
        )

    def find_group_alias(self, alias_id: str) -> GroupRecord | None:
        """Return the group that has the alias of that id."""
        return next((each for each in self.groups.values() if each.alias and each.alias.id == alias_id), None)

    async def put_group(self, group: GroupRecord) -> GroupRecord:
        """Store a group, now changed; return it."""
        (stored,) = await self.put_groups(group)
        return stored

    async def put_groups(self, *groups: GroupRecord) -> list[GroupRecord]:
        """Store groups, now changed, in one transaction; return them."""
        changed = self._touched(groups)
        await self._change({}, changed)
        return list(changed.values())

    def _touched(self, groups: Iterable[GroupRecord]) -> dict[str, GroupRecord]:
        now = self._clock.now()
        return {each.id: replace(each, updated=now, modify_index=each.modify_index + 1) for each in groups}

    async def delete_group(self, group_id: str) -> None:
        """Remove a group, also from the groups that contain it."""
        parents = self._touched(
            replace(each, member_group_ids=tuple(key for key in each.member_group_ids if key != group_id))
            for each in self.parents_of(group_id)
        )
        await self._change({}, {**parents, group_id: None})

    def groups_of(self, entity_id: str, *, inherited: bool = True) -> list[GroupRecord]:
        """Return the groups of an entity: direct ones first, then the groups that contain them."""
        found = [group for group in self.groups.values() if entity_id in (group.member_entity_ids or ())]
        for group in found if inherited else ():
            found.extend(each for each in self.parents_of(group.id) if each not in found)
        return found

    def is_within(self, group_id: str, other_id: str) -> bool:
        """Whether the group is one of the other's groups, at any depth, or the other itself."""
        waiting, seen = [other_id], set[str]()
        while waiting:
            each = waiting.pop()
            if each == group_id:
                return True
            if each not in seen and each in self.groups:
                seen.add(each)
                waiting.extend(self.groups[each].member_group_ids)
        return False

    def parents_of(self, group_id: str) -> list[GroupRecord]:
        """Return the groups in which a group is, directly."""
        return [group for group in self.groups.values() if group_id in group.member_group_ids]

    async def refresh_memberships(
        self, entity_id: str, reported: Sequence[Alias], accessor: str
    ) -> tuple[Alias, ...]:
        """Make the entity a member of exactly the external groups that its mount reports.

        Groups of other mounts are left alone, unless no mount is named. Returns the aliases that are
        mapped to a group (Vault 1.21, vault/identity_store_util.go, refreshExternalGroupMemberships...).
        """
        mapped = [(alias, self.find_mapped_group(alias.mount_accessor, alias.name)) for alias in reported]
        wanted = {group.id for _, group in mapped if group}
        changed = []
        for group in self.groups.values():
            if group.type != EXTERNAL:
                continue
            members = group.member_entity_ids or ()
            is_member = entity_id in members
            if group.id in wanted and not is_member:
                changed.append(replace(group, member_entity_ids=(*members, entity_id)))
            elif is_member and group.id not in wanted and _is_of_mount(group, accessor):
                changed.append(_without(group, entity_id))
        if changed:  # all at once: nobody has the groups of before and of now
            await self.put_groups(*changed)
        return tuple(alias for alias, group in mapped if group)

    # --- policies ------------------------------------------------------------------------------

    def policies_of(self, entity_id: str) -> tuple[str, ...]:
        """Return the policies that an entity has by itself and through its groups, each once."""
        entity = self.entities.get(entity_id)
        if entity is None:
            return ()
        sources: Iterable[Iterable[str]] = [
            entity.policies,
            *(each.policies for each in self.groups_of(entity_id)),
        ]
        return tuple(dict.fromkeys(policy for source in sources for policy in source))


def _exchange(
    records: dict[str, GroupRecord],
    old: Mapping[str, GroupRecord | None],
    new: Mapping[str, GroupRecord | None],
) -> None:
    """Put records in place of others, but for those that something has changed since."""
    for key, group in new.items():
        if records.get(key) is not old[key]:
            continue
        if group is None:
            records.pop(key, None)
        else:
            records[key] = group


def _without(group: GroupRecord, entity_id: str) -> GroupRecord:
    left = tuple(each for each in group.member_entity_ids or () if each != entity_id)
    return replace(group, member_entity_ids=left)


def _is_of_mount(group: GroupRecord, accessor: str) -> bool:
    return not accessor or group.alias is None or group.alias.mount_accessor == accessor


def _alias_key(alias: Alias | AliasRecord) -> tuple[str, str]:
    return alias.mount_accessor, fold_name(alias.name)


def _find_by_name(records: Iterable[R], name: str) -> R | None:
    folded = fold_name(name)
    return next((each for each in records if fold_name(each.name) == folded), None)
