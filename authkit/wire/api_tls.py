"""How the server's HTTP API is reached for the one call of protocol 4: whom to trust, and as whom.

The rules are those of Vault's Go client (Vault API 1.22, client.go, ReadEnvironment and configureTLS;
go-rootcerts 1.0.2): variables first, then the flags on top of them, where certificates to trust count
together, and so do a client's certificate and key.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator, Mapping

from authkit.errors import HandshakeError
from authkit.values import Value
from authkit.wire.api_flags import APIFlags, parse_boolean
from authkit.wire.variables import find_variable, read_variable

__all__ = ["APITLS"]


class APITLS(Value, frozen=True, kw_only=True):
    """How the server's API is reached, as flags and variables say together."""

    ca_cert: str = ""
    """PEM file. Only what is in it is trusted; the other two are ignored then."""
    ca_cert_bytes: str = ""
    """PEM text."""
    ca_path: str = ""
    """Directory of PEM files, those of its subdirectories included."""
    client_cert: str = ""
    """PEM file."""
    client_key: str = ""
    """PEM file."""
    server_name: str = ""
    """To verify in place of the address's host; empty for that."""
    unverified_by: str = ""
    """The flag or variable that switches verification off; empty: the certificate is verified."""

    @classmethod
    def read(cls, flags: APIFlags, environ: Mapping[str, str]) -> APITLS:
        """Merge flags and variables.

        Raises:
            HandshakeError: a certificate without its key, or the reverse; a switch that is no boolean.
        """
        pair = _read_pair(flags, environ)
        return cls(
            **_read_trust(flags, environ),
            client_cert=pair[0],
            client_key=pair[1],
            server_name=flags.tls_server_name or read_variable(environ, "TLS_SERVER_NAME"),
            unverified_by=_find_switch(flags, environ),
        )

    def context(self) -> ssl.SSLContext:
        """Return the TLS context of the call.

        Raises:
            HandshakeError: a file cannot be used; the error names it.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.ca_cert or self.ca_cert_bytes or self.ca_path:
            self._load_trusted(context)
            # As in Go each certificate that an operator names is trusted by itself: an intermediate too.
            context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        else:
            context.load_default_certs()
        if self.client_cert:
            _load_client(context, self.client_cert, self.client_key)
        if self.unverified_by:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    def _load_trusted(self, context: ssl.SSLContext) -> None:
        if self.ca_cert:
            _load_file(context, self.ca_cert)
        elif self.ca_cert_bytes:
            try:
                context.load_verify_locations(cadata=self.ca_cert_bytes.encode("ascii", "ignore").decode())
            except ssl.SSLError as error:
                raise HandshakeError("VAULT_CACERT_BYTES holds no PEM certificates") from error
        else:
            files = list(_files_below(self.ca_path))
            if not files:
                raise HandshakeError(f"no files with CA certificates in {self.ca_path}")
            for path in files:
                _load_file(context, path)


def _read_trust(flags: APIFlags, environ: Mapping[str, str]) -> dict[str, str]:
    if flags.ca_cert or flags.ca_path:
        return {"ca_cert": flags.ca_cert, "ca_path": flags.ca_path}
    variables = {"ca_cert": "CACERT", "ca_cert_bytes": "CACERT_BYTES", "ca_path": "CAPATH"}
    return {name: read_variable(environ, variable) for name, variable in variables.items()}


def _read_pair(flags: APIFlags, environ: Mapping[str, str]) -> tuple[str, str]:
    """Return the files of a client's certificate and its key, from one source."""
    pair, names = (flags.client_cert, flags.client_key), ("-client-cert", "-client-key")
    if not any(pair):
        pair = (read_variable(environ, "CLIENT_CERT"), read_variable(environ, "CLIENT_KEY"))
        names = (find_variable(environ, "CLIENT_CERT"), find_variable(environ, "CLIENT_KEY"))
    if any(pair) and not all(pair):
        there, missing = names if pair[0] else names[::-1]
        raise HandshakeError(f"{there} is set without {missing}: certificate and key are needed both")
    return pair


def _find_switch(flags: APIFlags, environ: Mapping[str, str]) -> str:
    variable = find_variable(environ, "SKIP_VERIFY")
    text = environ.get(variable, "")
    try:
        skips = bool(text) and parse_boolean(text)
    except ValueError as error:
        raise HandshakeError(f"{variable} is {error}") from None
    if flags.tls_skip_verify:
        return "-tls-skip-verify"
    return variable if skips else ""


def _files_below(folder: str) -> Iterator[str]:
    try:
        for parent, _, names in os.walk(folder, onerror=_raise):
            yield from (os.path.join(parent, name) for name in sorted(names))
    except OSError as error:
        raise HandshakeError(f"CA certificates cannot be read: {error.strerror}: {error.filename}") from error


def _raise(error: OSError) -> None:
    raise error


def _load_file(context: ssl.SSLContext, path: str) -> None:
    try:
        context.load_verify_locations(cafile=path)
    except ssl.SSLError as error:
        raise HandshakeError(f"{path} holds no PEM certificates to trust") from error
    except OSError as error:
        raise HandshakeError(f"CA certificates cannot be read: {error.strerror}: {path}") from error


def _load_client(context: ssl.SSLContext, certificate: str, key: str) -> None:
    try:
        # Without a password OpenSSL would ask a terminal for it, which is the server's.
        context.load_cert_chain(certificate, key, password="")
    except ssl.SSLError as error:
        raise HandshakeError(
            f"{certificate} and {key} are not a PEM certificate and its unencrypted key"
        ) from error
    except OSError as error:
        raise HandshakeError(
            f"the client's certificate cannot be read: {error.strerror}: {certificate}, {key}"
        ) from error
