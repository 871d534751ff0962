"""The configuration of a mount: its default issuer, and what browser logins need.

Further issuers: see `jwt_auth.settings.issuer`; the providers that `provider_config` names:
`jwt_auth.providers`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, Self

from authkit import Bool, CommaList, List, LowerStr, Map, SDKRecord, Secret, Str, UserError, field
from authkit.oidc import (
    CombinedKeys,
    DiscoveredKeys,
    JWKSKeys,
    KeySource,
    TokenVerifier,
    hide_credentials,
)
from jwt_auth.providers.registry import (
    BUILT_IN,
    KUBERNETES,
    NAME,
    Providers,
    extend,
    find_destinations,
    find_shown,
    make_provider,
    verify_names,
)
from jwt_auth.settings.bounds import verify_bounds
from jwt_auth.settings.key_sources import KeySettings, ask_for_keys, ask_for_metadata, verify_key_set_url

if TYPE_CHECKING:
    from authkit.oidc import OIDCClient, SigningKey, UserDirectory

__all__ = ["JWTConfig", "config_for"]

MAX_PAIRS: Final = 16
"""Key sets in `jwks_pairs`: each has its own connections and name look-ups, of which the process has few."""


def _provider_field(providers: Providers) -> Any:
    destinations = find_destinations(providers)
    shown = find_shown(providers)
    places = ", ".join(f"'{name}'" for name in destinations if name in shown)
    return field(
        default={},
        shown_members=shown,
        kind_member=NAME,
        goes_to=(
            "oidc_discovery_url",
            "oidc_discovery_ca_pem",
            *(f"provider_config.{name}" for name in destinations),
        ),
        help="Settings for lookups at a particular provider, named by its key 'provider'. Those that are "
        "secret are never shown, and have to be sent again by whoever changes 'oidc_discovery_url', "
        f"'oidc_discovery_ca_pem' or one of these: {places}.",
    )


class JWTConfig(SDKRecord, KeySettings):
    """Configure whose tokens are accepted, and where the keys that verify them come from.

    Exactly one of 'jwt_validation_pubkeys', 'jwks_url', 'jwks_pairs' and 'oidc_discovery_url' must be set,
    unless there are issuers of their own. A write replaces the whole configuration, except
    'namespace_in_state'.
    """

    providers: ClassVar[Providers] = BUILT_IN
    """Those that `provider_config` can name."""

    source_rule = (
        "exactly one of 'jwt_validation_pubkeys', 'jwks_url', 'jwks_pairs' or 'oidc_discovery_url' "
        "must be set"
    )

    jwks_pairs: List = field(
        default=(), help="A list of objects with 'jwks_url' and optionally 'jwks_ca_pem': several key sets."
    )
    bound_issuer: Str = field(default="", help="The value against which to match the 'iss' claim.")
    default_role: LowerStr = field(
        default="", help="The role to use for logins that name none. If not set, they must name one."
    )
    provider_config: Map = _provider_field(BUILT_IN)
    oidc_client_id: Str = field(default="", help="The OAuth client ID configured with the OIDC provider.")
    oidc_client_secret: Secret = field(
        default="",
        goes_to=("oidc_discovery_url", "oidc_discovery_ca_pem"),
        help="The OAuth client secret configured with the OIDC provider. It is never shown. Whoever changes "
        "'oidc_discovery_url' or 'oidc_discovery_ca_pem' has to send it again.",
    )
    oidc_client_authentication: Literal[
        "", "client_secret_basic", "client_secret_post", "private_key_jwt", "none"
    ] = field(
        default="",
        help="How the client shows the provider who it is: with its secret, as the provider's metadata ask "
        "(the default) or as said here; with a key of this mount, whose public half is at 'oidc/jwks'; or "
        "not at all, for public clients. Logins are bound to their client by PKCE in any case.",
    )
    oidc_response_mode: Str = field(
        default="", help="The response mode of browser logins: 'query' (the default) or 'form_post'."
    )
    oidc_response_types: CommaList = field(
        default=(), help="The response types of browser logins: 'code' (the default) and 'id_token'."
    )
    namespace_in_state: Bool = field(
        default=True,
        reset=False,
        help="Whether browser logins pass the namespace in the state in place of the redirect URI. "
        "A write without this field keeps it.",
    )
    unsupported_critical_cert_extensions: CommaList = field(
        default=(),
        help="Object identifiers of critical certificate extensions that are passed over in browser logins.",
    )

    skip_jwks_validation: Bool = field(
        default=False,
        sensitive=True,
        help="Store the configuration with a warning if a provider cannot be asked. It is not stored itself.",
    )

    @property
    def sources(self) -> Sequence[object]:
        """The values of the settings of which one is needed."""
        return (*super().sources, self.jwks_pairs, self._is_kubernetes)

    @property
    def response_type(self) -> str:
        """What the provider is asked for: `id_token` where that is among the response types, else `code`."""
        return "id_token" if "id_token" in self.oidc_response_types else "code"

    @property
    def is_form_post(self) -> bool:
        """Whether the provider is asked to send its response as a form."""
        return self.oidc_response_mode == "form_post"

    @property
    def urls(self) -> Sequence[tuple[str, str]]:
        """Where keys come from, pairs included."""
        return [*super().urls, *(("jwks_pairs", url) for url, _ in self._pairs())]

    @property
    def all_iss(self) -> Sequence[str]:
        """The `iss` of the default issuer's tokens, those of browser logins included; none if any will do."""
        return tuple(filter(None, dict.fromkeys((self.bound_issuer, self.oidc_discovery_url))))

    def check(self) -> None:
        """Refuse what contradicts itself."""
        self._check_client()
        self._check_pairs()
        self._check_responses()
        verify_bounds((), bound_issuer=self.bound_issuer)

    def verify_provider(self, named: Collection[str]) -> None:
        """Refuse settings of a provider that it does not have, or that do not fit.

        Args:
            named: the members of `provider_config` that a request sets. Unknown ones that are stored, as the
                official plugin does, are ignored.

        Raises:
            UserError: a setting is unknown, or the provider cannot be made.
        """
        settings = {name: value for name, value in self.provider_config.items() if name in {NAME, *named}}
        try:
            verify_names(self.providers, settings)
            self.make_provider()
        except ValueError as error:
            raise UserError(f"invalid provider_config: {error}") from error

    def read_shape(self) -> dict[str, Any]:
        """Return what a read shows. Credentials in URLs are of an earlier version, and are left out."""
        pairs = [
            {**pair, "jwks_url": hide_credentials(url)}
            for pair, (url, _) in zip(self.jwks_pairs, self._pairs(), strict=True)
        ]
        return super().read_shape() | {"jwks_pairs": pairs}

    @classmethod
    def from_stored(cls, data: Mapping[str, Any]) -> Self:
        """Return a stored configuration. One of a time before 'namespace_in_state' does not do that."""
        return super().from_stored({"namespace_in_state": False, **data})

    def to_stored(self) -> dict[str, Any]:
        """Return what is kept: everything but what was for one write only."""
        return {name: value for name, value in super().to_stored().items() if name != "skip_jwks_validation"}

    def make_keys(self) -> KeySource:
        """Return the keys. Nothing is fetched yet."""
        if self._is_kubernetes:
            return self._make_cluster_keys()
        if self.jwks_pairs:
            return CombinedKeys([JWKSKeys(url, ca_pem=ca_pem) for url, ca_pem in self._pairs()])
        return super().make_keys()

    def make_verifier(self, now: Callable[[], float]) -> TokenVerifier:
        """Return what verifies the tokens of the default issuer. `now` tells seconds since 1970.

        Raises:
            ValueError: its keys are none that this version takes.
        """
        return TokenVerifier(
            self.make_keys(), algorithms=self.jwt_supported_algs, issuer=self.bound_issuer, now=now
        )

    def make_client(self, signer: Callable[[], SigningKey], now: Callable[[], float]) -> OIDCClient:
        """Return the client of browser logins.

        Args:
            signer: gives the key of a client that has no secret.
            now: tells seconds since 1970.

        Raises:
            ValueError: it can be none.
        """
        from authkit.oidc import ClientAuthentication, OIDCClient

        how = self.oidc_client_authentication
        if how == "none":
            authentication = ClientAuthentication.none()
        elif how == "private_key_jwt":
            authentication = ClientAuthentication.by_signer(signer)
        else:
            authentication = ClientAuthentication.by_secret(self.oidc_client_secret, how)
        return OIDCClient(
            DiscoveredKeys(self.oidc_discovery_url, ca_pem=self.oidc_discovery_ca_pem),
            client_id=self.oidc_client_id,
            authentication=authentication,
            algorithms=self.jwt_supported_algs or ("RS256",),
            now=now,
        )

    async def ask_providers(self, keys: KeySource) -> None:
        """Fetch everything that the configuration names."""
        if self._is_kubernetes and isinstance(keys, DiscoveredKeys):
            await ask_for_metadata(keys, "error checking the keys of the cluster")
        elif isinstance(keys, CombinedKeys):
            # All at the same time: each may take ten seconds.
            pairs = zip(keys.sources, self._pairs(), strict=True)
            asked = (ask_for_keys(source, url) for source, (url, _) in pairs)
            for failure in await asyncio.gather(*asked, return_exceptions=True):
                if failure is not None:
                    raise failure
        else:
            await super().ask_providers(keys)

    def make_provider(self) -> UserDirectory | None:
        """Return the lookups that `provider_config` asks for, `None` when it asks for none.

        Raises:
            ValueError: it does not fit.
        """
        fields = {name: getattr(self, name) for name in KeySettings.schema}
        return make_provider(self.provider_config, fields, providers=self.providers)

    @property
    def _is_kubernetes(self) -> bool:
        return self.provider_config.get(NAME) == KUBERNETES

    def _make_cluster_keys(self) -> JWKSKeys:
        from jwt_auth.providers.kubernetes import KubernetesProvider

        provider = self.make_provider()
        assert isinstance(provider, KubernetesProvider)
        return provider.keys()

    def _pairs(self) -> list[tuple[str, str]]:
        return [(pair.get("jwks_url", ""), pair.get("jwks_ca_pem", "")) for pair in self.jwks_pairs]

    def _check_client(self) -> None:
        if self.oidc_client_authentication in ("private_key_jwt", "none"):
            if self.oidc_client_secret:
                how = self.oidc_client_authentication
                raise UserError(
                    f"'oidc_client_secret' is not used with 'oidc_client_authentication' {how!r}: "
                    "set it to ''"
                )
            if not self.oidc_client_id:
                raise UserError("'oidc_client_id' must be set for OIDC")
        elif bool(self.oidc_client_id) != bool(self.oidc_client_secret):
            raise UserError("both 'oidc_client_id' and 'oidc_client_secret' must be set for OIDC")
        if self.oidc_client_id and not self.oidc_discovery_url:
            raise UserError("'oidc_discovery_url' must be set for OIDC")

    def _check_pairs(self) -> None:
        if not self.jwks_pairs:
            return
        if len(self.jwks_pairs) > MAX_PAIRS:
            raise UserError(f"'jwks_pairs' has more than {MAX_PAIRS} key sets")
        if self.jwks_ca_pem:
            raise UserError(
                "CA PEMs must be provided as part of the 'jwks_pairs' when using multiple JWKS URLs"
            )
        if self.bound_issuer:
            raise UserError("Bound issuer is not supported for use with 'jwks_pairs'")
        for pair in self.jwks_pairs:
            if not isinstance(pair, Mapping) or not all(
                isinstance(pair.get(name, ""), str) for name in ("jwks_url", "jwks_ca_pem")
            ):
                raise UserError(
                    "invalid jwks_pairs: jwks_pairs must be provided as a list of json objects with the "
                    "fields jwks_url and jwks_ca_pem"
                )
        for url, ca_pem in self._pairs():
            verify_key_set_url(url, ca_pem)
            self.verify_protection("jwks_pairs", url)

    def _check_responses(self) -> None:
        types, mode = self.oidc_response_types, self.oidc_response_mode
        if not set(types) <= {"code", "id_token"}:
            shown = " ".join(types)
            raise UserError(f"invalid response_types [{shown}]. 'code' and 'id_token' are allowed")
        if mode in ("", "query"):
            if "id_token" in types:
                raise UserError("query response_mode may not be used with an id_token response_type")
        elif mode != "form_post":
            raise UserError(f'invalid response_mode: "{mode}"')


def config_for(others: Providers) -> type[JWTConfig]:
    """Return a configuration that can name these providers as well.

    Raises:
        TypeError: see `extend`.
    """
    known = extend(BUILT_IN, others)

    class ExtendedConfig(JWTConfig):
        providers = known
        provider_config: Map = _provider_field(known)

    ExtendedConfig.__doc__ = JWTConfig.__doc__
    return ExtendedConfig
