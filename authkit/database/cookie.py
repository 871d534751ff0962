"""The cookie by which a database plugin knows its host. Nothing is imported: it is checked first."""

from __future__ import annotations

__all__ = ["COOKIE_KEY", "COOKIE_VALUE", "ENABLING"]

COOKIE_KEY = "VAULT_DATABASE_PLUGIN"
COOKIE_VALUE = "926a0820-aea2-be28-51d6-83cdf00e8edb"
"""The same on Vault and OpenBao (Vault SDK 0.21, database/dbplugin/v5/plugin_client.go)."""

ENABLING = "name it as plugin_name in `vault write database/config/...`"
"""What an operator does with a registered database plugin."""
