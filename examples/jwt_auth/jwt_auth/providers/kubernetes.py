"""Kubernetes: the keys of the cluster that the process itself runs in.

As OpenBao does it (provider_kubernetes.go) keys are asked for with the pod's own token, and no issuer is
compared, since the API server is known by its address and certificate. Difference: OpenBao sends that
token to whatever address the discovery document names; here it goes to the API server alone, which has
its keys at a fixed path, and discovery is not needed.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from authkit.oidc import JWKSKeys
from jwt_auth.providers.configured import NO_FIELDS, ConfiguredProvider, NoSettings

if TYPE_CHECKING:
    import httpx

    from authkit.oidc import Timer

__all__ = ["SERVICE_ACCOUNT_FOLDER", "KubernetesProvider"]

SERVICE_ACCOUNT_FOLDER = "/var/run/secrets/kubernetes.io/serviceaccount"
"""Where Kubernetes puts a pod's token and the certificates of its API server."""

KEYS_PATH = "/openid/v1/jwks"
"""Of every API server (Kubernetes, pkg/serviceaccount/openidmetadata.go, JWKSPath)."""

MAX_FILE_CHARACTERS = 1024 * 1024

_UNUSED_FIELDS = ("oidc_discovery_url", "oidc_discovery_ca_pem", "jwks_url", "jwks_ca_pem")


class KubernetesProvider(ConfiguredProvider[NoSettings]):
    """A source of keys in place of a URL. It has no settings.

    Arguments and errors: see `ConfiguredProvider`; `folder` is where token and certificates are, and no other
    source of keys may be configured.
    """

    def __init__(
        self,
        settings: Mapping[str, Any],
        *,
        fields: Mapping[str, Any] = NO_FIELDS,
        transport: httpx.AsyncBaseTransport | None = None,
        folder: str = SERVICE_ACCOUNT_FOLDER,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        for name in _UNUSED_FIELDS:
            if fields.get(name):
                raise ValueError(f"{name} must not be set when using the kubernetes provider")
        super().__init__(settings, fields=fields, transport=transport)
        host, port = (environment.get(f"KUBERNETES_SERVICE_{part}", "") for part in ("HOST", "PORT"))
        if not host or not port:
            raise ValueError("KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT must both be set")
        self._url = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
        self._transport = transport
        self._read_token = partial(_read, os.path.join(folder, "token"))
        try:
            self._read_token()
            self._ca_pem = _read(os.path.join(folder, "ca.crt"))
        except OSError as error:
            raise ValueError(f"cannot read {error.filename}: {error.strerror}") from error

    def keys(self, *, timer: Timer | None = None) -> JWKSKeys:
        """Return the cluster's keys. The token is read again for each request: it rotates.

        Raises:
            ValueError: the certificates or the address cannot be used.
        """
        return JWKSKeys(
            self._url + KEYS_PATH,
            ca_pem=self._ca_pem,
            bearer=self._read_token,
            timer=timer,
            transport=self._transport,
        )


def _read(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        return file.read(MAX_FILE_CHARACTERS).strip()
