"""OpenID Connect Discovery 1.0: the metadata of an issuer, fetched and checked.

Caching: `authkit.oidc.keys.cache`. The keys: `authkit.oidc.keys.sources`.

Rules and differences: vault-plugin-auth-jwt 0.26 compares the issuer byte for byte too. It takes
any endpoint; here a document served over https names https endpoints only, and none with
credentials or a fragment in it (RFC 6749 section 3.1).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from authkit.oidc.http.client import DOCUMENT_READER, document_client
from authkit.oidc.http.errors import FetchError, ProviderError
from authkit.oidc.http.network import Network
from authkit.oidc.http.urls import check_url, has_credentials, is_loopback
from authkit.printable import quote
from authkit.values import Value

__all__ = [
    "MAX_METADATA_BYTES",
    "MAX_URL_CHARACTERS",
    "WELL_KNOWN_PATH",
    "Discovery",
    "DiscoveryError",
    "IssuerMismatchError",
    "ProviderMetadata",
    "parse_metadata",
]

WELL_KNOWN_PATH = "/.well-known/openid-configuration"
"""OpenID Connect Discovery 1.0 section 4."""

MAX_METADATA_BYTES = 1024 * 1024
"""The largest document read. Real ones stay below 10 KiB."""

MAX_URL_CHARACTERS = 2048
"""The longest endpoint: what browsers are sent to has more in it."""

_MAX_SHOWN_CHARACTERS = 200
"""How much of a wrong value an operator reads."""


class DiscoveryError(ProviderError):
    """The metadata of a provider cannot be fetched or used."""


class IssuerMismatchError(DiscoveryError):
    """The metadata name another issuer, if only by a slash."""


class ProviderMetadata(Value, frozen=True):
    """The metadata of an issuer. Made by `parse_metadata`, which checks it."""

    issuer: str
    """Set by the provider: the `iss` of its tokens."""
    jwks_uri: str
    """Set by the provider: where its keys are."""
    authorization_endpoint: str = ""
    """Set by the provider, empty without one: where browsers are sent."""
    token_endpoint: str = ""
    """Set by the provider, empty without one: where codes are exchanged."""
    userinfo_endpoint: str = ""
    """Set by the provider, empty without one."""
    device_authorization_endpoint: str = ""
    """Set by the provider, empty without one (RFC 8628 section 4)."""
    token_endpoint_auth_methods: tuple[str, ...] = ()
    """Set by the provider as `token_endpoint_auth_methods_supported`; empty if it does not say."""
    signing_algorithms: tuple[str, ...] = ()
    """Set by the provider as `id_token_signing_alg_values_supported`; empty if it does not say."""
    sends_issuer: bool = False
    """Set by the provider as `authorization_response_iss_parameter_supported` (RFC 9207 section 3)."""


class Discovery:
    """Fetches the metadata of the provider at `url`, without a cache.

    Args:
        url: base of the well-known address, and exactly the issuer that the document must name; for the
            address one slash at its end is left out.
        network: how the provider is reached.

    Raises:
        ValueError: the URL cannot be that of an issuer.
    """

    def __init__(self, url: str, *, network: Network) -> None:
        parts = check_url(url)
        # OpenID Connect Discovery 1.0 section 3: the path below would become a part of them.
        if has_credentials(url) or parts.query or parts.fragment:
            raise ValueError("the URL of an issuer has no credentials, query or fragment")
        self._url = url
        self._is_https = parts.scheme == "https"
        self._is_local = is_loopback(parts.hostname or "")
        self._address = url.removesuffix("/") + WELL_KNOWN_PATH
        self._client = document_client(network, MAX_METADATA_BYTES)

    async def fetch(self) -> ProviderMetadata:
        """Return the metadata.

        Raises:
            DiscoveryError: they cannot be fetched or used; a `FetchError` is its cause.
        """
        metadata, _ = await self.fetch_with_age()
        return metadata

    async def fetch_with_age(self) -> tuple[ProviderMetadata, str]:
        """Return the metadata and their Cache-Control header. Raises what `fetch` raises."""
        try:
            document = await self._client.fetch(self._address)
        except FetchError as error:
            raise DiscoveryError(error.public, error.detail) from error
        metadata = parse_metadata(
            document.body, issuer=self._url, is_https=self._is_https, is_local=self._is_local
        )
        return metadata, document.cache_control


def parse_metadata(
    document: bytes, *, issuer: str, is_https: bool, is_local: bool = False
) -> ProviderMetadata:
    """Return the checked metadata of a document.

    Args:
        issuer: exactly what the document must name.
        is_https: whether the document came over https: its endpoints then are https too.
        is_local: whether it came from this machine: endpoints that are not https then are on it too.

    Raises:
        DiscoveryError: they cannot be used.
    """
    try:
        content = DOCUMENT_READER.read_object(document)
        found = _get_text(content, "issuer")
        if found != issuer:
            raise IssuerMismatchError(
                "oidc: issuer did not match the issuer returned by provider",
                f"expected {quote(issuer)}, got {quote(found[:_MAX_SHOWN_CHARACTERS])}",
            )
        if not content.get("jwks_uri"):
            raise ValueError("it names no jwks_uri")
        get_endpoint = partial(_get_endpoint, content, is_https=is_https, is_local=is_local)
        return ProviderMetadata(
            issuer=found,
            jwks_uri=get_endpoint("jwks_uri"),
            authorization_endpoint=get_endpoint("authorization_endpoint"),
            token_endpoint=get_endpoint("token_endpoint"),
            userinfo_endpoint=get_endpoint("userinfo_endpoint"),
            device_authorization_endpoint=get_endpoint("device_authorization_endpoint"),
            token_endpoint_auth_methods=_get_texts(content, "token_endpoint_auth_methods_supported"),
            signing_algorithms=_get_texts(content, "id_token_signing_alg_values_supported"),
            sends_issuer=content.get("authorization_response_iss_parameter_supported") is True,
        )
    except ValueError as error:
        raise DiscoveryError("the discovery document cannot be used", str(error)) from error


def _get_endpoint(content: Mapping[str, Any], name: str, *, is_https: bool, is_local: bool) -> str:
    url = _get_text(content, name)
    if not url:
        return ""
    if len(url) > MAX_URL_CHARACTERS:
        raise ValueError(f"its {name} is longer than {MAX_URL_CHARACTERS} characters")
    try:
        parts = check_url(url)
    except ValueError:
        raise ValueError(f"its {name} is no http or https URL") from None
    if "@" in parts.netloc or "#" in url:
        raise ValueError(f"its {name} holds credentials or a fragment")
    if is_https and parts.scheme != "https":
        raise ValueError(f"its {name} is not https, the document itself is")
    if is_local and parts.scheme != "https" and not is_loopback(parts.hostname or ""):
        raise ValueError(
            f"its {name} is not https and on another machine, the document itself is on this one"
        )
    return url


def _get_text(content: Mapping[str, Any], name: str) -> str:
    value = content.get(name)
    if not isinstance(value, str | None):
        raise ValueError(f"its {name} is not a string")
    return value or ""


def _get_texts(content: Mapping[str, Any], name: str) -> tuple[str, ...]:
    value = content.get(name)
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise ValueError(f"its {name} is not a list of strings")
    return tuple(value)
