"""`identity/entity` and what belongs to it: entities and their aliases, as operators write and read them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from authkit.host.backends.identity.fields import (
    ALIAS_FIELDS,
    LISTED,
    LOOKUP_FIELDS,
    metadata_of_data,
    mount_of,
    policies_of_data,
)
from authkit.host.backends.router import Call, Routes, flag_of, text_of
from authkit.host.messages import Answer, Failure
from authkit.host.state import HostState
from authkit.host.store.identity import EntityAlias, EntityRecord
from authkit.host.store.times import show_time
from authkit.names import fold_name
from authkit.values import replace

__all__ = ["add_entity_routes"]

_ENTITY_FIELDS = "id name metadata policies disabled"


def add_entity_routes(routes: Routes, state: HostState) -> None:
    """Serve the entities of a host."""
    entities = _Entities(state)
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
    routes.add("entity-alias", ALIAS_FIELDS, update=entities.write_alias)
    routes.add("entity-alias/id/?", list=entities.list_aliases)
    routes.add(
        "entity-alias/id/(?P<id>.+)",
        ALIAS_FIELDS,
        read=entities.read_alias,
        update=entities.write_alias,
        delete=entities.delete_alias,
    )
    routes.add("lookup/entity", LOOKUP_FIELDS, update=entities.lookup)


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
            entity = replace(entity, policies=policies_of_data(data))
        if "metadata" in data:
            entity = replace(entity, metadata=metadata_of_data(data, "entity"))
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
                info[alias.id] = {name: shown[name] for name in LISTED if name in shown}
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
        mount = mount_of(self._state, accessor)
        now = self._state.clock.now()
        alias = EntityAlias(
            id=str(uuid.uuid4()),
            name=name,
            mount_accessor=accessor,
            mount_path=mount.entry.route,
            mount_type=mount.entry.type,
            custom_metadata=metadata_of_data(data, "custom_metadata"),
            local=mount.entry.local,
            created=now,
            updated=now,
        )
        existing = self._store.find_owner(accessor, name)
        owner = self._store.entities.get(owner_id) if owner_id else existing or self._store.new_entity()
        if owner is None:
            raise Failure(400, "invalid canonical ID")
        if existing is not None:
            found = next(each for each in existing.aliases if fold_name(each.name) == fold_name(name))
            return await self._change_alias((existing, found), data, owner.id)
        if any(each.mount_accessor == accessor for each in owner.aliases):
            raise Failure(400, "Alias already exists for requested entity and mount accessor")
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
            changed = replace(changed, custom_metadata=metadata_of_data(data, "custom_metadata"))
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
