"""Lookups at particular identity providers, each made from an operator's `provider_config`.

Import this package when a configuration names a provider, not before: each module brings its own
needs. Their errors that a caller reads hold nothing that a provider sent but a status.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from authkit.oidc.jsontext import quote
from authkit.oidc.providers.azure import AzureProvider
from authkit.oidc.providers.base import GroupsProvider, Lookup, Provider, UserInfoProvider
from authkit.oidc.providers.gsuite import GSuiteProvider
from authkit.oidc.providers.kubernetes import KubernetesProvider
from authkit.oidc.providers.okta import OktaProvider
from authkit.oidc.providers.split import IBMISAMProvider, SecureAuthProvider

if TYPE_CHECKING:
    import httpx

__all__ = [
    "PROVIDERS",
    "AzureProvider",
    "GSuiteProvider",
    "GroupsProvider",
    "IBMISAMProvider",
    "KubernetesProvider",
    "Lookup",
    "OktaProvider",
    "Provider",
    "SecureAuthProvider",
    "UserInfoProvider",
    "make_provider",
]

PROVIDERS: dict[str, type[Provider]] = {
    "azure": AzureProvider,
    "gsuite": GSuiteProvider,
    "ibmisam": IBMISAMProvider,
    "kubernetes": KubernetesProvider,
    "okta": OktaProvider,
    "secureauth": SecureAuthProvider,
}
"""By the name that operators use."""


def make_provider(
    settings: Mapping[str, Any],
    fields: Mapping[str, Any],
    *,
    transport: httpx.AsyncBaseTransport | None = None,
) -> Provider | None:
    """Return the provider that these settings name, `None` for no settings at all.

    Args:
        settings: what an operator wrote as `provider_config`.
        fields: the other fields of the configuration.
        transport: what to send requests with, in place of the network.

    Raises:
        ValueError: they name none, or do not fit it. The text is that of vault-plugin-auth-jwt 0.26,
            without `invalid provider_config: `.
    """
    if not settings:
        return None
    name = settings.get("provider")
    if not isinstance(name, str):
        raise ValueError("'provider' field not found in provider_config")
    if name not in PROVIDERS:
        raise ValueError(f"provider {quote(name)} not found in custom providers")
    try:
        return PROVIDERS[name](settings, fields=fields, transport=transport)
    except ValueError as error:
        raise ValueError(f"error initializing {quote(name)} provider_config: {error}") from error
