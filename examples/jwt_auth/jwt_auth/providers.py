"""Lookups at particular identity providers, chosen by the configuration's `provider_config`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from authkit.errors import UserError

__all__ = ["secret_keys", "verify_provider_config"]

SECRET_KEYS: Final[Mapping[str, frozenset[str]]] = {
    "azure": frozenset(),
    "gsuite": frozenset({"gsuite_service_account"}),
    "ibmisam": frozenset(),
    "okta": frozenset({"api_token"}),
    "secureauth": frozenset(),
}
"""The known providers, and what of their settings a read does not show."""


def verify_provider_config(config: Mapping[str, Any]) -> None:
    """Return if the settings name a provider and fit it, or if there are none.

    Raises:
        UserError: they do not.
    """
    if not config:
        return
    name = config.get("provider")
    if not isinstance(name, str):
        raise UserError("invalid provider_config: 'provider' field not found in provider_config")
    if name not in SECRET_KEYS:
        raise UserError(f'invalid provider_config: provider "{name}" not found in custom providers')


def secret_keys(config: Mapping[str, Any]) -> frozenset[str]:
    """Return the keys of these settings that are secret."""
    return SECRET_KEYS.get(config.get("provider", ""), frozenset())
