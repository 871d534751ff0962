"""What every auth method repeats: login, identity, roles with token parameters, renewal.

These are the public names; what is no auth matter (models, stored objects, tasks) is in
`authkit.framework`.
"""

from authkit.auth.cidrs import is_address_in, verify_remote_address
from authkit.auth.identity import Identity
from authkit.auth.login import LoginCall, login
from authkit.auth.method import AuthMethod
from authkit.auth.renewal import Lifetimes, Renewal, RenewCall, keep, renewal, update
from authkit.auth.tokens import Role, TokenParameters

__all__ = [
    "AuthMethod",
    "Identity",
    "Lifetimes",
    "LoginCall",
    "RenewCall",
    "Renewal",
    "Role",
    "TokenParameters",
    "is_address_in",
    "keep",
    "login",
    "renewal",
    "update",
    "verify_remote_address",
]
