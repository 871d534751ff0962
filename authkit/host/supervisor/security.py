"""How a host secures its two connections with a plugin: one class per scheme of go-plugin.

Each says what the plugin's environment holds of it, and makes the contexts once the plugin has
announced itself. A wrong, missing or unreadable certificate is an error, never plaintext.
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
    """Both directions, ready to be used. Set by a `Security`."""

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
        """The application protocols that it belongs to, as they are offered."""
        ...

    def variables(self) -> Mapping[str, str]:
        """Return what the plugin's environment holds of it."""
        ...

    def secure(self, announced: bytes | None, directory: Directory) -> Secured:
        """Return the contexts for a plugin that announced this certificate (DER), or none.

        Raises:
            PluginStartError: they cannot be made.
        """
        ...


def host_identity(server_name: str = SERVER_NAME) -> TLSIdentity:
    """Make a host's one-time identity in the shape of go-plugin 1.8 (mtls.go): on P-521."""
    return generate_identity(
        curve=ec.SECP521R1(), digest=hashes.SHA512(), server_name=server_name, organization="HashiCorp"
    )


class AutoMTLS:
    """Protocol 5: each side makes an identity, and trusts that of the other alone."""

    versions = (5,)

    def __init__(self, identity: TLSIdentity | None = None) -> None:
        self.identity = identity or host_identity()

    def variables(self) -> Mapping[str, str]:
        """The host's certificate, which asks for mutual TLS."""
        return {
            "PLUGIN_CLIENT_CERT": self.identity.certificate_pem.decode(),
            "VAULT_PLUGIN_METADATA_MODE": "false",
            "VAULT_PLUGIN_AUTOMTLS_ENABLED": "true",
        }

    def secure(self, announced: bytes | None, directory: Directory) -> Secured:
        """Trust what was announced."""
        if announced is None:
            # A server in Go dials all the same, trusting nobody, and reports this of its TLS.
            raise _untrusted("The handshake line holds no certificate, so there is nobody to trust.")
        return _mutual(self.identity, announced, directory, SERVER_NAME)


class Metadata:
    """Protocols 3 and 4, a short probe in plaintext: no secret and no storage is behind it."""

    versions = (3, 4)

    def variables(self) -> Mapping[str, str]:
        """The probe's sign."""
        return {"VAULT_PLUGIN_METADATA_MODE": "true", "VAULT_PLUGIN_AUTOMTLS_ENABLED": "false"}

    def secure(self, announced: bytes | None, directory: Directory) -> Secured:
        """Use no TLS."""
        return Secured(client=None, server=None)


class SharedIdentity:
    """Protocols 3 and 4, serving: both sides are one identity, which the plugin unwraps from the API.

    `token` is the wrapping token in JWT form whose address leads the plugin to the host's API.
    """

    versions = (3, 4)

    def __init__(self, identity: TLSIdentity, token: str) -> None:
        self._identity = identity
        self._token = token

    def variables(self) -> Mapping[str, str]:
        """The wrapping token."""
        return {
            "VAULT_UNWRAP_TOKEN": self._token,
            "VAULT_PLUGIN_METADATA_MODE": "false",
            "VAULT_PLUGIN_AUTOMTLS_ENABLED": "false",
        }

    def secure(self, announced: bytes | None, directory: Directory) -> Secured:
        """Trust the shared identity, under its own name."""
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
