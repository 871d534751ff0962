"""How to reach one provider: trusted certificates, name look-ups, proxy.

Limits of single requests: see `authkit.oidc.http.client`. httpx is imported
with the first request, in a thread, and the system's roots are loaded there: that takes some 100 ms.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Collection, Mapping
from functools import cache
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from authkit.oidc.http.resolver import Resolver
from authkit.oidc.http.urls import check_url, is_loopback
from authkit.threads import Threads
from authkit.values import verify_collections

if TYPE_CHECKING:
    import httpx

__all__ = ["CONNECT_TIMEOUT", "TOTAL_TIMEOUT", "Network"]

CONNECT_TIMEOUT = 5.0
"""Seconds, the name's look-up included. Logins wait; a provider that does not answer by then is down."""

TOTAL_TIMEOUT = 10.0
"""Seconds for everything of one fetch, redirects and a slowly dripping body included; and for which a
connection of any other request may be silent."""

WORK_THREADS = 2
"""Files that are read and documents that are parsed at once, for one provider."""


class Network:
    """How to reach one provider. For one event loop.

    Args:
        ca_pem: certificates to trust in place of the system's roots, as anchors even if they are no
            roots. The system's are loaded once, as Go does.
        direct_hosts: hosts reached without a proxy. To others the proxy settings of the environment apply
            as they do to Vault, except for a loopback host; credentials from a netrc file never do.
        transport: what to send requests with, in place of the network.

    Raises:
        TypeError: `direct_hosts` is one text.
        ValueError: `ca_pem` holds no certificate.
    """

    def __init__(
        self,
        *,
        ca_pem: str = "",
        direct_hosts: Collection[str] = (),
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        verify_collections(direct_hosts=direct_hosts)
        self._context = build_context(ca_pem) if ca_pem else None
        self._direct_hosts = frozenset(direct_hosts)
        self._transport = transport
        self._resolver = Resolver()
        self.threads = Threads(WORK_THREADS)

    async def open(self, url: str, headers: Mapping[str, str]) -> httpx.AsyncClient:
        """Return a client for requests, the first one to `url`, with these headers in each of them.

        Raises:
            OSError, ValueError, ImportError: the URL, or the roots of this machine, cannot be used.
            ThreadsBusyError: no thread is free for what is loaded once.
        """
        check_url(url)
        transport = self._transport
        if transport is None:
            if not _system_context.cache_info().currsize:
                await self.threads.run(_load)
            from authkit.oidc.http.transport import ResolvingTransport

            transport = ResolvingTransport(
                self._context or _system_context(), self._resolver, self._find_proxy
            )
        import httpx

        return httpx.AsyncClient(
            timeout=httpx.Timeout(TOTAL_TIMEOUT, connect=CONNECT_TIMEOUT),
            follow_redirects=False,
            trust_env=False,
            transport=transport,
            # Compressed answers would need a second limit, for what they become.
            headers={**headers, "Accept-Encoding": "identity"},
        )

    def _find_proxy(self, url: str) -> str:
        from authkit.oidc.http.proxies import find_proxy

        parts = urlsplit(url)
        is_direct = parts.hostname in self._direct_hosts or is_loopback(parts.hostname or "")
        return "" if is_direct else find_proxy(parts)


def build_context(ca_pem: str | None) -> ssl.SSLContext:
    """Return what verifies servers with these certificates, `None` for the system's.

    Raises:
        ValueError: `ca_pem` holds no certificate.
    """
    try:
        context = ssl.create_default_context(cadata=ca_pem)
    except (ssl.SSLError, ValueError, TypeError) as error:
        raise ValueError("the CA bundle holds no valid certificate in PEM form") from error
    # As Go verifies, and alike on every Python: any trusted certificate is an anchor, and a private
    # CA need not have the key identifiers that Python asks for since 3.13.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


@cache
def _system_context() -> ssl.SSLContext:
    return build_context(None)


_loading: Final = threading.Lock()


def _load() -> None:
    # Without the lock each of several threads would load them: `cache` keeps none of them waiting.
    with _loading:
        import authkit.oidc.http.transport  # noqa: F401

        _system_context()
