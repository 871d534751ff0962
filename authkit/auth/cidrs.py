"""Whether a client's address is inside the blocks that a role allows.

How blocks are written: `authkit.framework.fields.addresses`.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address

from authkit.errors import PermissionDeniedError
from authkit.framework import AddressBlock
from authkit.logical import Connection
from authkit.values import verify_collections

__all__ = ["is_address_in", "pin_address", "verify_remote_address"]


def is_address_in(blocks: Iterable[AddressBlock], address: str) -> bool:
    """Whether one of the blocks contains the address. False for a text that is not an address."""
    verify_collections(blocks=blocks)
    client = _find_address(address)
    return client is not None and any(client in block.network for block in blocks)


def verify_remote_address(blocks: tuple[AddressBlock, ...], connection: Connection | None) -> None:
    """Raise PermissionDeniedError if the request comes from outside the blocks, if there are any.

    Raises:
        PermissionDeniedError: it comes from elsewhere, or the host did not say from where.
    """
    if not blocks:
        return
    if connection is None or not is_address_in(blocks, connection.remote_addr):
        raise PermissionDeniedError


def pin_address(connection: Connection | None) -> str:
    """Return the block that holds the client's address and no other.

    Raises:
        PermissionDeniedError: the host did not say where the request comes from, or named a scope
            (`fe80::1%eth0`), which no block can have.
    """
    client = None if connection is None else _find_address(connection.remote_addr)
    if client is None or "%" in str(client):
        raise PermissionDeniedError
    return str(client)


def _find_address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        client = ip_address(text)
    except ValueError:
        return None
    if isinstance(client, IPv6Address) and client.ipv4_mapped is not None:
        return client.ipv4_mapped
    return client
