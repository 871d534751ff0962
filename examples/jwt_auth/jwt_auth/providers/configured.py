"""The base of providers that an operator names in `provider_config`, and how their settings are read.

Settings are a `Model`. The types of texts, numbers and booleans are compared as strictly as the official
plugin does: `"true"` is not a boolean here.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar, get_args, get_origin

from authkit import FieldError, LoginError, Model, Secret, UserError
from authkit.oidc import FetchError, HTTPClient, HTTPSession, Network, UserDirectory

if TYPE_CHECKING:
    import httpx

__all__ = ["NO_FIELDS", "ConfiguredProvider", "NoSettings", "read_settings"]

S = TypeVar("S", bound=Model)

NO_FIELDS: Mapping[str, Any] = MappingProxyType({})
"""A configuration of which nothing else is known."""

_GO_NAMES: Mapping[type, str] = {
    bool: "bool",
    str: "string",
    int: "int",
    float: "float64",
    dict: "map",
    list: "slice",
}


class NoSettings(Model):
    """A provider without settings."""


class ConfiguredProvider(UserDirectory, Generic[S]):
    """A provider with settings.

    ::

        class AcmeGroups(ConfiguredProvider[AcmeSettings]):
            async def fetch_groups(self, lookup: Lookup) -> list[str]: ...

    A `Secret` of the settings is never shown. `goes_to` says by which settings its destination is set: a
    write that changes one of them has to send the secret again. Without `goes_to` any shown setting counts.

    Args:
        settings: what an operator wrote as `provider_config`.
        fields: the other fields of the configuration.
        transport: what to send requests with, in place of the network.

    Raises:
        ValueError: the settings do not fit; the text holds no value of them.
    """

    model: ClassVar[type[Model]] = NoSettings
    """The settings, from the class's own base."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for base in vars(cls).get("__orig_bases__", ()):
            if get_origin(base) is ConfiguredProvider:
                (cls.model,) = get_args(base)

    def __init__(
        self,
        settings: Mapping[str, Any],
        *,
        fields: Mapping[str, Any] = NO_FIELDS,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.settings: S = read_settings(self.model, settings)  # type: ignore[assignment]
        self.client = HTTPClient(self.make_network(fields, transport))

    def make_network(self, fields: Mapping[str, Any], transport: httpx.AsyncBaseTransport | None) -> Network:
        """Return how the provider is reached. By default `oidc_discovery_ca_pem`, if set, vouches for it.

        Raises:
            ValueError: the certificates cannot be used.
        """
        return Network(ca_pem=fields.get("oidc_discovery_ca_pem") or "", transport=transport)

    @asynccontextmanager
    async def ask(self, url: str, failure: str = "unable to ask the provider:") -> AsyncIterator[HTTPSession]:
        """Give what asks the host of `url`. All requests share one limit of time.

        Raises:
            LoginError: no usable answer; the text begins with `failure`.
        """
        try:
            async with self.client.session(url) as session:
                yield session
        except FetchError as error:
            raise LoginError(f"{failure} {error.public}", error.detail) from error


def read_settings(model: type[S], settings: Mapping[str, Any]) -> S:
    """Return the settings of a provider. Null counts as absent; names that are not declared do not matter.

    Raises:
        ValueError: one is of another type or refused. The text leaves out its value.
    """
    given = {name: value for name, value in settings.items() if name in model.schema and value is not None}
    values = {name: _verify_type(name, given[name], model.schema[name].type.zero) for name in given}
    try:
        made = model.overlaid(None, values)
        made.verify()
    except (FieldError, UserError, ValueError) as error:
        raise ValueError(str(error)) from error
    return made


def _verify_type(name: str, value: Any, zero: object) -> Any:
    """Return the value, as an integer where one arrived as a float.

    Raises:
        ValueError: it is of another type. The text begins as that of vault-plugin-auth-jwt 0.26.
    """
    wanted = str if isinstance(zero, Secret) else type(zero)
    if wanted not in (bool, str, int):
        return value
    # `bool` is a kind of `int` in Python; numbers may arrive as floats.
    if wanted is int and isinstance(value, float) and value.is_integer():
        return int(value)
    if type(value) is not wanted:
        expected, got = (_GO_NAMES.get(kind, kind.__name__) for kind in (wanted, type(value)))
        raise ValueError(
            f"1 error(s) decoding:\n\n* '{name}' expected type '{expected}', got unconvertible type '{got}'"
        )
    return value
