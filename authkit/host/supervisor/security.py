"""How a host secures its two connections with a plugin: one class per scheme of go-plugin.

Each provides environment variables for the plugin, and TLS contexts after the handshake line.
A wrong, missing or unreadable certificate is an error, never plaintext.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from typing import Protocol

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from authkit.errors import HandshakeError, PluginStartError
from authkit.plugin.security.certificates import SERVER_NAME, TLSIdentity, generate_identity
from authkit.plugin.security.tls import make_contexts
from authkit.values import Value

__all__ = ["AutoMTLS", "Metadata", "Secured", "Security", "SharedIdentity", "host_identity"]

Directory = str | os.PathLike[str]


class Secured(Value, frozen=True, kw_only=True):
    """TLS contexts for both directions. Set by a `Security`."""

    client: ssl.SSLContext | None
    """For the connection to the plugin; `None` is plaintext, in a metadata probe alone."""
    server: ssl.SSLContext | None
    """For the servers that the plugin dials."""
    server_name: str = SERVER_NAME
    """The name that the plugin's certificate must bear."""


class Security(Protocol):
    """One scheme, for one start."""

    @property
    def versions(self) -> tuple[int, ...]:
        """The application protocols to offer with this scheme."""
        ...

    def variables(self) -> Mapping[str, str]:
        """Return environment variables for the plugin."""
        ...

    def secure(self, announced: bytes | None, directory: Directory) -> Secured:
        """Return the contexts for a plugin that announced this certificate (DER), or `None` for none.

        Raises:
            PluginStartError: the certificate is missing or unusable.
        """
        ...


def host_identity(server_name: str = SERVER_NAME) -> TLSIdentity:
    """Make a host's one-time identity in the shape of go-plugin 1.8 (mtls.go): on P-521."""
    return generate_identity(
        curve=ec.SECP521R1(), digest=hashes.SHA512(), server_name=server_name, organization="HashiCorp"
    )


class AutoMTLS:
    """Protocol 5: each side generates an identity, and trusts only the other's certificate.

    Database plugins are offered other `versions`; `metadata_mode` tells them that they are only registered.
    """

    def __init__(
        self,
        identity: TLSIdentity | None = None,
        *,
        versions: tuple[int, ...] = (5,),
        metadata_mode: bool = False,
    ) -> None:
        self.identity = identity or host_identity()
        self.versions = versions
        self._metadata_mode = metadata_mode

    def variables(self) -> Mapping[str, str]:
        """Return the host's certificate, which requests mutual TLS."""
        return {
            "PLUGIN_CLIENT_CERT": self.identity.certificate_pem.decode(),
            "VAULT_PLUGIN_METADATA_MODE": "true" if self._metadata_mode else "false",
            "VAULT_PLUGIN_AUTOMTLS_ENABLED": "true",
        }

    def secure(self, announced: bytes | None, directory: Directory) -> Secured:
        """Trust only the announced certificate."""
        if announced is None:
            # A Vault server dials with an empty trust store and reports the TLS failure below.
            raise _untrusted("The handshake line holds no certificate, so there is nobody to trust.")
        return _mutual(self.identity, announced, directory, SERVER_NAME)


class Metadata:
    """Protocols 3 and 4, a short probe in plaintext, without secrets or storage."""

    versions = (3, 4)

    def variables(self) -> Mapping[str, str]:
        """Return the variables that announce a probe."""
        return {"VAULT_PLUGIN_METADATA_MODE": "true", "VAULT_PLUGIN_AUTOMTLS_ENABLED": "false"}

    def secure(self, announced: bytes | None, directory: Directory) -> Secured:
        """Return no contexts: the probe is plaintext."""
        return Secured(client=None, server=None)


class SharedIdentity:
    """Protocols 3 and 4, serving: both sides share one identity, which the plugin unwraps from the API.

    `token` is the wrapping token in JWT form whose address leads the plugin to the host's API.
    """

    versions = (3, 4)

    def __init__(self, identity: TLSIdentity, token: str) -> None:
        self._identity = identity
        self._token = token

    def variables(self) -> Mapping[str, str]:
        """Return the wrapping token."""
        return {
            "VAULT_UNWRAP_TOKEN": self._token,
            "VAULT_PLUGIN_METADATA_MODE": "false",
            "VAULT_PLUGIN_AUTOMTLS_ENABLED": "false",
        }

    def secure(self, announced: bytes | None, directory: Directory) -> Secured:
        """Trust only the shared identity, under its own name."""
        certificate = self._identity.certificate
        (name,) = x509.load_der_x509_certificate(certificate).subject.get_attributes_for_oid(
            x509.NameOID.COMMON_NAME
        )
        return _mutual(self._identity, certificate, directory, str(name.value))


def _mutual(identity: TLSIdentity, trusted: bytes, directory: Directory, name: str) -> Secured:
    try:
        server, client = make_contexts(identity, trusted, directory)
    except HandshakeError as error:
        raise _untrusted(f"{error}.") from error
    return Secured(client=client, server=server, server_name=name)


def _untrusted(hint: str) -> PluginStartError:
    return PluginStartError(
        'rpc error: code = Unavailable desc = connection error: desc = "transport: authentication handshake '
        'failed: tls: failed to verify certificate: x509: certificate signed by unknown authority"',
        hint=hint,
    )
