"""What a template may cost, and how it fails."""

from __future__ import annotations

from typing import Final

from authkit.errors import AuthKitError

__all__ = ["MAX_DEPTH", "MAX_TEMPLATE", "MAX_VALUE", "MAX_WORK", "TemplateError", "verify_length"]

MAX_TEMPLATE: Final = 100_000
"""Bytes of a template; it has to be shorter, as on a server (Vault SDK 0.21, helper/template/template.go)."""

MAX_DEPTH: Final = 50
"""Parentheses, `if` and `with` inside each other."""

MAX_VALUE: Final = 100_000
"""Characters of a value, and of the result. Go has no limit: `random 100000000` makes 100 MB."""

MAX_WORK: Final = 1_000_000
"""Characters that all functions of one run take and return together."""


class TemplateError(AuthKitError):
    """A template cannot be parsed or applied.

    The text begins as a server's and says where. It quotes the template, never the data.
    """


def verify_length(length: int) -> None:
    """Raise TemplateError if a value of `length` characters is too long. Called before the value is made."""
    if length > MAX_VALUE:
        raise TemplateError(f"a value is longer than {MAX_VALUE:,} characters")
