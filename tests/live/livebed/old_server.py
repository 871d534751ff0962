"""A server of Vault 1.10, in memory, which knows protocol 4 alone. Use it as a context manager."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Self

import httpx

from livebed.client import Client
from livebed.processes import children_of_file, wait_until
from livebed.server import free_port

__all__ = ["OldServer"]

START_SECONDS = 30.0


class OldServer:
    """One server in a folder, initialised and unsealed."""

    def __init__(self, program: Path, folder: Path) -> None:
        self.program, self.folder = program, folder
        self.plugin_directory = folder / "plugins"
        self.plugin_directory.mkdir()
        self.log = folder / "server.log"
        self.listen = f"127.0.0.1:{free_port()}"
        self.client = Client(f"http://{self.listen}", program, folder)

    def __enter__(self) -> Self:
        command = [str(self.program), str(self.plugin_directory), self.client.address, self.listen]
        environment = {"PATH": "/usr/bin:/bin", "HOME": str(self.folder)}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
        try:
            wait_until(self.answers, "an answer of the older server", timeout=START_SECONDS)
            made = self.client.call("PUT", "sys/init", {"secret_shares": 1, "secret_threshold": 1})
            status = self.client.call("PUT", "sys/unseal", {"key": made["keys"][0]})
            assert status["version"].startswith("1.10."), status
        except BaseException:
            self.__exit__()
            raise
        self.client = self.client.with_token(made["root_token"])
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.process.terminate()
        self.process.wait(START_SECONDS)
        self.client.http.close()

    def pids_of(self, command: str) -> list[int]:
        """Return the processes that run one file of the plugin directory."""
        return children_of_file(self.process.pid, self.plugin_directory / command)

    def answers(self) -> bool:
        """Whether it listens."""
        assert self.process.poll() is None, self.log.read_text()
        try:
            return self.client.raw("GET", "sys/health").status_code > 0
        except httpx.TransportError:
            return False
