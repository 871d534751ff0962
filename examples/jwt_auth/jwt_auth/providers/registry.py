"""Which providers a configuration can name, and what follows from their settings."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from authkit import Model
from jwt_auth.providers.configured import ConfiguredProvider, NoSettings
from jwt_auth.providers.settings import AzureSettings, GSuiteSettings, OktaSettings

if TYPE_CHECKING:
    import httpx

__all__ = [
    "BUILT_IN",
    "KUBERNETES",
    "NAME",
    "Providers",
    "extend",
    "find_destinations",
    "find_shown",
    "make_provider",
    "verify_names",
]

NAME: Final = "provider"
"""The member of `provider_config` that names the provider."""

KUBERNETES: Final = "kubernetes"
"""The provider that is a source of keys: those of the cluster that the server runs in."""


class _BuiltIn:
    """A provider whose module is imported when it is first used."""

    def __init__(self, model: type[Model], place: str) -> None:
        self.model = model
        self._place = place

    def __call__(self, settings: Mapping[str, Any], **options: Any) -> ConfiguredProvider[Any]:
        module, _, name = self._place.partition(".")
        try:
            provider: type[ConfiguredProvider[Any]] = getattr(
                import_module(f"jwt_auth.providers.{module}"), name
            )
        except ModuleNotFoundError as error:
            text = f"the package {error.name} is missing; install the plugin with its extra {module!r}"
            raise ValueError(text) from error
        return provider(settings, **options)


Providers = Mapping[str, type[ConfiguredProvider[Any]] | _BuiltIn]
"""By the name that operators use."""

BUILT_IN: Final[Providers] = MappingProxyType(
    {
        "azure": _BuiltIn(AzureSettings, "azure.AzureProvider"),
        "gsuite": _BuiltIn(GSuiteSettings, "gsuite.GSuiteProvider"),
        "ibmisam": _BuiltIn(NoSettings, "split.IBMISAMProvider"),
        KUBERNETES: _BuiltIn(NoSettings, "kubernetes.KubernetesProvider"),
        "okta": _BuiltIn(OktaSettings, "okta.OktaProvider"),
        "secureauth": _BuiltIn(NoSettings, "split.SecureAuthProvider"),
    }
)


def extend(known: Providers, others: Providers) -> Providers:
    """Return both.

    Raises:
        TypeError: two have one name, a setting hides the provider's name, or a setting is secret for one
            provider and shown for another: its value would be shown.
    """
    for name, provider in others.items():
        if name in known:
            raise TypeError(f"there is a provider {name!r} already")
        if NAME in provider.model.schema:
            raise TypeError(f"{provider.model.__name__}.{NAME}: this setting names the provider")
    both = {**known, **others}
    clashes = {name for provider in both.values() for name in _secrets(provider.model)} & find_shown(both)
    if clashes:
        raise TypeError(f"the setting {min(clashes)!r} is secret for one provider only; name it differently")
    return MappingProxyType(both)


def find_shown(providers: Providers) -> frozenset[str]:
    """Return the members of `provider_config` that a read shows, whichever provider it names."""
    names = {name for each in providers.values() for name in each.model.schema.keys() - _secrets(each.model)}
    return frozenset({NAME, *names})


def find_destinations(providers: Providers) -> Collection[str]:
    """Return the settings by which secrets are sent to one place or another."""
    return sorted({place for each in providers.values() for place in _places(each.model)})


def verify_names(providers: Providers, settings: Mapping[str, object]) -> None:
    """Check that the provider, if it is known, has all of these settings.

    Raises:
        ValueError: a setting is unknown; the text has its name and not its value.
    """
    name = settings.get(NAME)
    known = providers.get(name) if isinstance(name, str) else None
    unknown = set() if known is None else settings.keys() - known.model.schema.keys() - {NAME}
    if unknown:
        raise ValueError(f"provider '{name}' has no setting '{min(unknown)}'")


def make_provider(
    settings: Mapping[str, Any],
    fields: Mapping[str, Any],
    *,
    providers: Providers = BUILT_IN,
    transport: httpx.AsyncBaseTransport | None = None,
) -> ConfiguredProvider[Any] | None:
    """Return the provider that these settings name, `None` for no settings at all.

    Args:
        settings: what an operator wrote as `provider_config`.
        fields: the other fields of the configuration.
        providers: those that the settings can name.
        transport: what to send requests with, in place of the network.

    Raises:
        ValueError: they name none, or do not fit it. The text is that of vault-plugin-auth-jwt 0.26,
            without `invalid provider_config: `.
    """
    if not settings:
        return None
    name = settings.get(NAME)
    if not isinstance(name, str):
        raise ValueError("'provider' field not found in provider_config")
    if name not in providers:
        raise ValueError(f"provider {json.dumps(name)} not found in custom providers")
    try:
        return providers[name](settings, fields=fields, transport=transport)
    except ValueError as error:
        raise ValueError(f"error initializing {json.dumps(name)} provider_config: {error}") from error


def _secrets(model: type[Model]) -> set[str]:
    return {name for name, declared in model.schema.items() if declared.sensitive}


def _places(model: type[Model]) -> Iterator[str]:
    secrets = _secrets(model)
    for name in secrets:
        yield from model.schema[name].goes_to or model.schema.keys() - secrets
