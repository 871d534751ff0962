"""`identity/`: entities, groups and their aliases, as operators write and read them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from authkit.auth.policies import sanitize_policies
from authkit.host.builtin import Answer, Call, Routes, flag_of, list_of, map_of, text_of
from authkit.host.exchange import Failure, listed
from authkit.host.identity import (
    EXTERNAL,
    INTERNAL,
    EntityAlias,
    EntityRecord,
    GroupAlias,
    GroupRecord,
    IdentityError,
    verify_metadata,
)
from authkit.host.running import RunningMount
from authkit.host.state import HostState
from authkit.host.times import show_time
from authkit.values import replace

__all__ = ["identity_routes"]

_ENTITY_FIELDS = "id name metadata policies disabled"
_GROUP_FIELDS = "id name type metadata policies member_entity_ids member_group_ids"
_ALIAS_FIELDS = "id name mount_accessor canonical_id entity_id custom_metadata"
_LOOKUP_FIELDS = "id name alias_id alias_name alias_mount_accessor"


def identity_routes(state: HostState) -> Routes:
    """Return the table of `identity/`."""
    routes = Routes()
    _add_entities(routes, _Entities(state))
    _add_groups(routes, _Groups(state))
    return routes


def _add_entities(routes: Routes, entities: _Entities) -> None:
    routes.add("entity", _ENTITY_FIELDS, update=entities.write)
    routes.add("entity/id/?", list=entities.list_ids)
    routes.add("entity/name/?", list=entities.list_names)
    for key in ("id", "name"):
        routes.add(
            f"entity/{key}/(?P<{key}>.+)",
            _ENTITY_FIELDS,
            read=entities.read,
            update=entities.write_known if key == "id" else entities.write,
            delete=entities.delete,
        )
    routes.add("entity-alias", _ALIAS_FIELDS, update=entities.write_alias)
    routes.add("entity-alias/id/?", list=entities.list_aliases)
    routes.add(
        "entity-alias/id/(?P<id>.+)",
        _ALIAS_FIELDS,
        read=entities.read_alias,
        update=entities.write_alias,
        delete=entities.delete_alias,
    )
    routes.add("lookup/entity", _LOOKUP_FIELDS, update=entities.lookup)


def _add_groups(routes: Routes, groups: _Groups) -> None:
    routes.add("group", _GROUP_FIELDS, update=groups.write)
    routes.add("group/id/?", list=groups.list_ids)
    routes.add("group/name/?", list=groups.list_names)
    for key in ("id", "name"):
        routes.add(
            f"group/{key}/(?P<{key}>.+)",
            _GROUP_FIELDS,
            read=groups.read,
            update=groups.write,
            delete=groups.delete,
        )
    routes.add("group-alias", _ALIAS_FIELDS, update=groups.write_alias)
    routes.add("group-alias/id/?", list=groups.list_aliases)
    routes.add(
        "group-alias/id/(?P<id>.+)",
        _ALIAS_FIELDS,
        read=groups.read_alias,
        update=groups.write_alias,
        delete=groups.delete_alias,
    )
    routes.add("lookup/group", _LOOKUP_FIELDS, update=groups.lookup)


class _Entities:
    def __init__(self, state: HostState) -> None:
        self._state = state
        self._store = state.identity

    async def list_ids(self, call: Call) -> Answer:
        info = {}
        for entity in self._store.entities.values():
            aliases = [
                {"id": each.id, "mount_accessor": each.mount_accessor, "name": each.name}
                | ({"mount_path": each.mount_path, "mount_type": each.mount_type} if each.mount_path else {})
                for each in entity.aliases
            ]
            info[entity.id] = {"name": entity.name} | ({"aliases": aliases} if aliases else {})
        return Answer(data={"key_info": info, "keys": sorted(info)} if info else {})

    async def list_names(self, call: Call) -> Answer:
        names = sorted(entity.name for entity in self._store.entities.values())
        return Answer(data={"keys": names} if names else {})

    async def read(self, call: Call) -> Answer | None:
        entity = self._find(call.data)
        return None if entity is None else Answer(data=self._show(entity))

    async def write_known(self, call: Call) -> Answer | None:
        if self._store.entities.get(call.data["id"]) is None:
            raise Failure(400, "entity not found from id")
        return await self.write(call)

    async def write(self, call: Call) -> Answer | None:
        data = call.data
        known = self._find(data)
        name = text_of(data, "name")
        entity = known or self._store.new_entity(name)
        if name and known is not None and name != known.name:
            if self._store.find_entity_by_name(name) not in (None, known):
                raise Failure(400, "entity name is already in use")
            entity = replace(entity, name=name)
        if "policies" in data:
            entity = replace(entity, policies=_policies(data))
        if "metadata" in data:
            entity = replace(entity, metadata=_metadata(data, "entity"))
        if "disabled" in data:
            entity = replace(entity, disabled=flag_of(data, "disabled"))
        entity = await self._store.put_entity(entity)
        if known is not None:
            return None
        return Answer(data={"aliases": None, "id": entity.id, "name": entity.name})

    async def delete(self, call: Call) -> None:
        entity = self._find(call.data)
        if entity is not None:
            await self._store.delete_entity(entity.id)

    async def lookup(self, call: Call) -> Answer | None:
        data = call.data
        if text_of(data, "alias_name"):
            found = self._store.find_owner(text_of(data, "alias_mount_accessor"), text_of(data, "alias_name"))
        elif text_of(data, "alias_id"):
            pair = self._store.find_alias(text_of(data, "alias_id"))
            found = pair[0] if pair else None
        elif text_of(data, "id") or text_of(data, "name"):
            found = self._find(data)
        else:
            raise Failure(400, "query parameter not supplied")
        return None if found is None else Answer(data=self._show(found))

    def _find(self, data: Mapping[str, Any]) -> EntityRecord | None:
        entity_id, name = text_of(data, "id"), text_of(data, "name")
        if entity_id:
            return self._store.entities.get(entity_id)
        return self._store.find_entity_by_name(name) if name else None

    def _show(self, entity: EntityRecord) -> dict[str, Any]:
        direct = [group.id for group in self._store.groups_of(entity.id, inherited=False)]
        every = [group.id for group in self._store.groups_of(entity.id)]
        return {
            "aliases": [_show_alias(self._state, entity.id, alias) for alias in entity.aliases],
            "creation_time": show_time(entity.created),
            "direct_group_ids": direct,
            "disabled": entity.disabled,
            "group_ids": every,
            "id": entity.id,
            "inherited_group_ids": [each for each in every if each not in direct],
            "last_update_time": show_time(entity.updated),
            "merged_entity_ids": None,
            "metadata": dict(entity.metadata) or None,
            "name": entity.name,
            "namespace_id": "root",
            "policies": list(entity.policies),
        }

    # --- aliases -------------------------------------------------------------------------------

    async def list_aliases(self, call: Call) -> Answer:
        info = {}
        for entity in self._store.entities.values():
            for alias in entity.aliases:
                shown = _show_alias(self._state, entity.id, alias)
                info[alias.id] = {name: shown[name] for name in _LISTED if name in shown}
        return Answer(data={"key_info": info, "keys": sorted(info)} if info else {})

    async def read_alias(self, call: Call) -> Answer | None:
        found = self._store.find_alias(call.data["id"])
        if found is None:
            return None
        return Answer(data=_show_alias(self._state, found[0].id, found[1]) | {"namespace_id": "root"})

    async def write_alias(self, call: Call) -> Answer:
        data = call.data
        name, accessor = text_of(data, "name"), text_of(data, "mount_accessor")
        owner_id = text_of(data, "canonical_id") or text_of(data, "entity_id")
        known = self._store.find_alias(text_of(data, "id")) if text_of(data, "id") else None
        if known is not None:
            return await self._change_alias(known, data, owner_id)
        if not name or not accessor:
            raise Failure(400, "'id' or 'mount_accessor' and 'name' must be provided")
        mount = _mount_of(self._state, accessor)
        now = self._state.clock.now()
        alias = EntityAlias(
            id=str(uuid.uuid4()),
            name=name,
            mount_accessor=accessor,
            mount_path=mount.entry.route,
            mount_type=mount.entry.type,
            custom_metadata=_metadata(data, "custom_metadata"),
            local=mount.entry.local,
            created=now,
            updated=now,
        )
        existing = self._store.find_owner(accessor, name)
        owner = self._store.entities.get(owner_id) if owner_id else existing or self._store.new_entity()
        if owner is None:
            raise Failure(400, "invalid canonical ID")
        if existing is not None:
            found = next(each for each in existing.aliases if each.name.lower() == name.lower())
            return await self._change_alias((existing, found), data, owner.id)
        if any(each.mount_accessor == accessor for each in owner.aliases):
            raise Failure(400, "Entity already has an alias for this mount accessor")
        await self._store.put_entity(replace(owner, aliases=(*owner.aliases, alias)))
        return Answer(data={"canonical_id": owner.id, "id": alias.id})

    async def _change_alias(
        self, known: tuple[EntityRecord, EntityAlias], data: Mapping[str, Any], owner_id: str
    ) -> Answer:
        owner, alias = known
        changed = replace(alias, updated=self._state.clock.now())
        if text_of(data, "name"):
            changed = replace(changed, name=text_of(data, "name"))
        if "custom_metadata" in data:
            changed = replace(changed, custom_metadata=_metadata(data, "custom_metadata"))
        rest = tuple(each for each in owner.aliases if each is not alias)
        target = self._store.entities.get(owner_id) if owner_id else owner
        if target is None:
            raise Failure(400, "invalid canonical ID")
        if target.id == owner.id:
            await self._store.put_entity(replace(owner, aliases=(*rest, changed)))
        else:
            await self._store.put_entity(replace(owner, aliases=rest))
            await self._store.put_entity(replace(target, aliases=(*target.aliases, changed)))
        return Answer(data={"canonical_id": target.id, "id": alias.id})

    async def delete_alias(self, call: Call) -> None:
        found = self._store.find_alias(call.data["id"])
        if found is not None:
            owner, alias = found
            rest = tuple(each for each in owner.aliases if each is not alias)
            await self._store.put_entity(replace(owner, aliases=rest))


class _Groups:
    def __init__(self, state: HostState) -> None:
        self._state = state
        self._store = state.identity

    async def list_ids(self, call: Call) -> Answer:
        info: dict[str, Any] = {}
        for group in self._store.groups.values():
            parents = len(self._store.parents_of(group.id))
            info[group.id] = {
                "name": group.name,
                "num_member_entities": len(group.member_entity_ids or ()),
                "num_parent_groups": parents,
            }
        return Answer(data={"key_info": info, "keys": sorted(info)} if info else {})

    async def list_names(self, call: Call) -> Answer:
        names = sorted(group.name for group in self._store.groups.values())
        return Answer(data={"keys": names} if names else {})

    async def read(self, call: Call) -> Answer | None:
        group = self._find(call.data)
        return None if group is None else Answer(data=self._show(group))

    async def write(self, call: Call) -> Answer | None:
        data = call.data
        known = self._find(data)
        group = known or self._store.new_group(text_of(data, "name"), text_of(data, "type") or INTERNAL)
        group = replace(group, type=_group_type(data, known))
        if known is not None and text_of(data, "name"):
            group = replace(group, name=text_of(data, "name"))
        if "policies" in data:
            group = replace(group, policies=_policies(data))
        if "metadata" in data:
            group = replace(group, metadata=_metadata(data, "group"))
        group = self._with_members(group, data)
        group = await self._store.put_group(group)
        return None if known is not None else Answer(data={"id": group.id, "name": group.name})

    def _with_members(self, group: GroupRecord, data: Mapping[str, Any]) -> GroupRecord:
        entities, groups = list_of(data, "member_entity_ids"), list_of(data, "member_group_ids")
        if entities and group.type == EXTERNAL:
            raise Failure(400, "member entities can't be set manually for external groups")
        if groups and group.type == EXTERNAL:
            raise Failure(400, "member groups can't be set for external groups")
        for entity_id in entities:
            if entity_id not in self._store.entities:
                raise Failure(500, listed(f'invalid entity ID "{entity_id}"'))
        for group_id in groups:
            if group_id not in self._store.groups or group_id == group.id:
                raise Failure(500, listed(f'invalid group ID "{group_id}"'))
        if "member_entity_ids" in data:
            group = replace(group, member_entity_ids=tuple(dict.fromkeys(entities)))
        if "member_group_ids" in data:
            group = replace(group, member_group_ids=tuple(dict.fromkeys(groups)))
        return group

    async def delete(self, call: Call) -> None:
        group = self._find(call.data)
        if group is not None:
            await self._store.delete_group(group.id)

    async def lookup(self, call: Call) -> Answer | None:
        data = call.data
        if text_of(data, "alias_name"):
            found = self._store.find_mapped_group(
                text_of(data, "alias_mount_accessor"), text_of(data, "alias_name")
            )
        elif text_of(data, "alias_id"):
            found = self._store.find_group_alias(text_of(data, "alias_id"))
        elif text_of(data, "id") or text_of(data, "name"):
            found = self._find(data)
        else:
            raise Failure(400, "query parameter not supplied")
        return None if found is None else Answer(data=self._show(found))

    def _find(self, data: Mapping[str, Any]) -> GroupRecord | None:
        group_id, name = text_of(data, "id"), text_of(data, "name")
        if group_id:
            return self._store.groups.get(group_id)
        return self._store.find_group_by_name(name) if name else None

    def _show(self, group: GroupRecord) -> dict[str, Any]:
        parents = [each.id for each in self._store.parents_of(group.id)]
        return {
            "alias": _show_group_alias(group) if group.alias else {},
            "creation_time": show_time(group.created),
            "id": group.id,
            "last_update_time": show_time(group.updated),
            "member_entity_ids": None if group.member_entity_ids is None else list(group.member_entity_ids),
            "member_group_ids": list(group.member_group_ids) or None,
            "metadata": dict(group.metadata) or None,
            "modify_index": group.modify_index,
            "name": group.name,
            "namespace_id": "root",
            "parent_group_ids": parents or None,
            "policies": list(group.policies) or None,
            "type": group.type,
        }

    # --- aliases -------------------------------------------------------------------------------

    async def list_aliases(self, call: Call) -> Answer:
        info = {}
        for group in self._store.groups.values():
            if group.alias is not None:
                shown = _show_group_alias(group) | {"custom_metadata": None, "local": False}
                info[group.alias.id] = {name: shown[name] for name in _LISTED if name in shown}
        return Answer(data={"key_info": info, "keys": sorted(info)} if info else {})

    async def read_alias(self, call: Call) -> Answer | None:
        group = self._store.find_group_alias(call.data["id"])
        if group is None:
            return None
        extra = {"custom_metadata": None, "local": False, "namespace_id": "root"}
        return Answer(data=_show_group_alias(group) | extra)

    async def write_alias(self, call: Call) -> Answer:
        data = call.data
        name, accessor = text_of(data, "name"), text_of(data, "mount_accessor")
        known = self._store.find_group_alias(text_of(data, "id")) if text_of(data, "id") else None
        group = known
        if text_of(data, "canonical_id"):
            group = self._store.groups.get(text_of(data, "canonical_id"))
        if known is not None and known.alias is not None:
            name, accessor = name or known.alias.name, accessor or known.alias.mount_accessor
        if not name:
            raise Failure(400, "missing alias name")
        if not accessor:
            raise Failure(400, "missing mount_accessor")
        mount = _mount_of(self._state, accessor)
        if group is None:
            if text_of(data, "canonical_id"):
                raise Failure(400, "invalid canonical ID")
            group = self._store.new_group(kind=EXTERNAL)
        if group.type != EXTERNAL:
            raise Failure(400, "alias can't be set on an internal group")
        mapped = self._store.find_mapped_group(accessor, name)
        if mapped is not None and mapped.id != group.id:
            raise Failure(400, "alias is already tied to a different group")
        now = self._state.clock.now()
        old = known.alias if known else None
        alias = GroupAlias(
            id=old.id if old else str(uuid.uuid4()),
            name=name,
            mount_accessor=accessor,
            mount_path=mount.entry.route,
            mount_type=mount.entry.type,
            created=old.created if old else now,
            updated=now,
        )
        group = await self._store.put_group(replace(group, alias=alias))
        return Answer(data={"canonical_id": group.id, "id": alias.id})

    async def delete_alias(self, call: Call) -> None:
        group = self._store.find_group_alias(call.data["id"])
        if group is not None:
            await self._store.put_group(replace(group, alias=None))


_LISTED = (
    "canonical_id",
    "custom_metadata",
    "local",
    "metadata",
    "mount_accessor",
    "mount_path",
    "mount_type",
    "name",
)


def _show_alias(state: HostState, entity_id: str, alias: EntityAlias) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "canonical_id": entity_id,
        "creation_time": show_time(alias.created),
        "custom_metadata": dict(alias.custom_metadata) or None,
        "id": alias.id,
        "last_update_time": show_time(alias.updated),
        "local": alias.local,
        "merged_from_canonical_ids": None,
        "metadata": dict(alias.metadata) or None,
        "mount_accessor": alias.mount_accessor,
        "name": alias.name,
    }
    mount = state.mounts.by_accessor(alias.mount_accessor)
    if mount is not None:  # it may be gone, the alias stays
        shown |= {"mount_path": mount.entry.route, "mount_type": mount.entry.type}
    return shown


def _show_group_alias(group: GroupRecord) -> dict[str, Any]:
    alias = group.alias
    assert alias is not None
    return {
        "canonical_id": group.id,
        "creation_time": show_time(alias.created),
        "id": alias.id,
        "last_update_time": show_time(alias.updated),
        "merged_from_canonical_ids": None,
        "metadata": None,
        "mount_accessor": alias.mount_accessor,
        "mount_path": alias.mount_path,
        "mount_type": alias.mount_type,
        "name": alias.name,
    }


def _mount_of(state: HostState, accessor: str) -> RunningMount:
    mount = state.mounts.by_accessor(accessor)
    if mount is None:
        raise Failure(400, f'invalid mount accessor "{accessor}"')
    return mount


def _policies(data: Mapping[str, Any]) -> tuple[str, ...]:
    policies = sanitize_policies(list_of(data, "policies"))
    if "root" in policies:
        raise Failure(400, "policies cannot contain root")
    return policies


def _metadata(data: Mapping[str, Any], what: str) -> dict[str, str]:
    name = "custom_metadata" if what == "custom_metadata" else "metadata"
    metadata = map_of(data, name)
    try:
        verify_metadata(metadata)
    except IdentityError as error:
        raise Failure(500, listed(f"invalid {what} metadata: {error}")) from error
    return metadata


def _group_type(data: Mapping[str, Any], known: GroupRecord | None) -> str:
    kind = text_of(data, "type")
    if kind and kind not in (INTERNAL, EXTERNAL):
        raise Failure(400, f'invalid group type "{kind}"')
    if known is not None and kind and kind != known.type:
        raise Failure(400, "group type cannot be changed")
    return kind or (known.type if known else INTERNAL)
