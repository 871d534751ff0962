"""authkit: auth methods for HashiCorp Vault and OpenBao, written in Python.

The public names are imported one by one, when they are first used: a process that is only asked
whether it is a plugin of another kind ends before anything heavy is loaded.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from authkit.auth import (
        AuthMethod,
        Credentials,
        Identity,
        IdentityProvider,
        LoginCall,
        Renewal,
        RenewCall,
        Role,
        TokenSettings,
        Verified,
        identify,
        keep,
        login,
        refresh,
        renewal,
        update,
    )
    from authkit.errors import (
        AuthKitError,
        BadRequestError,
        CodedError,
        InvalidCredentialsError,
        LoginError,
        NotConfiguredError,
        NotFoundError,
        PermissionDeniedError,
        SealedTextError,
        TooManyRequestsError,
        UpstreamError,
        UserError,
    )
    from authkit.framework import (
        KV,
        Bool,
        Cidrs,
        Collection,
        CommaList,
        Int,
        KeyRing,
        LowerStr,
        Map,
        Model,
        Name,
        Sealer,
        Seconds,
        Singleton,
        Str,
        Task,
        Write,
        cached,
        every,
        field,
    )
    from authkit.masking import Secret
    from authkit.serving import serve

__all__ = [
    "KV",
    "AuthKitError",
    "AuthMethod",
    "BadRequestError",
    "Bool",
    "Cidrs",
    "CodedError",
    "Collection",
    "CommaList",
    "Credentials",
    "Identity",
    "IdentityProvider",
    "Int",
    "InvalidCredentialsError",
    "KeyRing",
    "LoginCall",
    "LoginError",
    "LowerStr",
    "Map",
    "Model",
    "Name",
    "NotConfiguredError",
    "NotFoundError",
    "PermissionDeniedError",
    "RenewCall",
    "Renewal",
    "Role",
    "SealedTextError",
    "Sealer",
    "Seconds",
    "Secret",
    "Singleton",
    "Str",
    "Task",
    "TokenSettings",
    "TooManyRequestsError",
    "UpstreamError",
    "UserError",
    "Verified",
    "Write",
    "cached",
    "every",
    "field",
    "identify",
    "keep",
    "login",
    "refresh",
    "renewal",
    "serve",
    "update",
]

_HOMES = {
    "authkit.serving": {"serve"},
    "authkit.masking": {"Secret"},
    "authkit.errors": {name for name in __all__ if name.endswith("Error")},
    "authkit.auth": {
        "AuthMethod",
        "Credentials",
        "Identity",
        "IdentityProvider",
        "LoginCall",
        "RenewCall",
        "Renewal",
        "Role",
        "TokenSettings",
        "Verified",
        "identify",
        "keep",
        "login",
        "refresh",
        "renewal",
        "update",
    },
}
"""Where the names live; all others in `authkit.framework`."""


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    home = next((home for home, names in _HOMES.items() if name in names), "authkit.framework")
    value = globals()[name] = getattr(import_module(home), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
