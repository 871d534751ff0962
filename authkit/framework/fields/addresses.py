"""IP addresses and address blocks as operators write them.

Only what is an address is taken: Go's parser makes a UNIX socket of any other text with a slash in
it, so that `10.0.0.0/33` is accepted and then matches nobody. Matching addresses:
`authkit.auth.cidrs`.
"""

from __future__ import annotations

from ipaddress import IPv4Interface, IPv6Interface, ip_interface
from typing import Any

from authkit.errors import UserError
from authkit.framework.fields.containers import CommaListType
from authkit.framework.fields.types import FieldType

__all__ = ["AddressBlock", "CidrsType", "format_block", "parse_block"]

AddressBlock = IPv4Interface | IPv6Interface
"""An address with a prefix length; host bits are kept as they were written."""


def parse_block(text: str) -> AddressBlock:
    """Return the block that `text` names: `10.0.0.1`, `10.0.0.0/8`, `2001:db8::/32`.

    Raises:
        ValueError: it is not an IPv4 or IPv6 address, with or without prefix length.
    """
    _, slash, prefix = text.partition("/")
    # Python also takes netmasks, and 0.255.255.255 would be read the other way round.
    if (slash and not (prefix.isascii() and prefix.isdigit())) or "%" in text:
        raise ValueError("not an address")
    block = ip_interface(text)
    if isinstance(block, IPv6Interface) and block.ip.ipv4_mapped is not None:
        # A client is known by its IPv4 address; such a block would match nobody.
        raise ValueError("an IPv4 address in IPv6 form")
    return block


def format_block(block: AddressBlock) -> str:
    """Return the block as text; a single address has no prefix length."""
    if block.network.prefixlen == block.max_prefixlen:
        return str(block.ip)
    return block.with_prefixlen


class CidrsType(FieldType[tuple[AddressBlock, ...]]):
    """A list of addresses and address blocks; a single text is split at its commas."""

    label = "slice"

    @property
    def zero(self) -> tuple[AddressBlock, ...]:
        """No blocks."""
        return ()

    def parse(self, name: str, raw: Any) -> tuple[AddressBlock, ...]:
        """Return the blocks.

        Raises:
            UserError: one of them is none, with the words that clients of Vault know
                (Vault SDK 0.21, helper/tokenutil/tokenutil.go, ParseTokenFields).
        """
        if isinstance(raw, tuple) and all(isinstance(item, AddressBlock) for item in raw):
            return raw
        return tuple(_parse(text) for text in CommaListType().parse(name, raw))

    def dump(self, value: tuple[AddressBlock, ...]) -> list[str]:
        """Return the blocks as texts."""
        return [format_block(block) for block in value]


def _parse(text: str) -> AddressBlock:
    try:
        return parse_block(text)
    except ValueError as error:
        raise UserError(
            f'error parsing address "{text}": Unable to convert "{text}" to an IPv4 or IPv6 address'
        ) from error
