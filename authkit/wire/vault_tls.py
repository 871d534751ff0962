"""TLS as protocol 4 has it: certificate and key unwrapped from the host over its HTTP API.

Protocol 5 (Vault 1.12 and later, every OpenBao) needs none of this: `authkit.plugin.security.tls` makes the
identity itself. A host uses protocol 4 when it is older, or after a start on protocol 5 failed. It
starts the process twice: first in metadata mode, a probe in plaintext that carries no secret and
has no storage, then with a token that unwraps one certificate and key for both sides (Vault API
1.22, plugin_helpers.go; Vault SDK 0.21, helper/pluginutil/tls.go).
"""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from typing import Any

from authkit.errors import HandshakeError
from authkit.plugin.environment import HostEnvironment
from authkit.plugin.security.certificates import TLSIdentity
from authkit.plugin.security.tls import TransportSecurity, auto_mtls, make_contexts
from authkit.wire.api_flags import APIFlags, parse_boolean
from authkit.wire.variables import read_variable

__all__ = ["is_metadata_mode", "secure_protocol_4"]


def is_metadata_mode(environ: Mapping[str, str]) -> bool:
    """Whether the host has started the process only to learn what it is."""
    try:
        return parse_boolean(read_variable(environ, "PLUGIN_METADATA_MODE"))
    except ValueError:
        return False


def secure_protocol_4(
    environment: HostEnvironment,
    directory: str | os.PathLike[str],
    *,
    environ: Mapping[str, str],
    flags: APIFlags,
) -> TransportSecurity:
    """Return how both directions are secured under protocol 4.

    Raises:
        HandshakeError: the host has said neither that it only probes, nor how to be secure; or what it has
            said leads to no certificate.
    """
    if is_metadata_mode(environ):
        return TransportSecurity(server=None, client=None)
    if environment.client_certificate:
        return auto_mtls(environment.client_certificate, directory)
    text = read_variable(environ, "UNWRAP_TOKEN")
    if not text:
        raise HandshakeError("VAULT_UNWRAP_TOKEN is empty: the host offered no TLS for protocol 4")
    from authkit.wire.api_tls import APITLS
    from authkit.wire.unwrapping import unwrap
    from authkit.wire.wrapping_token import WrappingToken

    answer = unwrap(WrappingToken.parse(text), APITLS.read(flags, environ))
    return _shared_identity(answer, directory)


def _shared_identity(answer: Mapping[str, Any], directory: str | os.PathLike[str]) -> TransportSecurity:
    """Make contexts of the one certificate that both sides own and trust."""
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization
    from cryptography.x509.oid import NameOID

    try:
        certificate = base64.b64decode(answer["ServerCert"], validate=True)
        key = serialization.load_der_private_key(base64.b64decode(answer["ServerKey"], validate=True), None)
        subject = x509.load_der_x509_certificate(certificate).subject
        name = str(subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        # Without the cause: it may quote the key.
        raise HandshakeError(f"the unwrapped certificate is unusable ({type(error).__name__})") from None
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    server, client = make_contexts(TLSIdentity(certificate, pem), certificate, directory)
    return TransportSecurity(server=server, client=client, server_name=name)
