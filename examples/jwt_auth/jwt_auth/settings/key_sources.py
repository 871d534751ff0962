"""Where the keys of an issuer come from: what the configuration and further issuers have in common.

Fetching, caching and renewal of keys: see `authkit.oidc`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar
from urllib.parse import urlsplit

from authkit import Bool, CommaList, Model, Str, UserError, field
from authkit.oidc import (
    ALGORITHMS,
    DiscoveredKeys,
    JWKSKeys,
    KeySource,
    ProviderError,
    StaticKeys,
    has_credentials,
    hide_credentials,
    is_loopback,
    show_url,
)

__all__ = ["KeySettings", "ask_for_keys", "ask_for_metadata", "verify_key_set_url"]

_CREDENTIALS = "it contains credentials, which a read of the configuration would show: remove them"


class KeySettings(Model):
    """The keys of an issuer, and the algorithms that it may sign with."""

    source_rule: ClassVar[str] = (
        "exactly one of 'jwt_validation_pubkeys', 'jwks_url' or 'oidc_discovery_url' must be set"
    )

    oidc_discovery_url: Str = field(
        default="",
        help="OIDC Discovery URL, without any .well-known component (base path). Its document names the "
        "keys.",
    )
    oidc_discovery_ca_pem: Str = field(
        default="",
        help="CA certificates, PEM-encoded, to verify the server of 'oidc_discovery_url' with. If not set, "
        "the system's certificates are used.",
    )
    jwks_url: Str = field(default="", help="URL of the JSON Web Key Set that verifies signatures.")
    jwks_ca_pem: Str = field(
        default="",
        help="CA certificates, PEM-encoded, to verify the server of 'jwks_url' with. If not set, the "
        "system's certificates are used.",
    )
    jwt_validation_pubkeys: CommaList = field(
        default=(),
        help="A list of PEM-encoded public keys or certificates that verify signatures locally.",
    )
    allow_plaintext_key_sources: Bool = field(
        default=False,
        help="Fetch keys over http:// from other machines as well. Whoever is on the way can then put keys "
        "of their own in place, and log in as anybody.",
    )
    jwt_supported_algs: CommaList = field(
        default=(), help="A list of accepted signing algorithms. If empty, all of them are accepted."
    )

    @property
    def sources(self) -> Sequence[object]:
        """The values of the settings of which one is needed."""
        return (self.jwt_validation_pubkeys, self.jwks_url, self.oidc_discovery_url)

    @property
    def has_source(self) -> bool:
        """Whether there are keys at all."""
        return any(self.sources)

    @property
    def urls(self) -> Sequence[tuple[str, str]]:
        """Where keys come from: the names of the settings, and the URLs that they have."""
        named = {"oidc_discovery_url": self.oidc_discovery_url, "jwks_url": self.jwks_url}
        return [(name, url) for name, url in named.items() if url]

    @property
    def plaintext_warnings(self) -> Sequence[str]:
        """What an operator is told of sources of keys that are not protected on their way."""
        return [
            f"'{name}' begins with http://: the keys are fetched without encryption"
            for name, url in self.urls
            if _is_plaintext(url)
        ]

    def check(self) -> None:
        """Refuse what could never verify a token. Nothing is asked of any provider."""
        if sum(map(bool, self.sources)) > 1:
            raise UserError(self.source_rule)
        if self.jwt_validation_pubkeys:
            try:
                StaticKeys.from_pem(self.jwt_validation_pubkeys)
            except ValueError as error:
                raise UserError(f"error parsing public key: {error}") from error
        for algorithm in self.jwt_supported_algs:
            if algorithm not in ALGORITHMS:
                raise UserError(f'invalid jwt_supported_algs: unsupported signing algorithm "{algorithm}"')
        if self.jwks_url:
            verify_key_set_url(self.jwks_url, self.jwks_ca_pem)
        if self.oidc_discovery_url:
            if has_credentials(self.oidc_discovery_url):
                raise UserError(f"error checking oidc discovery URL: {_CREDENTIALS}")
            try:
                DiscoveredKeys(self.oidc_discovery_url, ca_pem=self.oidc_discovery_ca_pem)
            except ValueError as error:
                raise UserError("error checking oidc discovery URL") from error
        self.verify_protection("oidc_discovery_url", self.oidc_discovery_url)
        self.verify_protection("jwks_url", self.jwks_url)

    def verify_protection(self, name: str, url: str) -> None:
        """Check that keys from this well-formed URL are protected in transit, unless the operator waives it.

        Raises:
            UserError: anyone on the network path could replace the keys.
        """
        if (
            not _is_plaintext(url)
            or is_loopback(urlsplit(url).hostname or "")
            or self.allow_plaintext_key_sources
        ):
            return
        raise UserError(
            f"'{name}' begins with http:// and leads to another machine: anyone on the network path could "
            "log in as any user. Use https://, or set 'allow_plaintext_key_sources'"
        )

    def read_shape(self) -> dict[str, Any]:
        """Return what a read shows. Credentials in URLs are of an earlier version, and are left out."""
        shown = super().read_shape()
        return shown | {name: hide_credentials(shown[name]) for name in ("jwks_url", "oidc_discovery_url")}

    def make_keys(self) -> KeySource:
        """Return the keys. Nothing is fetched yet.

        Raises:
            ValueError: they are none that this version takes.
        """
        if self.jwt_validation_pubkeys:
            return StaticKeys.from_pem(self.jwt_validation_pubkeys)
        if self.oidc_discovery_url:
            return DiscoveredKeys(self.oidc_discovery_url, ca_pem=self.oidc_discovery_ca_pem)
        return JWKSKeys(self.jwks_url, ca_pem=self.jwks_ca_pem)

    async def ask_providers(self, keys: KeySource) -> None:
        """Fetch everything that these settings name, each provider once.

        The result is kept in `keys`, which are those of `make_keys`.

        Raises:
            UserError: something cannot be fetched; the text repeats nothing that a provider sent.
        """
        if isinstance(keys, StaticKeys):
            try:
                await keys.load()
            except ValueError as error:
                raise UserError(f"error parsing public key: {error}") from error
        elif isinstance(keys, DiscoveredKeys):
            await ask_for_metadata(keys, "error checking oidc discovery URL")
        elif isinstance(keys, JWKSKeys):
            await ask_for_keys(keys, self.jwks_url)


def verify_key_set_url(url: str, ca_pem: str) -> None:
    """Check the form of the URL of a key set, and of the certificates for its server.

    Raises:
        UserError: URL or certificates are malformed.
    """
    if has_credentials(url):
        raise UserError(f"error checking jwks URL {show_url(url)}: {_CREDENTIALS}")
    try:
        JWKSKeys(url)
    except ValueError as error:
        raise UserError(f"error checking jwks URL {show_url(url)}") from error
    try:
        JWKSKeys(url, ca_pem=ca_pem)
    except ValueError as error:
        raise UserError("error checking jwks_ca_pem") from error


async def ask_for_keys(keys: JWKSKeys | DiscoveredKeys, url: str) -> None:
    """Fetch the key set at this URL into `keys`.

    Raises:
        UserError: no usable key set was fetched.
    """
    try:
        await keys.load()
    except ProviderError as error:
        raise UserError(f"error checking jwks URL {show_url(url)}") from error


async def ask_for_metadata(keys: DiscoveredKeys, refusal: str) -> None:
    """Fetch the issuer's metadata into `keys`.

    Raises:
        UserError: the metadata cannot be fetched; the text is `refusal`.
    """
    try:
        await keys.metadata()
    except ProviderError as error:
        raise UserError(refusal) from error


def _is_plaintext(url: str) -> bool:
    return url[:7].lower() == "http://"
