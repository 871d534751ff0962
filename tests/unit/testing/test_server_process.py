"""The child process of a real server: who answers at its address."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from authkit.testing import server_process
from authkit.testing.server_process import ServerProcess


class Stranger(BaseHTTPRequestHandler):
    """Answers as a server that is well."""

    def do_GET(self) -> None:
        """Say so."""
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Stay silent."""


def test_who_took_the_port_is_not_taken_for_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another user of the machine reads it from the list of processes, and may be faster than the server."""
    monkeypatch.setattr(server_process, "START_SECONDS", 0.2)
    program = tmp_path / "vault"
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(0o700)
    process = ServerProcess(program)
    stranger = HTTPServer(("127.0.0.1", int(process.address.rpartition(":")[2])), Stranger)
    thread = threading.Thread(target=stranger.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        with pytest.raises(RuntimeError, match="does not answer"):
            process.start()
    finally:
        process.stop()
        stranger.shutdown()
        thread.join()
        stranger.server_close()
