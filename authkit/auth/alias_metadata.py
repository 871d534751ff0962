"""What metadata a host keeps with an alias: the one place that knows the limits.

They are those of Vault 1.21, vault/identity_store_util.go, validateMetadata, and the words are the host's.
Its `characters` are bytes: Go's `len`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from authkit.values import verify_collections

__all__ = ["find_metadata_fault", "find_pair_fault", "split_alias_metadata"]

MAX_PAIRS: Final = 64
TOO_MANY_PAIRS: Final = f"metadata cannot contain more than {MAX_PAIRS} key/value pairs"
MAX_KEY_BYTES: Final = 128
MAX_VALUE_BYTES: Final = 512
RESERVED_PREFIX: Final = "vault-"

_KEY: Final = re.compile(r"[A-Za-z0-9=/+_-]+")


def find_metadata_fault(metadata: Mapping[str, str]) -> str | None:
    """Return why a host would not keep this metadata with an alias, `None` when it would."""
    faults = (fault for pair in metadata.items() if (fault := find_pair_fault(*pair)))
    fault = TOO_MANY_PAIRS if len(metadata) > MAX_PAIRS else next(faults, None)
    return None if fault is None else f"invalid alias metadata: {fault}"


def find_pair_fault(key: str, value: str) -> str | None:
    """Return why a host would not keep this pair, `None` when it would."""
    if not key:
        return "key cannot be blank"
    if _KEY.fullmatch(key) is None:
        return "key contains invalid characters"
    if len(key) > MAX_KEY_BYTES:  # of ASCII alone
        return f"key is too long (limit: {MAX_KEY_BYTES} characters)"
    if key.startswith(RESERVED_PREFIX):
        return f'key prefix "{RESERVED_PREFIX}" is reserved for internal use'
    if len(value.encode()) > MAX_VALUE_BYTES:
        return f"value is too long (limit: {MAX_VALUE_BYTES} characters)"
    return None


def split_alias_metadata(metadata: Mapping[str, str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return what a host keeps with an alias, and the keys of all that it would refuse the login for.

    For metadata that somebody else decides on, such as the claims of a token: one value that is too
    long must not keep its owner out.
    """
    verify_collections(metadata=metadata)
    fitting = [pair for pair in metadata.items() if find_pair_fault(*pair) is None]
    kept = dict(fitting[:MAX_PAIRS])
    return kept, tuple(key for key in metadata if key not in kept)
