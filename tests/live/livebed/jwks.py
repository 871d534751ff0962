"""A key set on a loopback HTTP server, which counts how often it is fetched and can be told to fail."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from livebed.tokens import Issuer

__all__ = ["KeySet", "serve_keys"]


@dataclass
class KeySet:
    """What is served, changed at will by the test."""

    issuers: list[Issuer]
    url: str = ""
    status: int = 200
    fetches: list[str] = field(default_factory=list)
    """The path of every request so far."""

    def document(self) -> bytes:
        """Return the JWKS document."""
        return json.dumps({"keys": [issuer.jwk for issuer in self.issuers]}).encode()


@contextmanager
def serve_keys(*issuers: Issuer) -> Iterator[KeySet]:
    """Serve the keys of these issuers until the context ends."""
    keys = KeySet(list(issuers))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            keys.fetches.append(self.path)
            body = keys.document()
            self.send_response(keys.status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Keep the test's output clean."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        keys.url = f"http://127.0.0.1:{server.server_address[1]}/keys"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield keys
        finally:
            server.shutdown()
            thread.join()
