"""An identity provider on a loopback HTTP server: discovery, key sets, and answers that are none.

One path for each way to be asked or to fail; the tests choose by URL. Keys and tokens are the tests' own.
"""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlsplit

__all__ = ["DISCOVERY", "Answer", "Asked", "Provider", "serve", "serve_provider"]

DISCOVERY = "/.well-known/openid-configuration"


@dataclass(frozen=True)
class Asked:
    """One request."""

    method: str
    target: str
    """Path and query."""
    headers: Mapping[str, str]
    """By their names in lower case."""
    body: bytes = b""

    @property
    def path(self) -> str:
        """The target without its query."""
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        """The parameters of the URL."""
        return dict(parse_qsl(urlsplit(self.target).query))

    @property
    def form(self) -> dict[str, str]:
        """The parameters of the body."""
        return dict(parse_qsl(self.body.decode()))


@dataclass(frozen=True)
class Answer:
    """What comes back."""

    status: int
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Beside the content type, which is that of JSON unless one is here."""
    sent: int | None = None
    """How many bytes of the body are sent before the connection ends; `None` for all."""


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

    def delay(self, asked: Asked) -> float:
        """Return how many seconds the answer takes."""
        return self.delays.get(asked.target, 0.0)

    def respond(self, asked: Asked) -> Answer:
        """Return the answer to a request. A provider that does more than to be read has its own."""
        return Answer(*self.answer(asked.target))

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


P = TypeVar("P", bound=Provider)


class ProviderServer(ThreadingHTTPServer):
    """A server that says nothing of callers who hang up, or who do not like its certificate."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Keep the test's output clean."""


@contextmanager
def serve_provider(
    *keys: dict[str, Any], port: int = 0, context: ssl.SSLContext | None = None
) -> Iterator[Provider]:
    """Serve these keys until the context ends, over TLS if there is a context."""
    with serve(Provider(list(keys)), port=port, context=context) as provider:
        yield provider


@contextmanager
def serve(provider: P, *, port: int = 0, context: ssl.SSLContext | None = None) -> Iterator[P]:
    """Serve this provider until the context ends, over TLS if there is a context."""
    stopping = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked = Asked(self.command, self.path, headers, body)
            provider.fetches.append(self.path)
            stopping.wait(provider.delay(asked))
            self.send(provider.respond(asked))

        def do_POST(self) -> None:
            self.do_GET()

        def send(self, answer: Answer) -> None:
            body = answer.body.encode()
            self.send_response(answer.status)
            for name, value in {"Content-Type": "application/json", **answer.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: answer.sent])

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
