"""A real server as a child process: dev mode in memory, or a config file with raft storage.

Its folder holds everything: configuration, plugin directory, log, temporary files (leftovers can be counted).
What to ask of a running server is in client.py, what runs in its plugin directory in plugins.py.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Set
from pathlib import Path
from typing import Self

import httpx

from livebed.binaries import ServerProgram
from livebed.client import Client
from livebed.log_records import LogRecord, parse_record
from livebed.processes import children, children_of_file, command_line, wait_until

__all__ = ["ROOT_TOKEN", "START_SECONDS", "Server", "free_port"]

ROOT_TOKEN = "root"
START_SECONDS = 60.0
STOP_SECONDS = 20.0


class Server:
    """One server, from its first start to the removal of its folder. Use it as a context manager."""

    node_id = "one"
    """Of a raft server, in its cluster (of one, here: see cluster.py)."""
    ready_statuses = frozenset({200})
    """What sys/health answers once it can be used."""

    def __init__(
        self,
        program: ServerProgram,
        *,
        raft: bool = False,
        log_level: str = "trace",
        log_format: str = "json",
    ) -> None:
        self.program = program
        self.raft = raft
        self.log_level = log_level
        self.log_format = log_format
        # A short path: the server and its plugins make unix sockets below it (107 bytes at most). Without
        # symlinks: the server would refuse every plugin.
        self.folder = Path(os.path.realpath(tempfile.mkdtemp(prefix="authkit-")))
        self.plugin_directory = self.subfolder("plugins")
        self.temporary = self.subfolder("tmp")
        self.home = self.subfolder("home")
        self.log_path = self.folder / "server.log"
        self.log_path.touch()
        self.address = f"http://127.0.0.1:{free_port()}"
        self.cluster_port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self.orphans: list[int] = []
        """Plugins of a server that was killed; those in Go go on without it."""
        self.unseal_key = ""
        token = "" if raft else ROOT_TOKEN
        self.client = Client(self.address, program.path, self.home, token)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    # --- life ----------------------------------------------------------------------------------

    def start(self) -> None:
        """Start, and return once it is unsealed and active. A raft server is initialised the first time."""
        config = self.folder / "server.hcl"
        config.write_text(self.raft_config() if self.raft else self.dev_config())
        listen = self.address.removeprefix("http://")
        dev = [
            "-dev",
            f"-dev-root-token-id={ROOT_TOKEN}",
            "-dev-no-store-token",
            f"-dev-listen-address={listen}",
        ]
        command = [str(self.program.path), "server", *([] if self.raft else dev), f"-config={config}"]
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env=self.environment(),
            )
        if self.raft:
            self.unseal()
        self.wait_for_health(self.ready_statuses)

    def unseal(self) -> None:
        """Initialise the storage unless that is done, and unseal with the one key."""
        self.wait_for_health({200, 429, 501, 503})
        if not self.unseal_key:
            self.initialise()
        # Raft elects itself before it can be unsealed; until then the key is refused.
        key = {"key": self.unseal_key}
        wait_until(
            lambda: self.client.raw("PUT", "sys/unseal", key).is_success,
            "the unseal key",
            timeout=START_SECONDS,
        )

    def initialise(self) -> None:
        """Make new storage: its one unseal key and its root token are known from now on."""
        answer = self.client.call("PUT", "sys/init", {"secret_shares": 1, "secret_threshold": 1})
        self.unseal_key = answer["keys"][0]
        self.client = self.client.with_token(answer["root_token"])

    def stop(self) -> int:
        """End it as an operator does; return its exit status."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(STOP_SECONDS)

    def kill(self) -> None:
        """End it with SIGKILL: it can tell its plugins nothing."""
        if self.process is not None:
            self.orphans += self.children()
            self.process.kill()
            self.process.wait(STOP_SECONDS)

    def restart(self) -> None:
        """Stop and start again. Only a raft server remembers anything."""
        self.stop()
        self.start()

    def close(self) -> None:
        """End it by any means and remove its folder; a plugin that outlived it is killed."""
        plugins = [*self.orphans, *self.children()]
        try:
            if self.process is not None and self.process.poll() is None:
                self.stop()
        except subprocess.TimeoutExpired:
            self.kill()
        finally:
            for pid in plugins:
                if any(str(self.folder) in word for word in command_line(pid)):
                    os.kill(pid, 9)
            self.client.http.close()
            shutil.rmtree(self.folder, ignore_errors=True)

    def wait_for_health(self, statuses: Set[int]) -> None:
        """Return once sys/health answers with one of these statuses (200 active, 501 new, 503 sealed)."""

        def is_healthy() -> bool:
            assert self.process is not None
            assert self.process.poll() is None, f"the server ended: {self.log()[-2000:]}"
            try:
                return self.client.raw("GET", "sys/health").status_code in statuses
            except httpx.TransportError:
                return False

        wait_until(is_healthy, f"health in {statuses}", timeout=START_SECONDS)

    # --- what it can tell ----------------------------------------------------------------------

    @property
    def pid(self) -> int:
        """The process id of the server."""
        assert self.process is not None
        return self.process.pid

    @property
    def is_running(self) -> bool:
        """Whether the server's process lives and answers that it is active."""
        alive = self.process is not None and self.process.poll() is None
        return alive and self.client.raw("GET", "sys/health").status_code == httpx.codes.OK

    def children(self) -> list[int]:
        """Return the plugin processes."""
        return children(self.process.pid) if self.process is not None else []

    def pids_of(self, command: str) -> list[int]:
        """Return the processes that run one file of the plugin directory."""
        return children_of_file(self.process.pid, self.plugin_directory / command) if self.process else []

    def wait_for_one_process(self, command: str) -> int:
        """Return the one process that runs a file of the plugin directory.

        A registration starts one as well, and the exit of a replaced one takes a moment.
        """
        found = wait_until(
            lambda: pids if len(pids := self.pids_of(command)) == 1 else [],
            f"one process of {command}",
            timeout=10,
        )
        return found[0]

    def log(self) -> str:
        """Return the whole log so far."""
        return self.log_path.read_text(errors="replace")

    def log_mark(self) -> int:
        """Return a position for `log_records` and `wait_for_log`: only what is logged from now on."""
        return self.log_path.stat().st_size

    def log_records(self, since: int = 0) -> list[LogRecord]:
        """Return the log as records; lines that are no JSON objects (the dev banner) are left out."""
        with self.log_path.open("rb") as log:
            log.seek(since)
            lines = log.read().decode(errors="replace").splitlines()
        return [record for record in map(parse_record, lines) if record]

    def wait_for_log(self, pattern: str, *, since: int = 0, timeout: float = 10.0) -> LogRecord:
        """Return the first record whose text (`[LEVEL] module: message key=value ...`) matches."""

        def first() -> LogRecord | None:
            records = self.log_records(since)
            return next((record for record in records if re.search(pattern, str(record))), None)

        found = wait_until(first, f"a log line matching {pattern!r}", timeout=timeout)
        assert found is not None
        return found

    # --- parts ---------------------------------------------------------------------------------

    def subfolder(self, name: str) -> Path:
        """Return a private folder of the server."""
        folder = self.folder / name
        folder.mkdir(mode=0o700)
        return folder

    def environment(self) -> dict[str, str]:
        """Return the server's environment, which its plugins inherit: little, nothing of the developer's."""
        chosen = {name: os.environ[name] for name in ("AUTHKIT_RPC",) if name in os.environ}
        return {"PATH": "/usr/bin:/bin", "HOME": str(self.home), "TMPDIR": str(self.temporary)} | chosen

    def dev_config(self) -> str:
        """Return the configuration beside dev mode's own."""
        return f"""
            plugin_directory = "{self.plugin_directory}"
            api_addr         = "{self.address}"
            log_level        = "{self.log_level}"
            log_format       = "{self.log_format}"
        """

    def raft_config(self) -> str:
        """Return the configuration of a raft node on loopback, without TLS."""
        data = self.folder / "data"
        data.mkdir(exist_ok=True)
        # Vault 1.20 and later want a word about mlock with raft; OpenBao, which has none, ignores it.
        return f"""
            storage "raft" {{
              path                   = "{data}"
              node_id                = "{self.node_id}"
              performance_multiplier = 1
            }}
            listener "tcp" {{
              address         = "{self.address.removeprefix("http://")}"
              cluster_address = "127.0.0.1:{self.cluster_port}"
              tls_disable     = true
            }}
            disable_mlock    = true
            cluster_addr     = "https://127.0.0.1:{self.cluster_port}"
            {self.dev_config()}
        """


def free_port() -> int:
    """Return a loopback port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
