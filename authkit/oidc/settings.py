"""What an operator can set for lookups at a particular identity provider, by name.

Apart from the providers themselves (`authkit.oidc.providers`), which are loaded where one is used.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from authkit.values import Value, verify_collections

__all__ = ["PROVIDER_SETTINGS", "ProviderSettings", "verify_settings"]


class ProviderSettings(Value, frozen=True):
    """The names of the settings of one provider."""

    shown: frozenset[str] = frozenset()
    """Settings that anybody may read who may read the configuration."""
    secret: frozenset[str] = frozenset()
    """Settings that are never shown."""

    def __post_init__(self) -> None:
        verify_collections(shown=self.shown, secret=self.secret)


PROVIDER_SETTINGS: Final[Mapping[str, ProviderSettings]] = MappingProxyType(
    {
        "azure": ProviderSettings(shown=frozenset({"fetch_groups", "graph_host"})),
        "gsuite": ProviderSettings(
            shown=frozenset(
                {
                    "domain",
                    "fetch_groups",
                    "fetch_user_info",
                    "groups_recurse_max_depth",
                    "gsuite_admin_impersonate",
                    "impersonate_principal",
                    "user_custom_schemas",
                }
            ),
            secret=frozenset({"gsuite_service_account"}),
        ),
        "ibmisam": ProviderSettings(),
        "kubernetes": ProviderSettings(),
        "okta": ProviderSettings(
            shown=frozenset({"fetch_groups", "groups_cap", "groups_filter", "org_url", "user_id_claim"}),
            secret=frozenset({"api_token"}),
        ),
        "secureauth": ProviderSettings(),
    }
)
"""By the name that operators use."""


def verify_settings(settings: Mapping[str, object]) -> None:
    """Return if a provider has all of these settings, or there is no such provider.

    Raises:
        ValueError: it does not have one of them; the text has its name and not its value.
    """
    name = settings.get("provider")
    known = PROVIDER_SETTINGS.get(name) if isinstance(name, str) else None
    unknown = set() if known is None else settings.keys() - known.shown - known.secret - {"provider"}
    if unknown:
        raise ValueError(f"provider '{name}' has no setting '{min(unknown)}'")
