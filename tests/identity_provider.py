"""An identity provider on a loopback HTTP server: discovery, key sets, and answers that are none.

One path for each way to be asked or to fail; the tests choose by URL. Keys and tokens are the tests' own.
"""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

__all__ = ["Provider", "serve_provider"]

DISCOVERY = "/.well-known/openid-configuration"


@dataclass
class Provider:
    """What is served. `answers` are paths and what comes back; they may be changed while it runs."""

    keys: list[dict[str, Any]]
    """The public keys, as entries of a key set."""
    url: str = ""
    answers: dict[str, tuple[int, str]] = field(default_factory=dict)
    delays: dict[str, float] = field(default_factory=dict)
    """Paths and how many seconds their answers take."""
    fetches: list[str] = field(default_factory=list)
    """The path of every request so far."""

    @property
    def keys_url(self) -> str:
        """Where the key set is."""
        return f"{self.url}/keys"

    def answer(self, path: str) -> tuple[int, str]:
        """Return status and body."""
        if path in self.answers:
            return self.answers[path]
        if path == "/keys":
            return 200, json.dumps({"keys": self.keys})
        if path == DISCOVERY:
            return 200, json.dumps(self.document(self.url))
        if path == f"/other{DISCOVERY}":
            return 200, json.dumps(self.document("https://somebody.example"))
        if path == "/empty":
            return 200, '{"keys": []}'
        if path == "/html":
            return 200, "<html><body>Log in</body></html>"
        if path == "/broken":
            return 500, "out of order"
        return 404, "not found"

    def document(self, issuer: str) -> dict[str, object]:
        """Return the discovery document of this issuer."""
        return {
            "issuer": issuer,
            "jwks_uri": self.keys_url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256", "ES256"],
        }


class ProviderServer(ThreadingHTTPServer):
    """A server that says nothing of callers who hang up, or who do not like its certificate."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Keep the test's output clean."""


@contextmanager
def serve_provider(
    *keys: dict[str, Any], port: int = 0, context: ssl.SSLContext | None = None
) -> Iterator[Provider]:
    """Serve these keys until the context ends, over TLS if there is a context."""
    provider, stopping = Provider(list(keys)), threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            provider.fetches.append(self.path)
            stopping.wait(provider.delays.get(self.path, 0.0))
            status, text = provider.answer(self.path)
            body = text.encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Keep the test's output clean."""

    with ProviderServer(("127.0.0.1", port), Handler) as server:
        scheme = "http" if context is None else "https"
        provider.url = f"{scheme}://127.0.0.1:{server.server_address[1]}"
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield provider
        finally:
            stopping.set()
            server.shutdown()
            thread.join()
