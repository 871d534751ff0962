"""`identity/entity` and what belongs to it: entities and their aliases, as operators write and read them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from authkit.errors import UserError
from authkit.framework import (
    KV,
    Bool,
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
from authkit.host.store.identity import AliasRecord, EntityRecord
from authkit.host.store.times import show_time
from authkit.values import replace

__all__ = ["Entities"]


class EntityFields(Model):
    """What an operator writes of an entity."""

    id: Str = field(default="", help="Its id.")
    name: Str = field(default="", help="Its name.")
    metadata: KV = field(default={}, help="Free key-value pairs.")
    policies: CommaList = field(default=(), help="Policies of its tokens.")
    disabled: Bool = field(default=False, help="Whether its tokens are refused.")


class Entities(IdentityPaths):
    """The paths of entities and their aliases."""

    @list_("entity/id")
    async def list_entity_ids(self) -> Listing:
        """Return all ids, with what is known of each."""
        info = {}
        for entity in self.identity.entities.values():
            aliases = [self._list_alias(each) for each in entity.aliases]
            info[entity.id] = {"name": entity.name} | ({"aliases": aliases} if aliases else {})
        return Listing(sorted(info), info)

    @list_("entity/name")
    async def list_entity_names(self) -> Listing:
        """Return all names."""
        names = sorted(entity.name for entity in self.identity.entities.values())
        return Listing(names)

    @read("entity/id/{id:path}", fields=EntityFields)
    async def read_entity(self, call: Call) -> Mapping[str, Any] | None:
        """Return the entity."""
        found = self.identity.entities.get(call.data.values["id"])
        return None if found is None else self._show_entity(found)

    @read("entity/name/{name:path}", fields=EntityFields)
    async def read_entity_by_name(self, call: Call) -> Mapping[str, Any] | None:
        """Return the entity."""
        # By what the path names: policies know nothing of an id beside it.
        found = self.identity.find_entity_by_name(call.data.values["name"])
        return None if found is None else self._show_entity(found)

    @write("entity", "entity/name/{name:path}", fields=EntityFields)
    async def write_entity(self, call: Call) -> Mapping[str, Any] | None:
        """Create or update the entity."""
        data = call.data.values
        known, name = self._find_entity(data), data.get("name", "")
        if known is None and data.get("id", ""):
            raise UserError("entity not found from id")
        entity = known or self.identity.new_entity(name)
        if name and known is not None and name != known.name:
            if self.identity.find_entity_by_name(name) not in (None, known):
                raise UserError("entity name is already in use")
            entity = replace(entity, name=name)
        if "policies" in data:
            entity = replace(entity, policies=policies_of_data(data))
        if "metadata" in data:
            entity = replace(entity, metadata=metadata_of_data(data, "entity"))
        if "disabled" in data:
            entity = replace(entity, disabled=data["disabled"])
        entity = await self.identity.put_entity(entity)
        if known is not None:
            return None
        return {"aliases": None, "id": entity.id, "name": entity.name}

    @write("entity/id/{id:path}", fields=EntityFields)
    async def write_entity_by_id(self, call: Call) -> Mapping[str, Any] | None:
        """Update the entity."""
        return await self.write_entity(call)

    @delete("entity/id/{id:path}", fields=EntityFields)
    async def delete_entity(self, call: Call) -> None:
        """Delete the entity."""
        found = self.identity.entities.get(call.data.values["id"])
        if found is not None:
            await self.identity.delete_entity(found.id)

    @delete("entity/name/{name:path}", fields=EntityFields)
    async def delete_entity_by_name(self, call: Call) -> None:
        """Delete the entity."""
        found = self.identity.find_entity_by_name(call.data.values["name"])
        if found is not None:
            await self.identity.delete_entity(found.id)

    @write("lookup/entity", fields=LookupFields)
    async def lookup_entity(self, call: Call) -> Mapping[str, Any] | None:
        """Find one by id, name or alias."""
        data = call.data.values
        if data.get("alias_name", ""):
            found = self.identity.find_owner(data.get("alias_mount_accessor", ""), data.get("alias_name", ""))
        elif data.get("alias_id", ""):
            pair = self.identity.find_alias(data.get("alias_id", ""))
            found = pair[0] if pair else None
        elif data.get("id", "") or data.get("name", ""):
            found = self._find_entity(data)
        else:
            raise UserError("query parameter not supplied")
        return None if found is None else self._show_entity(found)

    def _find_entity(self, data: Mapping[str, Any]) -> EntityRecord | None:
        entity_id, name = data.get("id", ""), data.get("name", "")
        if entity_id:
            return self.identity.entities.get(entity_id)
        return self.identity.find_entity_by_name(name) if name else None

    def _show_entity(self, entity: EntityRecord) -> dict[str, Any]:
        direct = [group.id for group in self.identity.groups_of(entity.id, inherited=False)]
        every = [group.id for group in self.identity.groups_of(entity.id)]
        return {
            "aliases": [self._show_alias(entity, alias) for alias in entity.aliases],
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

    @list_("entity-alias/id")
    async def list_entity_aliases(self) -> Listing:
        """Return the ids of all aliases, with what is known of each."""
        return list_aliases(
            self._show_alias(entity, alias)
            for entity in self.identity.entities.values()
            for alias in entity.aliases
        )

    @read("entity-alias/id/{id:path}", fields=AliasFields)
    async def read_entity_alias(self, call: Call) -> Mapping[str, Any] | None:
        """Return an alias."""
        found = self.identity.find_alias(call.data.values["id"])
        if found is None:
            return None
        return self._show_alias(*found) | {"namespace_id": "root"}

    @write("entity-alias", "entity-alias/id/{id:path}", fields=AliasFields)
    async def write_entity_alias(self, call: Call) -> Mapping[str, Any] | None:
        """Create or update an alias."""
        data = call.data.values
        name, accessor = data.get("name", ""), data.get("mount_accessor", "")
        owner_id = data.get("canonical_id", "") or data.get("entity_id", "")
        custom_metadata = metadata_of_data(data, "custom_metadata")
        if data.get("id", ""):
            known = self.identity.find_alias(data["id"])
            if known is None:
                raise UserError("invalid alias ID provided")
            if "custom_metadata" not in data:
                custom_metadata = dict(known[1].custom_metadata)
            return await self._change_entity_alias(known, name, accessor, custom_metadata, owner_id)
        if not name or not accessor:
            raise UserError("'id' or 'mount_accessor' and 'name' must be provided")
        mount = self.mount_of(accessor)
        known = self.identity.find_alias_of(accessor, name)
        if known is not None:
            return await self._change_entity_alias(known, name, accessor, custom_metadata, owner_id)
        now = self.state.clock.now()
        alias = AliasRecord(
            id=str(uuid.uuid4()),
            name=name,
            mount_accessor=accessor,
            mount_path=mount.route,
            mount_type=mount.type,
            custom_metadata=custom_metadata,
            local=mount.local,
            created=now,
            updated=now,
        )
        owner = self.identity.entities.get(owner_id) if owner_id else self.identity.new_entity()
        if owner is None:
            raise UserError("invalid canonical ID")
        if _has_alias_at(owner, accessor):
            raise UserError("Alias already exists for requested entity and mount accessor")
        await self.identity.put_entity(replace(owner, aliases=(*owner.aliases, alias)))
        return {"canonical_id": owner.id, "id": alias.id}

    async def _change_entity_alias(
        self,
        known: tuple[EntityRecord, AliasRecord],
        name: str,
        accessor: str,
        custom_metadata: Mapping[str, str],
        owner_id: str,
    ) -> Mapping[str, Any] | None:
        """Change an alias, or hand it to another entity.

        An entity has one alias at a mount, and a name at a mount is one entity's: whoever may write one
        alias can neither take another's name nor become the entity behind it.
        """
        owner, alias = known
        name, accessor = name or alias.name, accessor or alias.mount_accessor
        changed = replace(alias, name=name, mount_accessor=accessor, custom_metadata=dict(custom_metadata))
        if changed == alias and owner_id in ("", owner.id):
            return None
        target = self.identity.entities.get(owner_id) if owner_id else owner
        if (name, accessor) != (alias.name, alias.mount_accessor):
            mount = self.mount_of(accessor)
            changed = replace(changed, mount_path=mount.route, mount_type=mount.type, local=mount.local)
            taken = self.identity.find_alias_of(accessor, name)
            if taken is not None and taken[1].id != alias.id:
                raise UserError("alias with combination of mount accessor and name already exists")
        if accessor != alias.mount_accessor and _has_alias_at(owner, accessor):
            raise UserError(
                "Alias cannot be updated as the entity already has an alias for the given 'mount_accessor' "
            )
        if target is None:
            raise UserError("given 'canonical_id' is not associated with an entity")
        changed = replace(changed, updated=self.state.clock.now())
        rest = tuple(each for each in owner.aliases if each is not alias)
        if target.id == owner.id:
            await self.identity.put_entity(replace(owner, aliases=(*rest, changed)))
        elif _has_alias_at(target, accessor):
            raise UserError(
                "Alias cannot be updated as the given entity already has an alias for this mount "
            )
        else:
            await self.identity.put_entities(
                replace(owner, aliases=rest), replace(target, aliases=(*target.aliases, changed))
            )
        return {"canonical_id": target.id, "id": alias.id}

    @delete("entity-alias/id/{id:path}", fields=AliasFields)
    async def delete_entity_alias(self, call: Call) -> None:
        """Delete an alias."""
        found = self.identity.find_alias(call.data.values["id"])
        if found is not None:
            owner, alias = found
            rest = tuple(each for each in owner.aliases if each is not alias)
            await self.identity.put_entity(replace(owner, aliases=rest))

    def _list_alias(self, alias: AliasRecord) -> dict[str, Any]:
        shown = self.show_alias("", alias)
        names = ("id", "mount_accessor", "mount_path", "mount_type", "name")
        return {name: shown[name] for name in names if shown[name]}

    def _show_alias(self, entity: EntityRecord, alias: AliasRecord) -> dict[str, Any]:
        shown = self.show_alias(entity.id, alias)
        if self.state.mounts.by_accessor(alias.mount_accessor) is None:  # disabled; the alias stays
            return {name: each for name, each in shown.items() if name not in ("mount_path", "mount_type")}
        return shown


def _has_alias_at(entity: EntityRecord, accessor: str) -> bool:
    return any(each.mount_accessor == accessor for each in entity.aliases)
