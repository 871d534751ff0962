"""The environment of a plugin's process, as Vault 1.16 and later put it together.

Lowest to highest: the host's own, what was registered, Vault's variables, go-plugin's (SDK 0.21,
helper/pluginutil/run_config.go, generateCmd; go-plugin 1.8, client.go, Start).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from authkit.database.cookie import COOKIE_KEY as DATABASE_COOKIE_KEY
from authkit.database.cookie import COOKIE_VALUE as DATABASE_COOKIE_VALUE
from authkit.host.store.plugins import VAULT_VERSION
from authkit.host.supervisor.security import Security
from authkit.wire.cookie import COOKIE_KEY, COOKIE_VALUE

__all__ = ["BACKEND_COOKIE", "DATABASE_COOKIE", "Cookie", "plugin_environment"]

Cookie = tuple[str, str]
"""The variable by which a plugin knows that a host of its kind has started it, and its value."""

BACKEND_COOKIE: Final[Cookie] = (COOKIE_KEY, COOKIE_VALUE)
"""For auth methods and secrets engines."""

DATABASE_COOKIE: Final[Cookie] = (DATABASE_COOKIE_KEY, DATABASE_COOKIE_VALUE)
"""For database plugins."""

_PORTS = {"PLUGIN_MIN_PORT": "10000", "PLUGIN_MAX_PORT": "25000"}
"""For plugins that listen on TCP."""


def plugin_environment(
    security: Security,
    *,
    inherited: Mapping[str, str],
    registered: Mapping[str, str],
    cookie: Cookie = BACKEND_COOKIE,
) -> dict[str, str]:
    """Return the whole environment of one start."""
    return {
        **{name: value for name, value in inherited.items() if not _is_of_one_start(name)},
        **registered,
        "VAULT_VERSION": VAULT_VERSION,
        **_PORTS,
        cookie[0]: cookie[1],
        "PLUGIN_PROTOCOL_VERSIONS": ",".join(map(str, security.versions)),
        **security.variables(),
    }


def _is_of_one_start(name: str) -> bool:
    """Whether a variable belongs to one start of a plugin, and must not be inherited by another."""
    cookies = (BACKEND_COOKIE[0], DATABASE_COOKIE[0])
    return name.startswith("PLUGIN_") or name == "TMPDIR" or name in cookies
