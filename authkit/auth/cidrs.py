"""Whether a client's address is inside the blocks that a role allows.

How blocks are written is left to `authkit.framework.addresses`.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv6Address, ip_address

from authkit.errors import PermissionDeniedError
from authkit.framework import AddressBlock
from authkit.logical import Connection

__all__ = ["is_address_in", "verify_remote_address"]


def is_address_in(blocks: Iterable[AddressBlock], address: str) -> bool:
    """Whether one of the blocks contains the address. What is no address is in no block."""
    try:
        client = ip_address(address)
    except ValueError:
        return False
    if isinstance(client, IPv6Address) and client.ipv4_mapped is not None:
        client = client.ipv4_mapped
    return any(client in block.network for block in blocks)


def verify_remote_address(blocks: tuple[AddressBlock, ...], connection: Connection | None) -> None:
    """Return if the request comes from inside the blocks, or if there are none.

    Raises:
        PermissionDeniedError: it comes from elsewhere, or the host did not say from where.
    """
    if not blocks:
        return
    if connection is None or not is_address_in(blocks, connection.remote_addr):
        raise PermissionDeniedError
