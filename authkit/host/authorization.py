"""Who makes a request, and whether they may: token, entity, policies, addresses."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address, ip_network
from typing import ClassVar

from authkit.auth.policies import sanitize_policies
from authkit.host.store.identity import EntityRecord, IdentityStore
from authkit.host.store.policies import ACL, PolicyStore
from authkit.host.store.tokens import Token
from authkit.values import Value

__all__ = ["Caller", "DeniedError", "ForeignAddressError", "acl_of", "identify", "is_bound_to"]


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
    """
    if token.ttl and token.bound_cidrs and not is_bound_to(token.bound_cidrs, remote_addr):
        raise ForeignAddressError
    entity = identity.entities.get(token.entity_id)
    if token.entity_id and (entity is None or entity.disabled):
        raise DeniedError("the entity of the token is disabled or gone")
    return Caller(text=text, token=token, entity=entity, acl=acl_of(token, identity, policies))


def acl_of(token: Token, identity: IdentityStore, policies: PolicyStore) -> ACL:
    """Return what a token may do: its own policies, and those of its entity and groups."""
    entity = identity.entities.get(token.entity_id)
    variables = {}
    if entity is not None:
        variables = {"identity.entity.id": entity.id, "identity.entity.name": entity.name}
    derived = identity.policies_of(token.entity_id)
    return policies.acl(sanitize_policies([*token.policies, *derived]), variables)


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
