"""What every auth method repeats: login, identity, roles with token parameters, renewal.

These are the public names. Models, stored objects and tasks: `authkit.framework`. Tests for identity
providers: `authkit.testing.ProviderContract`.
"""

from authkit.auth.alias_metadata import split_alias_metadata
from authkit.auth.cidrs import is_address_in, verify_remote_address
from authkit.auth.go_storage import SDKRecord
from authkit.auth.grants import grant, verify_login_address
from authkit.auth.identity import Identity
from authkit.auth.legacy_names import LegacyTokenNames
from authkit.auth.login import LoginCall, login
from authkit.auth.method import AuthMethod
from authkit.auth.policies import equivalent_policies, sanitize_policies
from authkit.auth.providers import (
    Credentials,
    GroupsProvider,
    IdentityProvider,
    RefreshProvider,
    UserInfoProvider,
    Verified,
    fetch_identity,
    refresh_identity,
)
from authkit.auth.renewal import Lifetimes, Renewal, RenewCall, renewal
from authkit.auth.token_parameters import Role, TokenParameters, TokenSettings

__all__ = [
    "AuthMethod",
    "Credentials",
    "GroupsProvider",
    "Identity",
    "IdentityProvider",
    "LegacyTokenNames",
    "Lifetimes",
    "LoginCall",
    "RefreshProvider",
    "RenewCall",
    "Renewal",
    "Role",
    "SDKRecord",
    "TokenParameters",
    "TokenSettings",
    "UserInfoProvider",
    "Verified",
    "equivalent_policies",
    "fetch_identity",
    "grant",
    "is_address_in",
    "login",
    "refresh_identity",
    "renewal",
    "sanitize_policies",
    "split_alias_metadata",
    "verify_login_address",
    "verify_remote_address",
]
