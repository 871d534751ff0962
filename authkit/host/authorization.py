"""Who makes a request, and whether they may: token, entity, policies, addresses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import ip_address, ip_network
from typing import ClassVar

from authkit.auth.policies import sanitize_policies
from authkit.host.store.identity import EntityRecord, IdentityStore
from authkit.host.store.policies import ACL, PolicyStore, Variables
from authkit.host.store.tokens import Token
from authkit.values import Value

__all__ = [
    "Caller",
    "DeniedError",
    "ForeignAddressError",
    "acl_of",
    "identify",
    "is_bound_to",
    "variables_of",
]


class DeniedError(Exception):
    """The token is good, but not for this caller, or not any more."""


class ForeignAddressError(DeniedError):
    """The token is bound to other addresses. A server does not even count that as a use."""


class Caller(Value, frozen=True, kw_only=True):
    """Who makes a request. Made by `identify`."""

    text: str
    """The token as it was sent."""
    token: Token
    entity: EntityRecord | None
    acl: ACL

    unshown: ClassVar = ("text",)


def identify(
    text: str, token: Token, remote_addr: str, *, identity: IdentityStore, policies: PolicyStore
) -> Caller:
    """Return the caller behind a valid token.

    Raises:
        ForeignAddressError: the token is not for this address.
        DeniedError: its entity is disabled or gone.
        FilledPolicyError: the value of a variable in a policy makes a pattern that is none.
    """
    if token.ttl and token.bound_cidrs and not is_bound_to(token.bound_cidrs, remote_addr):
        raise ForeignAddressError
    entity = identity.entities.get(token.entity_id)
    if token.entity_id and (entity is None or entity.disabled):
        raise DeniedError("the entity of the token is disabled or gone")
    return Caller(text=text, token=token, entity=entity, acl=acl_of(token, identity, policies))


def acl_of(token: Token, identity: IdentityStore, policies: PolicyStore) -> ACL:
    """Return what a token may do: its own policies, and those of its entity and groups.

    Raises:
        FilledPolicyError: the value of a variable in a policy makes a pattern that is none.
    """
    derived = identity.policies_of(token.entity_id)
    names = sanitize_policies([*token.policies, *derived])
    return policies.acl(names, variables_of(token.entity_id, identity))


def variables_of(entity_id: str, identity: IdentityStore) -> Variables:
    """Return what policies can say of an entity and its groups: all of Vault's but the time.

    A rule whose variable has no value is left out, one that denies as well (Vault 1.21,
    sdk/helper/identitytpl/templating.go).
    """
    entity = identity.entities.get(entity_id)

    def find_value(name: str) -> str | None:
        if entity is None:
            return None
        if name.startswith("identity.entity."):
            return _value_of_entity(entity, name.removeprefix("identity.entity."))
        kind, _, rest = name.removeprefix("identity.groups.").partition(".")
        wanted, _, rest = rest.partition(".")
        if not name.startswith("identity.groups.") or kind not in ("ids", "names"):
            return None
        for group in identity.groups_of(entity.id):
            if wanted == (group.id if kind == "ids" else group.name):
                return _value_of(rest, {"id": group.id, "name": group.name}, {"metadata": group.metadata})
        return None

    return find_value


def _value_of_entity(entity: EntityRecord, name: str) -> str | None:
    if not name.startswith("aliases."):
        return _value_of(name, {"id": entity.id, "name": entity.name}, {"metadata": entity.metadata})
    accessor, _, rest = name.removeprefix("aliases.").partition(".")
    for alias in entity.aliases:
        if alias.mount_accessor == accessor:
            pairs = {"metadata": alias.metadata, "custom_metadata": alias.custom_metadata}
            return _value_of(rest, {"id": alias.id, "name": alias.name}, pairs)
    return None


def _value_of(name: str, values: Mapping[str, str], pairs: Mapping[str, Mapping[str, str]]) -> str | None:
    """Return a value by its name, or, such as `metadata.team`, by that of its pairs and its key."""
    group, dot, key = name.partition(".")
    return pairs.get(group, {}).get(key) if dot else values.get(name)


def is_bound_to(blocks: Iterable[str], address: str) -> bool:
    """Whether one of the blocks holds the address. False for invalid addresses and blocks."""
    try:
        client = ip_address(address)
    except ValueError:
        return False
    for block in blocks:
        try:
            if client in ip_network(block, strict=False):
                return True
        except ValueError:
            continue
    return False
