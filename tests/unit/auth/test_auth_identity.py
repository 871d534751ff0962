"""Identities and addresses: what is refused before a host sees it."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Any

import pytest

from authkit.auth import Identity, is_address_in, split_alias_metadata, verify_remote_address
from authkit.errors import LoginError, PermissionDeniedError
from authkit.framework import parse_block
from authkit.logical import Connection
from authkit.masking import Secret


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"name": ""}, "missing name in alias"),
        ({"name": "a", "groups": ["g", ""]}, "a group has no name"),
        ({"name": "a", "policies": ["p", " Root "]}, "auth methods cannot create root tokens"),
        ({"name": "a", "policies": ["response-wrapping"]}, 'cannot assign policy "response-wrapping"'),
        ({"name": "a", "policies": ["CONTROL-GROUP"]}, 'cannot assign policy "control-group"'),
        ({"name": "a", "alias_metadata": {"a.b": "c"}}, "invalid alias metadata"),
        ({"name": "a", "alias_metadata": {"": "c"}}, "invalid alias metadata"),
        ({"name": "a", "alias_metadata": {"a\n": "c"}}, "invalid alias metadata"),
        ({"name": "a", "alias_metadata": {"vault-a": "c"}}, "invalid alias metadata"),
        ({"name": "a", "alias_metadata": {"a" * 129: "c"}}, "invalid alias metadata"),
        ({"name": "a", "alias_metadata": {"a": "c" * 513}}, "invalid alias metadata"),
        ({"name": "a", "alias_metadata": {"a": "é" * 257}}, "invalid alias metadata"),
        ({"name": "a", "alias_metadata": {str(i): "" for i in range(65)}}, "invalid alias metadata"),
    ],
)
def test_what_a_host_would_refuse(fields: dict[str, Any], text: str) -> None:
    """An identity that no host accepts is not made."""
    with pytest.raises(LoginError, match=text):
        Identity(**fields)


def test_at_the_limits() -> None:
    """The limits themselves are allowed, and a token without entity needs no name."""
    metadata = {f"{i:0128d}": "c" * 512 for i in range(64)}
    assert Identity(name="a", alias_metadata=metadata).alias_metadata == metadata
    assert Identity(anonymous=True).name == ""
    assert "state" not in repr(Identity(name="a", state={"token": "x"}))


def test_alias_metadata_is_split() -> None:
    """What a host keeps, in its order, and the keys of the rest."""
    assert split_alias_metadata({"a": "b", "c": "d" * 513, "e.f": "g", "vault-h": "i", "j": ""}) == (
        {"a": "b", "j": ""},
        ("c", "e.f", "vault-h"),
    )
    many = {str(number): "" for number in range(66)}
    kept, left_out = split_alias_metadata(many)
    assert (len(kept), left_out) == (64, ("64", "65"))
    assert Identity(name="a", alias_metadata=kept).alias_metadata == kept


@pytest.mark.parametrize(
    ("block", "address", "inside"),
    [
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.1.2.3/8", "10.9.9.9", True),
        ("10.0.0.1", "10.0.0.1", True),
        ("10.0.0.1", "10.0.0.2", False),
        ("10.0.0.0/8", "::ffff:10.1.2.3", True),
        ("10.0.0.0/8", "::a01:203", False),
        ("::/0", "10.0.0.1", False),
        ("2001:db8::/32", "2001:db8::1", True),
        ("fe80::/10", "fe80::1%eth0", True),
        ("0.0.0.0/0", "", False),
        ("0.0.0.0/0", "10.0.0.1:80", False),
        ("0.0.0.0/0", "example.com", False),
    ],
)
def test_address_in_block(block: str, address: str, inside: bool) -> None:
    """The family must match; what is no address is in no block."""
    assert is_address_in([parse_block(block)], address) is inside


def test_unknown_addresses_are_denied() -> None:
    """With blocks the address must be known, without them it does not matter."""
    blocks = (parse_block("0.0.0.0/0"),)
    verify_remote_address((), None)
    verify_remote_address(blocks, Connection(remote_addr="192.0.2.1"))
    for connection in (None, Connection(), Connection(remote_addr="junk")):
        with pytest.raises(PermissionDeniedError):
            verify_remote_address(blocks, connection)


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"metadata": {"pin": Secret("hunter2-hunter2")}}, "metadata['pin'] is of type Secret"),
        ({"alias_metadata": {"level": 3}}, "alias_metadata['level'] is of type int"),
        ({"metadata": {3: "x"}}, "the key 3 of metadata is of type int"),
        ({"groups": ["a", 1]}, "groups[1] is of type int"),
        ({"policies": [None]}, "policies[0] is of type NoneType"),
        ({"warnings": [b"x"]}, "warnings[0] is of type bytes"),
        ({"display_name": 1}, "display_name is of type int"),
        ({"name": 1}, "name is of type int"),
    ],
)
def test_what_an_identity_has_are_texts(fields: dict[str, Any], where: str) -> None:
    """Anything else could not be sent; the error says where it is, and shows no value."""
    with pytest.raises(TypeError, match=f"^{re.escape(where)}, and has to be a text \\(str\\)$"):
        Identity(**{"name": "a", **fields})


def test_a_kind_of_text_is_a_text() -> None:
    """Such as a member of an enumeration."""

    class Level(StrEnum):
        HIGH = "high"

    assert Identity(name="a", metadata={"level": Level.HIGH}).metadata["level"] == "high"
