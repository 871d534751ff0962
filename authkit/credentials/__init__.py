"""What secrets engines and database plugins share: names, passwords, keys, statements. Knows no host.

These are the public names. Text templates for other fields: `authkit.credentials.templates`.
"""

from authkit.credentials.key_pairs import KEY_SIZES, KeyPair, make_rsa_key
from authkit.credentials.passwords import (
    PasswordSource,
    generate_password,
    make_password,
    verify_password_policy,
)
from authkit.credentials.statements import (
    fill_placeholders,
    fill_url,
    format_expiration,
    is_safe,
    replace_unsafe,
    split_statements,
    verify_placeholders,
)
from authkit.credentials.usernames import UsernameTemplate, make_default_template

__all__ = [
    "KEY_SIZES",
    "KeyPair",
    "PasswordSource",
    "UsernameTemplate",
    "fill_placeholders",
    "fill_url",
    "format_expiration",
    "generate_password",
    "is_safe",
    "make_default_template",
    "make_password",
    "make_rsa_key",
    "replace_unsafe",
    "split_statements",
    "verify_password_policy",
    "verify_placeholders",
]
