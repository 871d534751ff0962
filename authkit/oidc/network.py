"""How one provider is reached: what is trusted, who knows its names, and through which proxy.

Limits of single requests: see `authkit.oidc.fetch` and `authkit.oidc.api`. httpx is imported with the
first request, in a thread, and the system's roots are loaded there: that takes some 100 ms.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING
from urllib.parse import SplitResult

from authkit.oidc.resolver import Resolver
from authkit.oidc.threads import Threads
from authkit.oidc.urls import check_url, is_loopback

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
    """The way to one provider. For one event loop.

    Args:
        ca_pem: certificates to trust in place of the system's roots, as anchors even if they are no
            roots. The system's are loaded once, as Go does.
        is_direct: whether proxy settings of the environment are left aside. They apply as they do to
            Vault, except for a loopback host; credentials from a netrc file never do.
        transport: what to send requests with, in place of the network.

    Raises:
        ValueError: `ca_pem` holds no certificate.
    """

    def __init__(
        self,
        *,
        ca_pem: str = "",
        is_direct: bool = False,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._context = build_context(ca_pem) if ca_pem else None
        self._is_direct = is_direct
        self._transport = transport
        self._resolver = Resolver()
        self.threads = Threads(WORK_THREADS)

    async def open(self, url: str, headers: Mapping[str, str]) -> httpx.AsyncClient:
        """Return a client for requests to the host of `url`, with these headers in each of them.

        Raises:
            OSError, ValueError, ImportError: URL, roots, or proxy settings of this machine cannot be used.
            ThreadsBusyError: no thread is free for what is loaded once.
        """
        parts = check_url(url)
        transport = self._transport
        if transport is None:
            if not _system_context.cache_info().currsize:
                await self.threads.run(_load)
            transport = self._connect(parts)
        import httpx

        return httpx.AsyncClient(
            timeout=httpx.Timeout(TOTAL_TIMEOUT, connect=CONNECT_TIMEOUT),
            follow_redirects=False,
            trust_env=False,
            transport=transport,
            # Compressed answers would need a second limit, for what they become.
            headers={**headers, "Accept-Encoding": "identity"},
        )

    def _connect(self, url: SplitResult) -> httpx.AsyncBaseTransport:
        from authkit.oidc.proxies import find_proxy
        from authkit.oidc.transport import ResolvingTransport

        proxy = "" if self._is_direct or is_loopback(url.hostname or "") else find_proxy(url)
        return ResolvingTransport(self._context or _system_context(), self._resolver, proxy)


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


def _load() -> None:
    import authkit.oidc.transport  # noqa: F401

    _system_context()
