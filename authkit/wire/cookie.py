"""The cookie by which a backend plugin knows its host. Nothing is imported: it is checked before all else."""

from __future__ import annotations

__all__ = ["COOKIE_KEY", "COOKIE_VALUE"]

COOKIE_KEY = "VAULT_BACKEND_PLUGIN"
COOKIE_VALUE = "6669da05-b1c8-4f49-97d9-c8e5bed98e20"
"""The same on Vault and OpenBao (Vault SDK 0.21, plugin/serve.go)."""
