"""What is raised where a provider cannot be used.

::

    ProviderError                  a provider cannot be used now
    ├── FetchError                 a request got no usable answer
    │   └── FetchTimeoutError      not in time
    ├── EndpointError              a login failed at an endpoint (`authkit.oidc.client.endpoints`)
    │   └── OAuthError             the provider says why, by one of OAuth's codes
    └── DiscoveryError             its metadata cannot be fetched or used (`authkit.oidc.keys.discovery`)
        └── IssuerMismatchError    they are another issuer's
"""

from __future__ import annotations

from authkit.errors import AuthKitError

__all__ = ["FetchError", "FetchTimeoutError", "ProviderError"]


class ProviderError(AuthKitError):
    """A provider cannot be used now.

    `public` may be shown to anybody: it holds nothing that the provider sent but a status. The
    whole text, with `detail`, is for operators; neither holds a secret.
    """

    def __init__(self, public: str, detail: str = "") -> None:
        super().__init__(f"{public}: {detail}" if detail else public)
        self.public = public
        self.detail = detail


class FetchError(ProviderError):
    """A request got no usable answer."""


class FetchTimeoutError(FetchError):
    """An answer did not arrive in time."""
