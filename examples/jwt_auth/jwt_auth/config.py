"""The configuration of a mount: whose tokens are accepted, and where the keys that verify them come from.

The keys themselves are left to `jwt_auth.keys`, the lookups of `provider_config` to `jwt_auth.providers`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from authkit.auth import SDKRecord
from authkit.errors import UserError
from authkit.framework import Bool, CommaList, List, LowerStr, Map, Secret, Str, field
from authkit.oidc import ALGORITHMS, StaticKeys
from jwt_auth.providers import secret_keys, verify_provider_config

__all__ = ["JWTConfig"]

RESPONSE_TYPES = ("code", "id_token")


class JWTConfig(SDKRecord):
    """Configure whose tokens are accepted, and where the keys that verify them come from.

    Exactly one of 'jwt_validation_pubkeys', 'jwks_url', 'jwks_pairs' and 'oidc_discovery_url' must be set.
    A write replaces the whole configuration, except 'namespace_in_state'.
    """

    oidc_discovery_url: Str = field(
        default="",
        help="OIDC Discovery URL, without any .well-known component (base path). Its document names the keys.",
    )
    oidc_discovery_ca_pem: Str = field(
        default="",
        help="CA certificates, PEM-encoded, to verify the server of 'oidc_discovery_url' with. If not set, "
        "the system's certificates are used.",
    )
    oidc_client_id: Str = field(default="", help="The OAuth client ID configured with the OIDC provider.")
    oidc_client_secret: Secret = field(
        default="", help="The OAuth client secret configured with the OIDC provider. It is never shown."
    )
    oidc_response_mode: Str = field(
        default="", help="The response mode of browser logins: 'query' (the default) or 'form_post'."
    )
    oidc_response_types: CommaList = field(
        default=(), help="The response types of browser logins: 'code' (the default) and 'id_token'."
    )
    jwks_url: Str = field(default="", help="URL of the JSON Web Key Set that verifies signatures.")
    jwks_ca_pem: Str = field(
        default="",
        help="CA certificates, PEM-encoded, to verify the server of 'jwks_url' with. If not set, the "
        "system's certificates are used.",
    )
    jwks_pairs: List = field(
        default=(), help="A list of objects with 'jwks_url' and optionally 'jwks_ca_pem': several key sets."
    )
    jwt_validation_pubkeys: CommaList = field(
        default=(),
        help="A list of PEM-encoded public keys or certificates that verify signatures locally.",
    )
    jwt_supported_algs: CommaList = field(
        default=(), help="A list of accepted signing algorithms. If empty, all of them are accepted."
    )
    bound_issuer: Str = field(default="", help="The value against which to match the 'iss' claim.")
    default_role: LowerStr = field(
        default="", help="The role to use for logins that name none. If not set, they must name one."
    )
    provider_config: Map = field(
        default={}, help="Settings for lookups at a particular provider, named by its key 'provider'."
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

    @property
    def has_client(self) -> bool:
        """Whether the mount is an OAuth client, as browser logins need it."""
        return bool(self.oidc_client_id)

    def check(self) -> None:
        """Refuse a configuration with which nobody could log in. Nothing is asked of any provider."""
        self._check_sources()
        self._check_client()
        self._check_pairs()
        if self.jwt_validation_pubkeys:
            try:
                StaticKeys.from_pem(self.jwt_validation_pubkeys)
            except ValueError as error:
                raise UserError(f"error parsing public key: {error}") from error
        for algorithm in self.jwt_supported_algs:
            if algorithm not in ALGORITHMS:
                raise UserError(f'invalid jwt_supported_algs: unsupported signing algorithm "{algorithm}"')
        self._check_responses()
        verify_provider_config(self.provider_config)

    def read_shape(self) -> dict[str, Any]:
        """Return what a read shows: neither the client's secret nor those of the provider."""
        shown = super().read_shape()
        hidden = secret_keys(self.provider_config)
        kept = {name: value for name, value in self.provider_config.items() if name not in hidden}
        return shown | {"provider_config": kept}

    def _check_sources(self) -> None:
        sources = (self.jwt_validation_pubkeys, self.jwks_url, self.jwks_pairs, self.oidc_discovery_url)
        if sum(map(bool, sources)) != 1:
            raise UserError(
                "exactly one of 'jwt_validation_pubkeys', 'jwks_url', 'jwks_pairs' or 'oidc_discovery_url' "
                "must be set"
            )

    def _check_client(self) -> None:
        if bool(self.oidc_client_id) != bool(self.oidc_client_secret):
            raise UserError("both 'oidc_client_id' and 'oidc_client_secret' must be set for OIDC")
        if self.has_client and not self.oidc_discovery_url:
            raise UserError("'oidc_discovery_url' must be set for OIDC")

    def _check_pairs(self) -> None:
        if not self.jwks_pairs:
            return
        if self.jwks_ca_pem:
            raise UserError(
                "CA PEMs must be provided as part of the 'jwks_pairs' when using multiple JWKS URLs"
            )
        if self.bound_issuer:
            raise UserError("Bound issuer is not supported for use with 'jwks_pairs'")
        for pair in self.jwks_pairs:
            if not isinstance(pair, Mapping):
                raise UserError(
                    "invalid jwks_pairs: jwks_pairs must be provided as a list of json objects with the fields "
                    "jwks_url and jwks_ca_pem"
                )

    def _check_responses(self) -> None:
        types, mode = self.oidc_response_types, self.oidc_response_mode
        if not set(types) <= set(RESPONSE_TYPES):
            shown = " ".join(types)
            raise UserError(f"invalid response_types [{shown}]. 'code' and 'id_token' are allowed")
        if mode in ("", "query"):
            if "id_token" in types:
                raise UserError("query response_mode may not be used with an id_token response_type")
        elif mode != "form_post":
            raise UserError(f'invalid response_mode: "{mode}"')
