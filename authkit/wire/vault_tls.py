"""TLS as protocol 4 has it: certificate and key unwrapped from the host over its HTTP API.

Protocol 5 (Vault 1.12 and later, every OpenBao) needs none of this: `authkit.plugin.security.tls` makes the
identity itself. A host uses protocol 4 when it is older, or after a start on protocol 5 failed. It
starts the process twice: first in metadata mode, a probe in plaintext that carries no secret and
has no storage, then with a token that unwraps one certificate and key for both sides (Vault API
1.22, plugin_helpers.go; Vault SDK 0.21, helper/pluginutil/tls.go).
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import ssl
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from authkit.base64url import decode_base64url
from authkit.errors import HandshakeError
from authkit.masking import Secret
from authkit.plugin.environment import HostEnvironment
from authkit.plugin.security.certificates import TLSIdentity
from authkit.plugin.security.tls import TransportSecurity, auto_mtls, make_contexts
from authkit.values import Value

__all__ = ["UnwrapSettings", "is_metadata_mode", "read_variable", "secure_protocol_4"]

UNWRAP_SECONDS = 30.0
"""The token lives for a minute; the host that waits for us is the one that must answer."""

MAX_ANSWER_BYTES = 64 * 1024
"""A certificate and a key, wrapped into a few lines of JSON."""


def read_variable(environ: Mapping[str, str], name: str) -> str:
    """Return `BAO_<name>`, which counts even when it is empty, else `VAULT_<name>`, else nothing."""
    if f"BAO_{name}" in environ:
        return environ[f"BAO_{name}"]
    return environ.get(f"VAULT_{name}", "")


def is_metadata_mode(environ: Mapping[str, str]) -> bool:
    """Whether the host has started the process only to learn what it is."""
    return _is_true(read_variable(environ, "PLUGIN_METADATA_MODE"))


class UnwrapSettings(Value, frozen=True, kw_only=True):
    """How the host's HTTP API is reached: an operator's flags, else the variables of the same meaning."""

    ca_cert: str = ""
    """PEM file."""
    ca_path: str = ""
    """Directory of PEM files."""
    client_cert: str = ""
    """PEM file."""
    client_key: str = ""
    """PEM file."""
    server_name: str = ""
    """To verify in place of the address's host."""
    skip_verify: bool = False
    """The operator has switched verification of this one call off."""

    unshown: ClassVar = ("client_key",)

    @classmethod
    def parse(cls, arguments: Sequence[str], environ: Mapping[str, str]) -> UnwrapSettings:
        """Read the conventional arguments of auth plugins, with one dash or two; others are ignored.

        Only what is registered with the plugin reaches `arguments`.
        """
        parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, prefix_chars="-")
        for name in ("ca-cert", "ca-path", "client-cert", "client-key", "tls-server-name"):
            variable = {"ca-cert": "CACERT", "ca-path": "CAPATH"}.get(name, name.upper().replace("-", "_"))
            parser.add_argument(f"-{name}", f"--{name}", default=read_variable(environ, variable))
        skipped = _is_true(read_variable(environ, "SKIP_VERIFY"))
        parser.add_argument("-tls-skip-verify", "--tls-skip-verify", action="store_true", default=skipped)
        try:
            known, _ = parser.parse_known_args(arguments)
        except SystemExit as error:
            raise HandshakeError("the arguments registered with the plugin cannot be read") from error
        return cls(
            ca_cert=known.ca_cert,
            ca_path=known.ca_path,
            client_cert=known.client_cert,
            client_key=known.client_key,
            server_name=known.tls_server_name,
            skip_verify=known.tls_skip_verify,
        )

    def context(self) -> ssl.SSLContext:
        """Return the TLS context of the call.

        Raises:
            HandshakeError: a file cannot be used.
        """
        try:
            context = ssl.create_default_context(cafile=self.ca_cert or None, capath=self.ca_path or None)
            if self.client_cert:
                context.load_cert_chain(self.client_cert, self.client_key or None)
        except (OSError, ssl.SSLError) as error:
            raise HandshakeError(f"the TLS files for the host's API cannot be used: {error}") from error
        if self.skip_verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


def secure_protocol_4(
    environment: HostEnvironment,
    directory: str | os.PathLike[str],
    *,
    environ: Mapping[str, str],
    arguments: Sequence[str],
) -> TransportSecurity:
    """Return how both directions are secured under protocol 4.

    Raises:
        HandshakeError: the host has said neither that it only probes, nor how to be secure.
    """
    if is_metadata_mode(environ):
        return TransportSecurity(server=None, client=None)
    if environment.client_certificate:
        return auto_mtls(environment.client_certificate, directory)
    token = read_variable(environ, "UNWRAP_TOKEN")
    if not token:
        raise HandshakeError("VAULT_UNWRAP_TOKEN is empty: the host offered no TLS for protocol 4")
    answer = _unwrap(Secret(token), UnwrapSettings.parse(arguments, environ))
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


def _unwrap(token: Secret, settings: UnwrapSettings) -> Mapping[str, Any]:
    """Exchange the one-time token for what it wraps. It is not tried again: it would not work twice."""
    import httpx

    address = _address_in(token)
    headers = {"X-Vault-Token": token.reveal(), "X-Vault-Request": "true"}
    extensions = {"sni_hostname": settings.server_name} if settings.server_name else {}
    try:
        with (
            # The proxy variables of the server's environment are for the world outside.
            httpx.Client(verify=settings.context(), timeout=UNWRAP_SECONDS, trust_env=False) as client,
            client.stream(
                "PUT",
                f"{address}/v1/sys/wrapping/unwrap",
                headers=headers,
                content=b"null",
                extensions=extensions,
            ) as response,
        ):
            body = b"".join(_bounded(response.iter_bytes()))
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        raise HandshakeError(f"cannot unwrap the certificate at {address}: {type(error).__name__}") from error
    if response.status_code != httpx.codes.OK:
        raise HandshakeError(f"cannot unwrap the certificate at {address}: HTTP {response.status_code}")
    return _data_of(body)


def _bounded(chunks: Any) -> Any:
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > MAX_ANSWER_BYTES:
            raise ValueError("the answer is too long")
        yield chunk


def _data_of(body: bytes) -> Mapping[str, Any]:
    try:
        data = json.loads(body)["data"]
    except (ValueError, KeyError, TypeError):
        data = None
    if not isinstance(data, Mapping):
        raise HandshakeError("the host answered the unwrapping with something else")
    return data


def _address_in(token: Secret) -> str:
    """Return the host's address, as the token has it: no key is given to verify its signature."""
    try:
        payload = token.reveal().split(".")[1]
        address = json.loads(decode_base64url(payload))["addr"]
    except (IndexError, ValueError, KeyError, TypeError):
        raise HandshakeError("VAULT_UNWRAP_TOKEN is not a wrapping token") from None
    if not isinstance(address, str) or not address.startswith(("http://", "https://")):
        raise HandshakeError("no vault api_addr found: set api_addr in the server's configuration")
    return address.rstrip("/")


def _is_true(text: str) -> bool:
    # As Go's strconv.ParseBool has it.
    return text in ("1", "t", "T", "TRUE", "true", "True")
