"""The keys that providers publish, as sources for a verifier: by URL, by discovery, or several URLs.

Documents: `authkit.oidc.keys.jwk_set`. Lifetimes: `authkit.oidc.keys.cache`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from cachetools import TTLCache

from authkit.errors import LoginError, TokenError
from authkit.oidc.http.client import document_client
from authkit.oidc.http.errors import FetchTimeoutError, ProviderError
from authkit.oidc.http.network import Network
from authkit.oidc.http.urls import check_url, show_url
from authkit.oidc.keys.cache import ASK_PAUSE, RemoteValue, Timer
from authkit.oidc.keys.discovery import Discovery, DiscoveryError, ProviderMetadata
from authkit.oidc.keys.jwk_set import MAX_DOCUMENT_BYTES, MAX_KID_CHARACTERS, KeySet, parse_jwks
from authkit.oidc.keys.key import KeySourceError, KeyStatus, VerificationKey
from authkit.printable import to_printable
from authkit.threads import ThreadsBusyError
from authkit.values import replace, verify_collections

if TYPE_CHECKING:
    import httpx


__all__ = ["CombinedKeys", "DiscoveredKeys", "JWKSKeys", "ProviderKeys"]

RENEW_PAUSE = 60.0
"""Seconds after a fetch in which a bad signature under a known id causes no other: those are free too."""

PATIENT_ASKS = 6
"""How often an unknown key id is asked for at the pace of `ASK_PAUSE`; issuers sign with new keys early."""

IMPATIENT_PAUSE = 60.0
"""Seconds between two fetches for an id that stayed unknown that often."""

UNKNOWN_KID_AGE = 600.0
"""Seconds after which an unknown id is forgotten."""

MAX_UNKNOWN_KIDS = 1024
"""Remembered unknown ids; with the longest ids some MiB."""

_MAX_SHOWN_CHARACTERS = 64
"""How much of a key id a message repeats."""


class ProviderKeys:
    """The keys of one provider, fetched by `fetch` and kept as `RemoteValue` says.

    Use `JWKSKeys` or `DiscoveredKeys`. A login whose key is known does no I/O. An unknown key id
    causes a fetch, at most one every `ASK_PAUSE` seconds for all ids together; an id that was just
    asked for in vain is asked for again after the same pause, so that a new key is found as soon
    as that allows, and every `IMPATIENT_PAUSE` seconds once it stayed unknown `PATIENT_ASKS` times.
    """

    def __init__(
        self,
        fetch: Callable[[], Awaitable[tuple[KeySet, str]]],
        url: str,
        timer: Timer | None,
        wall: Callable[[], float],
    ) -> None:
        self._shown_url = show_url(url)
        self._remote = RemoteValue(fetch, name=self._shown_url, timer=timer, wall=wall)
        self._unknown: TTLCache[str | None, tuple[int, float]] = TTLCache(
            MAX_UNKNOWN_KIDS, UNKNOWN_KID_AGE, timer=self._remote.time
        )
        self._asked_in_vain = 0

    async def find_keys(self, kid: str | None) -> Sequence[VerificationKey]:
        """Return the keys with this id, all keys for `None`; none if the provider does not have it.

        Raises:
            TokenError: the keys cannot be fetched, and no earlier ones are still usable.
            KeySourceError: the provider's metadata cannot be fetched or used.
        """
        known = self.peek(kid)
        if known or (known is not None and self._is_asked_enough(kid)):
            return known
        was_asked = await self._remote.ask()
        keys = self._remote.find_usable()
        found = () if keys is None else keys.find(kid)
        if found:
            return found
        if self._remote.failure is not None:
            raise _login_error(self._remote.failure, self._shown_url)
        if was_asked:
            self._note_unknown(kid)
        return ()

    async def find_newer_keys(self, kid: str | None) -> Sequence[VerificationKey]:
        """Ask the provider again and return its keys; none if it was asked lately or does not answer."""
        if self._remote.is_fetched_since(RENEW_PAUSE) or not await self._remote.ask():
            return ()
        keys = self._remote.find_usable()
        return () if keys is None or self._remote.failure is not None else keys.find(kid)

    def peek(self, kid: str | None) -> Sequence[VerificationKey] | None:
        """Return what is known without asking the provider; `None` if nothing is."""
        keys = self._remote.peek()
        return None if keys is None else keys.find(kid)

    async def load(self) -> KeySet:
        """Return the provider's key set, fetched if need be; it may hold no keys.

        Raises:
            ProviderError: it cannot be fetched.
        """
        return await self._remote.get()

    def status(self) -> Sequence[KeyStatus]:
        """Return the status of this source."""
        keys = self._remote.find_usable()
        return [
            KeyStatus(
                source=self._shown_url,
                keys=0 if keys is None else len(keys.keys),
                remote=self._remote.status(),
                unknown_kids=self._asked_in_vain,
            )
        ]

    async def close(self) -> None:
        """Cancel a fetch in flight and fetch no more; keys in the cache still serve."""
        await self._remote.close()

    def _is_asked_enough(self, kid: str | None) -> bool:
        if kid is not None and len(kid) > MAX_KID_CHARACTERS:
            return True
        _, ask_again_at = self._unknown.get(kid, (0, 0.0))
        return self._remote.time() < ask_again_at

    def _note_unknown(self, kid: str | None) -> None:
        self._asked_in_vain += 1
        if kid is not None and len(kid) > MAX_KID_CHARACTERS:
            return
        asks = self._unknown.get(kid, (0, 0.0))[0] + 1
        pause = ASK_PAUSE if asks < PATIENT_ASKS else IMPATIENT_PAUSE
        self._unknown[kid] = asks, self._remote.time() + pause


class _KeySetReader:
    """Fetches key sets, and parses a document only if it differs from the one before.

    Most do not; what is wrong with a key is then logged once, not with every fetch.
    """

    def __init__(self, network: Network, bearer: Callable[[], str] | None = None) -> None:
        self._client = document_client(network, MAX_DOCUMENT_BYTES)
        self._bearer = bearer
        self._body = b""
        self._keys: KeySet | None = None

    async def fetch(self, url: str) -> tuple[KeySet, str]:
        """Return the key set and its Cache-Control header.

        Raises:
            ProviderError: the document cannot be fetched or parsed.
        """
        document = await self._client.fetch(url, bearer=self._bearer)
        keys = self._keys if document.body == self._body else None
        if keys is None:
            try:
                # A key takes up to 0.1 ms: too long for the event loop where there are many.
                keys = await self._client.threads.run(partial(parse_jwks, document.body))
            except (ValueError, ThreadsBusyError) as error:
                raise ProviderError(str(error)) from error
            self._body, self._keys = document.body, keys
        return keys, document.cache_control


class JWKSKeys(ProviderKeys):
    """The keys that a provider publishes at `url`. For one event loop.

    Args:
        url: http or https.
        ca_pem: certificates to trust in place of the system's roots.
        bearer: gives the token to send along, see `HTTPClient.fetch`.
        timer: what tells the time, in place of the event loop.
        wall: seconds since 1970, for `status`.
        transport: what to send requests with, in place of the network.

    Raises:
        ValueError: the URL or the PEM bundle cannot be used.
    """

    def __init__(
        self,
        url: str,
        *,
        ca_pem: str = "",
        bearer: Callable[[], str] | None = None,
        timer: Timer | None = None,
        wall: Callable[[], float] = time.time,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        network = Network(ca_pem=ca_pem, transport=transport)
        check_url(url)
        super().__init__(partial(_KeySetReader(network, bearer).fetch, url), url, timer, wall)


class DiscoveredKeys(ProviderKeys):
    """The keys of an issuer, at the address that its metadata tell. For one event loop.

    The metadata are kept and renewed like the keys, and looked at again when the keys cannot be
    had: the address may have changed. Arguments are those of `JWKSKeys`, `url` that of `Discovery`.
    `network` is for other requests to the same issuer.

    Raises:
        ValueError: the URL or the PEM bundle cannot be used.
    """

    def __init__(
        self,
        url: str,
        *,
        ca_pem: str = "",
        timer: Timer | None = None,
        wall: Callable[[], float] = time.time,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.network = Network(ca_pem=ca_pem, transport=transport)
        discovery = Discovery(url, network=self.network)
        self._metadata = RemoteValue(discovery.fetch_with_age, name=show_url(url), timer=timer, wall=wall)
        self._reader = _KeySetReader(self.network)
        super().__init__(self._fetch_anywhere, url, timer, wall)

    async def metadata(self) -> ProviderMetadata:
        """Return the metadata of the issuer, fetched if necessary.

        Raises:
            DiscoveryError: it cannot be fetched or used.
        """
        return await self._metadata.get()

    def status(self) -> Sequence[KeyStatus]:
        """Return the status of keys and metadata."""
        return [replace(status, metadata=self._metadata.status()) for status in super().status()]

    async def close(self) -> None:
        """Cancel fetches in flight and fetch no more; what is in the cache still serves."""
        await self._metadata.close()
        await super().close()

    async def _fetch_anywhere(self) -> tuple[KeySet, str]:
        metadata = await self._metadata.get()
        try:
            return await self._reader.fetch(metadata.jwks_uri)
        except ProviderError:
            await self._metadata.ask()
            newer = await self._metadata.get()
            if newer.jwks_uri == metadata.jwks_uri:
                raise
            return await self._reader.fetch(newer.jwks_uri)


class CombinedKeys:
    """The keys of several providers that sign for the same issuer, each fetched and kept by itself.

    A key id may be known to more than one: all their keys are tried. vault-plugin-auth-jwt 0.26
    tries the first one only, and refuses tokens without a key id.

    Raises:
        ValueError: there is no source.
    """

    def __init__(self, sources: Sequence[JWKSKeys | DiscoveredKeys]) -> None:
        verify_collections(sources=sources)
        if not sources:
            raise ValueError("at least one source of keys is needed")
        self.sources = tuple(sources)

    async def find_keys(self, kid: str | None) -> Sequence[VerificationKey]:
        """Return the keys with this id of all providers that are known to have it, else ask them all.

        For `None` all keys of all providers that can be fetched.

        Raises:
            TokenError: no provider has it, or none could be asked.
        """
        known = [source.peek(kid) for source in self.sources]
        found = [key for keys in known for key in keys or ()]
        if found and (kid is not None or None not in known):
            return found
        found, errors = await self._gather([source.find_keys(kid) for source in self.sources])
        if found:
            return found
        if len(errors) == len(self.sources):
            raise errors[0]
        if kid is None:
            return ()
        shown = to_printable(kid[:_MAX_SHOWN_CHARACTERS])
        reason = f"no key found with kid {shown} in any JWKS endpoint"
        raise TokenError(f"error searching for key set with kid {shown}: {reason}")

    async def find_newer_keys(self, kid: str | None) -> Sequence[VerificationKey]:
        """Ask those again that were not asked lately, and return their keys."""
        found, _ = await self._gather([source.find_newer_keys(kid) for source in self.sources])
        return found

    async def load(self) -> None:
        """Fetch every provider's key set if need be.

        Raises:
            ProviderError: one of them cannot be fetched.
        """
        for result in await asyncio.gather(
            *(source.load() for source in self.sources), return_exceptions=True
        ):
            if isinstance(result, BaseException):
                raise result

    def status(self) -> Sequence[KeyStatus]:
        """Return one status per provider."""
        return [status for source in self.sources for status in source.status()]

    async def close(self) -> None:
        """Close every source."""
        await asyncio.gather(*(source.close() for source in self.sources))

    async def _gather(
        self, searches: Sequence[Awaitable[Sequence[VerificationKey]]]
    ) -> tuple[list[VerificationKey], list[LoginError]]:
        """Return the keys found, and why some searches failed."""
        found: list[VerificationKey] = []
        errors: list[LoginError] = []
        for result in await asyncio.gather(*searches, return_exceptions=True):
            if isinstance(result, LoginError):
                errors.append(result)
            elif isinstance(result, BaseException):
                raise result
            else:
                found += result
        return found, errors


def _login_error(failure: ProviderError, source: str) -> LoginError:
    detail = f"keys of {source}: {failure}"
    if isinstance(failure, DiscoveryError):
        return KeySourceError(failure.public, detail)
    facts = {"reason": failure.public, "is_timeout": isinstance(failure, FetchTimeoutError)}
    text = f"the issuer's keys cannot be fetched: {failure.public}"
    return TokenError(text, detail, code="keys_not_fetched", facts=facts)
