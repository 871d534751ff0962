"""authkit's development server as a child process, for the same clients that a real server gets."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from queue import Empty, Queue
from typing import Self

from livebed.binaries import ServerProgram
from livebed.client import Client
from livebed.server import ROOT_TOKEN

__all__ = ["JWT_PROJECT", "SHARED_PIN", "DevServer"]

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
SHARED_PIN = str(EXAMPLES / "shared_pin" / "shared_pin.py")
JWT_PROJECT = str(EXAMPLES / "jwt_auth")
START_SECONDS = 60.0
STOP_SECONDS = 20.0


class DevServer:
    """`authkit dev` on a free port, with plugins; use it as a context manager.

    `program` is whose command line the client runs, if any.
    """

    def __init__(self, program: ServerProgram | None, *plugins: str) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="authkit-dev-"))
        self.plugins = plugins
        self.program = program
        self.printed: list[str] = []
        self.process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "authkit", "dev", "--port", "0", "--root-token", ROOT_TOKEN]
        with open(self.home / "server.log", "w") as log:
            self.process = subprocess.Popen(
                [*command, *self.plugins],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        try:
            self.wait_until_ready()
        except BaseException:
            self.close()
            raise
        (address,) = (line.split("=")[1] for line in self.printed if "export VAULT_ADDR=" in line)
        path = self.program.path if self.program else Path("/nonexistent")
        self.client = Client(address, path, self.home, ROOT_TOKEN)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.client.http.close()
        self.close()

    def wait_until_ready(self) -> None:
        """Return once it has said that it is ready."""
        assert self.process is not None
        assert self.process.stdout is not None
        lines: Queue[str] = Queue()
        output = self.process.stdout

        def read() -> None:
            for line in output:
                lines.put(line)

        self.reader = threading.Thread(target=read, daemon=True)
        self.reader.start()
        while not (self.printed and self.printed[-1].startswith("Ready")):
            try:
                self.printed.append(lines.get(timeout=START_SECONDS).rstrip())
            except Empty:
                raise AssertionError(f"not ready: {self.printed} {self.log()}") from None

    def log(self) -> str:
        """Return its log so far."""
        return (self.home / "server.log").read_text()

    def close(self) -> None:
        """End it as Ctrl-C does, and remove its folder."""
        assert self.process is not None
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        finally:
            self.reader.join(STOP_SECONDS)
            assert self.process.stdout is not None
            self.process.stdout.close()
            shutil.rmtree(self.home, ignore_errors=True)
