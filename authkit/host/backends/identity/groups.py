"""`identity/group` and what belongs to it: groups and their aliases, as operators write and read them."""

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
from authkit.host.backends.router import Call, Routes, list_of, text_of
from authkit.host.messages import Answer, Failure, listed
from authkit.host.state import HostState
from authkit.host.store.identity import EXTERNAL, INTERNAL, GroupAlias, GroupRecord
from authkit.host.store.times import show_time
from authkit.values import replace

__all__ = ["add_group_routes"]

_GROUP_FIELDS = "id name type metadata policies member_entity_ids member_group_ids"


def add_group_routes(routes: Routes, state: HostState) -> None:
    """Serve the groups of a host."""
    groups = _Groups(state)
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
    routes.add("group-alias", ALIAS_FIELDS, update=groups.write_alias)
    routes.add("group-alias/id/?", list=groups.list_aliases)
    routes.add(
        "group-alias/id/(?P<id>.+)",
        ALIAS_FIELDS,
        read=groups.read_alias,
        update=groups.write_alias,
        delete=groups.delete_alias,
    )
    routes.add("lookup/group", LOOKUP_FIELDS, update=groups.lookup)


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
            group = replace(group, policies=policies_of_data(data))
        if "metadata" in data:
            group = replace(group, metadata=metadata_of_data(data, "group"))
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
                raise Failure(500, listed(f'invalid member group ID "{group_id}"'))
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
                info[group.alias.id] = {name: shown[name] for name in LISTED if name in shown}
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
        mount = mount_of(self._state, accessor)
        if group is None:
            if text_of(data, "canonical_id"):
                raise Failure(400, "invalid canonical ID")
            group = self._store.new_group(kind=EXTERNAL)
        if group.type != EXTERNAL:
            raise Failure(400, "alias can't be set on an internal group")
        mapped = self._store.find_mapped_group(accessor, name)
        if mapped is not None and mapped.id != group.id:
            raise Failure(400, "combination of mount and group alias name is already in use")
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


def _group_type(data: Mapping[str, Any], known: GroupRecord | None) -> str:
    kind = text_of(data, "type")
    if kind and kind not in (INTERNAL, EXTERNAL):
        raise Failure(400, f'invalid group type "{kind}"')
    if known is not None and kind and kind != known.type:
        raise Failure(400, "group type cannot be changed")
    return kind or (known.type if known else INTERNAL)
