"""`identity/group` and what belongs to it: groups and their aliases, as operators write and read them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from authkit.errors import InternalError, UserError
from authkit.framework import (
    KV,
    Call,
    CommaList,
    Listing,
    Model,
    Str,
    delete,
    field,
    list_,
    read,
    write,
)
from authkit.host.backends.identity.fields import (
    AliasFields,
    IdentityPaths,
    LookupFields,
    list_aliases,
    metadata_of_data,
    policies_of_data,
)
from authkit.host.store.identity import EXTERNAL, INTERNAL, AliasRecord, GroupRecord
from authkit.host.store.times import show_time
from authkit.values import replace

__all__ = ["Groups"]


class GroupFields(Model):
    """What an operator writes of a group."""

    id: Str = field(default="", help="Its id.")
    name: Str = field(default="", help="Its name.")
    type: Str = field(default="", help="`internal` or `external`; cannot be changed.")
    metadata: KV = field(default={}, help="Free key-value pairs.")
    policies: CommaList = field(default=(), help="Policies of its members' tokens.")
    member_entity_ids: CommaList = field(default=(), help="Entities of an internal group.")
    member_group_ids: CommaList = field(default=(), help="Groups of an internal group.")


class Groups(IdentityPaths):
    """The paths of groups and their aliases."""

    @list_("group/id")
    async def list_group_ids(self) -> Listing:
        """Return all ids, with what is known of each."""
        info: dict[str, Any] = {}
        for group in self.identity.groups.values():
            parents = len(self.identity.parents_of(group.id))
            info[group.id] = {
                "name": group.name,
                "num_member_entities": len(group.member_entity_ids or ()),
                "num_parent_groups": parents,
            }
        return Listing(sorted(info), info)

    @list_("group/name")
    async def list_group_names(self) -> Listing:
        """Return all names."""
        names = sorted(group.name for group in self.identity.groups.values())
        return Listing(names)

    @read("group/id/{id:path}", fields=GroupFields)
    async def read_group(self, call: Call) -> Mapping[str, Any] | None:
        """Return the group."""
        found = self.identity.groups.get(call.data.values["id"])
        return None if found is None else self._show_group(found)

    @read("group/name/{name:path}", fields=GroupFields)
    async def read_group_by_name(self, call: Call) -> Mapping[str, Any] | None:
        """Return the group."""
        # By what the path names: policies know nothing of an id beside it.
        found = self.identity.find_group_by_name(call.data.values["name"])
        return None if found is None else self._show_group(found)

    @write("group", "group/id/{id:path}", fields=GroupFields)
    async def write_group(self, call: Call) -> Mapping[str, Any] | None:
        """Create or update the group."""
        data = call.data.values
        known = self._find_group(data)
        if known is None and data.get("id", ""):
            raise UserError("invalid group ID")
        return await self._write_group(known, data)

    @write("group/name/{name:path}", fields=GroupFields)
    async def write_group_by_name(self, call: Call) -> Mapping[str, Any] | None:
        """Create or update the group."""
        data = call.data.values
        return await self._write_group(self.identity.find_group_by_name(data["name"]), data)

    async def _write_group(
        self, known: GroupRecord | None, data: Mapping[str, Any]
    ) -> Mapping[str, Any] | None:
        name = data.get("name", "")
        group = known or self.identity.new_group(name, data.get("type", "") or INTERNAL)
        group = replace(group, type=_group_type(data, known))
        if known is not None and name:
            if self.identity.find_group_by_name(name) not in (None, known):
                raise UserError("group name is already in use")
            group = replace(group, name=name)
        if "policies" in data:
            group = replace(group, policies=policies_of_data(data))
        if "metadata" in data:
            group = replace(group, metadata=metadata_of_data(data, "group"))
        group = await self.identity.put_group(self._with_members(group, data))
        return None if known is not None else {"id": group.id, "name": group.name}

    def _with_members(self, group: GroupRecord, data: Mapping[str, Any]) -> GroupRecord:
        entities, groups = data.get("member_entity_ids", ()), data.get("member_group_ids", ())
        if entities and group.type == EXTERNAL:
            raise UserError("member entities can't be set manually for external groups")
        if groups and group.type == EXTERNAL:
            raise UserError("member groups can't be set for external groups")
        for entity_id in entities:
            if entity_id not in self.identity.entities:
                raise InternalError(f'invalid entity ID "{entity_id}"')
        for group_id in groups:
            if group_id == group.id:
                raise InternalError(f'member group ID "{group_id}" is same as the ID of the group')
            if group_id not in self.identity.groups:
                raise InternalError(f'invalid member group ID "{group_id}"')
            if self.identity.is_within(group.id, group_id):
                raise UserError(f'cyclic relationship detected for member group ID "{group_id}"')
        if "member_entity_ids" in data:
            group = replace(group, member_entity_ids=tuple(dict.fromkeys(entities)))
        if "member_group_ids" in data:
            group = replace(group, member_group_ids=tuple(dict.fromkeys(groups)))
        return group

    @delete("group/id/{id:path}", fields=GroupFields)
    async def delete_group(self, call: Call) -> None:
        """Delete the group."""
        await self.identity.delete_group(call.data.values["id"])

    @delete("group/name/{name:path}", fields=GroupFields)
    async def delete_group_by_name(self, call: Call) -> None:
        """Delete the group."""
        found = self.identity.find_group_by_name(call.data.values["name"])
        if found is not None:
            await self.identity.delete_group(found.id)

    @write("lookup/group", fields=LookupFields)
    async def lookup_group(self, call: Call) -> Mapping[str, Any] | None:
        """Find one by id, name or alias."""
        data = call.data.values
        if data.get("alias_name", ""):
            found = self.identity.find_mapped_group(
                data.get("alias_mount_accessor", ""), data.get("alias_name", "")
            )
        elif data.get("alias_id", ""):
            found = self.identity.find_group_alias(data.get("alias_id", ""))
        elif data.get("id", "") or data.get("name", ""):
            found = self._find_group(data)
        else:
            raise UserError("query parameter not supplied")
        return None if found is None else self._show_group(found)

    def _find_group(self, data: Mapping[str, Any]) -> GroupRecord | None:
        group_id, name = data.get("id", ""), data.get("name", "")
        if group_id:
            return self.identity.groups.get(group_id)
        return self.identity.find_group_by_name(name) if name else None

    def _show_group(self, group: GroupRecord) -> dict[str, Any]:
        parents = [each.id for each in self.identity.parents_of(group.id)]
        alias = self.show_alias(group.id, group.alias) if group.alias else {}
        return {
            "alias": {name: each for name, each in alias.items() if name not in ("custom_metadata", "local")},
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

    @list_("group-alias/id")
    async def list_group_aliases(self) -> Listing:
        """Return the ids of all aliases, with what is known of each."""
        groups = self.identity.groups.values()
        return list_aliases(self.show_alias(each.id, each.alias) for each in groups if each.alias is not None)

    @read("group-alias/id/{id:path}", fields=AliasFields)
    async def read_group_alias(self, call: Call) -> Mapping[str, Any] | None:
        """Return an alias."""
        group = self.identity.find_group_alias(call.data.values["id"])
        if group is None or group.alias is None:
            return None
        return self.show_alias(group.id, group.alias) | {"namespace_id": "root"}

    @write("group-alias", "group-alias/id/{id:path}", fields=AliasFields)
    async def write_group_alias(self, call: Call) -> Mapping[str, Any] | None:
        """Create or update an alias."""
        data = call.data.values
        name, accessor = data.get("name", ""), data.get("mount_accessor", "")
        owner = self.identity.find_group_alias(data["id"]) if data.get("id", "") else None
        old = owner.alias if owner is not None else None
        if old is None and data.get("id", ""):
            raise UserError("invalid group alias ID")
        group = owner
        if data.get("canonical_id", ""):
            group = self.identity.groups.get(data["canonical_id"])
            if group is None:
                raise UserError(
                    "invalid group ID given in 'canonical_id'" if owner else "invalid canonical ID"
                )
        if not name:
            raise UserError("missing alias name")
        if not accessor:
            raise UserError("missing mount_accessor")
        mount = self.mount_of(accessor)
        group = group or self.identity.new_group(kind=EXTERNAL)
        if group.type != EXTERNAL:
            raise UserError("alias can't be set on an internal group")
        mapped = self.identity.find_mapped_group(accessor, name)
        if mapped is not None and mapped.id not in (group.id, owner.id if owner is not None else ""):
            raise UserError("combination of mount and group alias name is already in use")
        if old is not None and owner is group and (name, accessor) == (old.name, old.mount_accessor):
            return None
        now = self.state.clock.now()
        alias = AliasRecord(
            id=old.id if old else str(uuid.uuid4()),
            name=name,
            mount_accessor=accessor,
            mount_path=mount.route,
            mount_type=mount.type,
            created=old.created if old else now,
            updated=now,
        )
        group = replace(group, alias=alias)
        if owner is not None and owner.id != group.id:  # it moves: members of both groups would have both
            await self.identity.put_groups(replace(owner, alias=None), group)
        else:
            await self.identity.put_group(group)
        return {"canonical_id": group.id, "id": alias.id}

    @delete("group-alias/id/{id:path}", fields=AliasFields)
    async def delete_group_alias(self, call: Call) -> None:
        """Delete an alias."""
        group = self.identity.find_group_alias(call.data.values["id"])
        if group is not None:
            await self.identity.put_group(replace(group, alias=None))


def _group_type(data: Mapping[str, Any], known: GroupRecord | None) -> str:
    kind = data.get("type", "")
    if kind and kind not in (INTERNAL, EXTERNAL):
        raise UserError(f'invalid group type "{kind}"')
    if known is not None and kind and kind != known.type:
        raise UserError("group type cannot be changed")
    return kind or (known.type if known else INTERNAL)
