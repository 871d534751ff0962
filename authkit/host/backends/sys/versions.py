"""Versions of plugins as operators write them."""

from __future__ import annotations

from authkit.errors import UserError
from authkit.host.store.catalog import semantic_version

__all__ = ["read_version"]


def read_version(text: str) -> str:
    """Return a version as `v1.2.3`, empty for none.

    Raises:
        UserError: it is not a semantic version. The text is Vault's.
    """
    try:
        return semantic_version(text) if text else ""
    except ValueError:
        raise UserError(
            f'version "{text}" is not a valid semantic version: Malformed version: {text}'
        ) from None
