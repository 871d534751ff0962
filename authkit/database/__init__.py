"""Database plugins: what HashiCorp Vault's and OpenBao's database secrets engine drives.

::

    class RedisACL(Database[Settings, Redis], name="redis-acl", version="0.1.0"): ...

The names are imported one by one, when they are first used: see `authkit.plugin.late_names`.
"""

from __future__ import annotations

from authkit.plugin.late_names import late_names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from authkit.database.plugin import (
        Database,
    )
    from authkit.database.requests import (
        CredentialType,
        ExpirationChange,
        NewUser,
        PasswordChange,
        PublicKeyChange,
        UserDeletion,
    )
    from authkit.database.serving import (
        serve,
    )
    from authkit.database.settings import (
        DatabaseSettings,
        SQLSettings,
    )

__all__ = [
    "CredentialType",
    "Database",
    "DatabaseSettings",
    "ExpirationChange",
    "NewUser",
    "PasswordChange",
    "PublicKeyChange",
    "SQLSettings",
    "UserDeletion",
    "serve",
]

_MODULES = (
    "authkit.database.serving",
    "authkit.database.requests",
    "authkit.database.settings",
    "authkit.database.plugin",
)

__getattr__, __dir__ = late_names(globals(), _MODULES)
