"""Providers on loopback for these tests: raw ones for one answer, and one that keeps to its test's wishes."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import json
import ssl
from contextlib import asynccontextmanager

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from oidc_factories import jwk, jwks, private_key, private_pem

from authkit.oidc.http.client import document_client


def certificate(subject, issuer, name, signer, *, is_ca, until=datetime.datetime(2120, 1, 1)):
    """A certificate of key `name` signed by key `signer`, without key identifiers."""
    builder = x509.CertificateBuilder(
        issuer_name=x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, issuer)]),
        subject_name=x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, subject)]),
        public_key=private_key(name).public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=datetime.datetime(2020, 1, 1),
        not_valid_after=until,
    ).add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
    if not is_ca:
        address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        builder = builder.add_extension(x509.SubjectAlternativeName([address]), critical=False)
    signed = builder.sign(private_key(signer), hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.PEM).decode()


def server_context(folder, pem):
    """The TLS context of a server with this certificate of the key `p256`."""
    chain = folder / "server.pem"
    chain.write_text(pem + private_pem("p256"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    return context


@asynccontextmanager
async def serve(raw, tls=None):
    """Serve these raw bytes for every request; gives the port and the list of requests."""
    requests = []

    async def answer(reader, writer):
        try:
            requests.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(raw)
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=tls)
    async with server:
        yield server.sockets[0].getsockname()[1], requests


def http_answer(body, *headers, status="200 OK"):
    """A raw HTTP answer."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


class LoopbackProvider:
    """An OpenID provider that answers as told, event by event. Use it with `async with`."""

    def __init__(self, *entries, tls=None):
        self.entries = list(entries or [jwk("rsa", kid="one")])
        self.paths = []
        self.raw = None
        self.documents = {}
        """Paths, and what makes the JSON of their answers."""
        self.is_rotating = False
        self.gate = asyncio.Event()
        self.gate.set()
        self._tls = tls
        self._server = None
        self._port = 0
        self._connections = set()

    @property
    def url(self):
        """Where it is, and its issuer."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self._port}"

    async def start(self):
        """Listen, on the same port as before."""
        self._server = await asyncio.start_server(
            self._answer, "127.0.0.1", self._port, ssl=self._tls, reuse_address=True
        )
        self._port = self._server.sockets[0].getsockname()[1]

    async def stop(self):
        """Be down."""
        self._server.close()
        for writer in self._connections:
            writer.close()
        await self._server.wait_closed()

    async def __aenter__(self):
        await self.start()
        return self

    async def __aexit__(self, *error):
        self.gate.set()
        await self.stop()

    async def _answer(self, reader, writer):
        self._connections.add(writer)
        try:
            request = await reader.readuntil(b"\r\n\r\n")
            path = request.split(b" ")[1].decode()
            self.paths.append(path)
            await self.gate.wait()
            writer.write(self.raw if self.raw is not None else http_answer(self._document(path)))
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self._connections.discard(writer)
            writer.close()

    def _document(self, path):
        if path in self.documents:
            return json.dumps(self.documents[path]()).encode()
        if path.endswith("/openid-configuration"):
            return json.dumps({"issuer": self.url, "jwks_uri": f"{self.url}/keys"}).encode()
        if self.is_rotating:
            return jwks(jwk("rsa", kid=f"key-{len(self.paths)}"))
        return jwks(*self.entries)


class Fetcher:
    """Fetches one document, as key sources do."""

    def __init__(self, url, *, max_bytes, network, bearer=None):
        self._client = document_client(network, max_bytes)
        self._url, self._bearer = url, bearer

    async def fetch(self):
        return await self._client.fetch(self._url, bearer=self._bearer)
