"""Real database servers for tests: each on a private folder and a loopback port or socket of its own."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from canaries import canary

__all__ = [
    "OPERATOR",
    "ROOT_PASSWORD",
    "ROOT_USER",
    "PostgreSQL",
    "Redis",
    "run_postgresql",
    "run_redis",
    "why_no_postgresql",
    "why_no_redis",
]

ROOT_USER = "vault"
OPERATOR = "operator"
"""Of a Redis server: a second administrator, whose password no plugin changes."""
ROOT_PASSWORD = canary("database")
START_SECONDS = 30.0


class ServerProcess:
    """The process of a database server, which can be killed and started again with the same data."""

    def __init__(
        self, command: Sequence[str], folder: Path, is_ready: Callable[[], bool], **options: object
    ) -> None:
        self._command = command
        self._folder = folder
        self._is_ready = is_ready
        self._options = options
        self._child: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start unless it runs, and return when it is ready.

        Processes of one that was killed may be alive for a moment: PostgreSQL does not start beside them.
        """
        deadline = time.monotonic() + START_SECONDS
        while self._child is None or self._child.poll() is not None or not self._is_ready():
            if self._child is None or self._child.poll() is not None:
                self._child = self._spawn()
            log = (self._folder / "log").read_text(errors="replace")
            assert time.monotonic() < deadline, f"the database does not start: {log[-2000:]}"
            time.sleep(0.02)

    def kill(self) -> None:
        """End it with SIGKILL."""
        if self._child is not None:
            self._child.kill()
            self._child.wait()
            self._child = None

    def _spawn(self) -> subprocess.Popen[bytes]:
        with (self._folder / "log").open("ab") as log:
            return subprocess.Popen(  # type: ignore[call-overload,no-any-return]
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._folder,
                **self._options,
            )


@dataclass(frozen=True)
class Redis:
    """A running Redis or Valkey server, with one user that may do everything."""

    port: int
    process: ServerProcess

    @property
    def settings(self) -> dict[str, object]:
        """What an operator writes about it."""
        return {
            "host": "127.0.0.1",
            "port": self.port,
            "username": ROOT_USER,
            "password": ROOT_PASSWORD,
        }


@dataclass(frozen=True)
class PostgreSQL:
    """A running PostgreSQL server, with one superuser that logs in by password."""

    port: int
    process: ServerProcess

    def url(self, user: str = "{{username}}", password: str = "{{password}}") -> str:
        """Return the URL of the database for a user."""
        return f"postgresql://{user}:{password}@127.0.0.1:{self.port}/postgres?sslmode=disable"

    @property
    def settings(self) -> dict[str, object]:
        """What an operator writes about it."""
        return {"connection_url": self.url(), "username": ROOT_USER, "password": ROOT_PASSWORD}


def find_redis() -> str | None:
    """Return the program of Redis or Valkey: named by AUTHKIT_REDIS, or on PATH."""
    return os.environ.get("AUTHKIT_REDIS") or shutil.which("redis-server") or shutil.which("valkey-server")


def find_postgresql() -> Path | None:
    """Return the folder of PostgreSQL's programs: AUTHKIT_POSTGRESQL, or Debian's newest, or on PATH."""
    named = os.environ.get("AUTHKIT_POSTGRESQL")
    on_path = shutil.which("initdb")
    found = [Path(named)] if named else sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_version)
    found += [Path(on_path).resolve().parent] if on_path and not found else []
    return found[-1] if found else None


def _version(folder: Path) -> int:
    name = folder.parent.name
    return int(name) if name.isdigit() else 0


def why_no_redis() -> str:
    """Return why there is no Redis server, empty if there is one."""
    return "" if find_redis() else "no redis-server or valkey-server: install one, or set AUTHKIT_REDIS"


def why_no_postgresql() -> str:
    """Return why there is no PostgreSQL server, empty if there is one."""
    if find_postgresql() is None:
        return "no PostgreSQL: install it, or set AUTHKIT_POSTGRESQL to the folder of its programs"
    if os.geteuid() == 0 and _unprivileged() is None:
        return "PostgreSQL does not run as root, and there is no user nobody"
    return ""


@contextmanager
def run_redis(port: int = 0) -> Iterator[Redis]:
    """Run a server for as long as the block lasts."""
    program = find_redis()
    assert program is not None, why_no_redis()
    port = port or free_port()
    with _private_folder() as folder:
        config = folder / "redis.conf"
        config.write_text(
            f"bind 127.0.0.1\nport {port}\ndir {folder}\nsave ''\nappendonly no\n"
            "user default off\n"
            + "".join(f"user {name} on >{ROOT_PASSWORD} ~* &* +@all\n" for name in (ROOT_USER, OPERATOR))
        )
        with _process([program, str(config)], folder, lambda: _listens(port)) as process:
            yield Redis(port, process)


@contextmanager
def run_postgresql() -> Iterator[PostgreSQL]:
    """Run a server for as long as the block lasts; as the user nobody if the tests run as root."""
    programs = find_postgresql()
    assert programs is not None, why_no_postgresql()
    port = free_port()
    with _private_folder() as folder:
        password_file, data = folder / "password", folder / "data"
        password_file.write_text(ROOT_PASSWORD)
        user = _unprivileged()
        if os.geteuid() == 0:
            assert user is not None
            for path in (folder, password_file):
                os.chown(path, user.pw_uid, user.pw_gid)
        subprocess.run(
            [
                programs / "initdb",
                f"--pgdata={data}",
                f"--username={ROOT_USER}",
                f"--pwfile={password_file}",
                "--auth=scram-sha-256",
                "--no-sync",
                "--encoding=UTF8",
                "--locale=C",
            ],
            check=True,
            capture_output=True,
            **_as_user(user),
        )
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": port,
            "unix_socket_directories": "",
            "fsync": "off",
            "max_connections": 50,
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        command = [str(programs / "postgres"), "-D", str(data), *options]
        ready = [str(programs / "pg_isready"), "-q", "-h127.0.0.1", f"-p{port}"]
        with _process(command, folder, lambda: subprocess.call(ready) == 0, **_as_user(user)) as process:
            yield PostgreSQL(port, process)


def free_port() -> int:
    """Return a loopback port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _unprivileged() -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam("nobody")
    except KeyError:
        return None


def _as_user(user: pwd.struct_passwd | None) -> dict[str, object]:
    if os.geteuid() != 0 or user is None:
        return {}
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


@contextmanager
def _private_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="authkit-database-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _process(
    command: Sequence[str], folder: Path, is_ready: Callable[[], bool], **options: object
) -> Iterator[ServerProcess]:
    process = ServerProcess(command, folder, is_ready, **options)
    try:
        process.start()
        yield process
    finally:
        process.kill()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
