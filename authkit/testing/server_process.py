"""A Vault or OpenBao server in dev mode as a child process: on loopback, in memory, gone with the test."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Final

import httpx

__all__ = ["ServerProcess"]

START_SECONDS: Final = 60.0
STOP_SECONDS: Final = 20.0


class ServerProcess:
    """One server. Everything that it writes is in one private folder, which `stop` removes.

    Args:
        program: the executable of a server, `vault` or `bao`.

    Raises:
        FileNotFoundError: there is no such program.
    """

    def __init__(self, program: str | os.PathLike[str]) -> None:
        found = shutil.which(program)
        if found is None:
            raise FileNotFoundError(f"{os.fspath(program)!r} is not the executable of a server")
        self._program = found
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: Path | None = None
        self.token: Final = secrets.token_hex(16)
        """The root token."""
        self.address = f"http://127.0.0.1:{_free_port()}"

    @property
    def folder(self) -> Path:
        """Where everything of a server that was started is."""
        assert self._folder is not None
        return self._folder

    @property
    def plugins(self) -> Path:
        """The plugin directory."""
        return self.folder / "plugins"

    def start(self) -> None:
        """Start it, and return once it answers.

        Raises:
            RuntimeError: it has ended, or does not answer within `START_SECONDS`. The text has its log's end.
        """
        # Without symlinks: a server refuses plugins behind one.
        self._folder = Path(tempfile.mkdtemp(prefix="authkit-")).resolve()
        for folder in ("plugins", "home", "tmp"):
            (self.folder / folder).mkdir(mode=0o700)
        config = self.folder / "server.hcl"
        config.write_text(f'plugin_directory = "{self.plugins}"\napi_addr = "{self.address}"\n')
        listen = f"-dev-listen-address={self.address.removeprefix('http://')}"
        with (self.folder / "server.log").open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - the program that the developer has named
                [self._program, "server", "-dev", "-dev-no-store-token", listen, f"-config={config}"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env=self._environment(),
            )
        self._wait(self._process)

    def stop(self) -> None:
        """End it, with its plugins, and remove its folder."""
        try:
            if self._process is not None:
                self._process.terminate()
                self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            assert self._process is not None
            self._process.kill()
            self._process.wait()
        finally:
            if self._folder is not None:
                shutil.rmtree(self._folder, ignore_errors=True)

    def log(self, characters: int = 4000) -> str:
        """Return the end of what it has logged, plugins included, without the root token."""
        text = (self.folder / "server.log").read_text(errors="replace")
        return text[-characters:].replace(self.token, "...")

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        until = time.monotonic() + START_SECONDS
        with httpx.Client(trust_env=False) as client:
            while time.monotonic() < until:
                if process.poll() is not None:
                    raise RuntimeError(
                        f"the server has ended with status {process.returncode}:\n{self.log()}"
                    )
                try:
                    health = f"{self.address}/v1/sys/health"
                    if self._has_started() and client.get(health).status_code == httpx.codes.OK:
                        return
                except httpx.TransportError:
                    pass
                time.sleep(0.05)
        raise RuntimeError(f"the server does not answer after {START_SECONDS:.0f} s:\n{self.log()}")

    def _has_started(self) -> bool:
        """Whether it says that it listens. What answers before that is somebody else's, at the same port."""
        return b" server started!" in (self.folder / "server.log").read_bytes()

    def _environment(self) -> dict[str, str]:
        """Return what the server and its plugins see: nothing of the developer's."""
        return {
            "PATH": "/usr/bin:/bin",
            "HOME": str(self.folder / "home"),
            "TMPDIR": str(self.folder / "tmp"),
            # Not on the command line, which every user of the machine can read.
            "VAULT_DEV_ROOT_TOKEN_ID": self.token,
            "BAO_DEV_ROOT_TOKEN_ID": self.token,
        }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
