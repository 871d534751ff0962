"""A certified OpenID provider as a child process. Who logs in there is in oidc_person.py.

The provider is oidc-provider from npm (tests/live/provider); scripts/live/provider installs it. Its clients
are named like their way to authenticate: `client_secret_basic`, `client_secret_post`, `private_key_jwt`,
`none`; and `implicit`, for ID tokens without a code. What servers make of its answers is for tests.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import tempfile
import threading
from functools import cache
from pathlib import Path
from typing import Any, Self

import httpx

from livebed.processes import wait_until

__all__ = ["REQUEST_SECONDS", "OIDCProvider", "find_provider", "why_no_provider"]

SOURCES = Path(__file__).resolve().parents[1] / "provider"
INSTALL = Path(__file__).resolve().parents[3] / "scripts" / "live" / "provider"
START_SECONDS = 30.0
STOP_SECONDS = 10.0
REQUEST_SECONDS = 20.0


@cache
def find_provider() -> Path | None:
    """Return the folder of the installed provider, `None` when it is not installed."""
    found = subprocess.run([str(INSTALL), "--where"], capture_output=True, text=True, check=True, timeout=30)
    return Path(found.stdout.strip()) if found.stdout.strip() else None


def why_no_provider() -> str:
    """Return why tests with the provider cannot run, empty when they can."""
    if shutil.which("node") is None:
        return "no node: the OpenID provider needs it"
    return "" if find_provider() else "the OpenID provider is not installed: run scripts/live/provider"


class OIDCProvider:
    """One provider, on a free loopback port; use it as a context manager."""

    def __init__(self) -> None:
        self.secret = secrets.token_urlsafe(24)
        """Of the two clients that have one."""
        self.url = ""
        """The issuer."""
        self.log_file = tempfile.TemporaryFile("w+")  # noqa: SIM115 (closed with the provider)

    def __enter__(self) -> Self:
        folder = find_provider()
        assert folder is not None, why_no_provider()
        node = shutil.which("node")
        assert node is not None
        self.process = subprocess.Popen(
            [node, str(SOURCES / "server.mjs"), str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log_file,
            text=True,
            env={"PATH": os.environ["PATH"], "CLIENT_SECRET": self.secret},
        )
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        try:
            wait_until(lambda: self.url or self.process.poll() is not None, "Ready", timeout=START_SECONDS)
            assert self.url, f"the provider ended: {self.log()}"
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("Ready "):
                self.url = line.split()[1]

    def close(self) -> None:
        """End it; its standard input closes, which is enough, and the process is killed if it is not."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(STOP_SECONDS)
            raise
        finally:
            self.reader.join(STOP_SECONDS)
            assert self.process.stdout is not None
            self.process.stdout.close()
            self.log_file.close()

    def log(self) -> str:
        """Return what it has complained about so far."""
        self.log_file.seek(0)
        return self.log_file.read()

    def count(self, method: str, path: str) -> int:
        """Return how often this was asked for, such as `POST /token`."""
        asked = httpx.get(f"{self.url}/control", timeout=REQUEST_SECONDS, trust_env=False).json()
        return sum(entry == f"{method} {path}" for entry in asked)

    # --- what can be changed while it runs -------------------------------------------------------

    def allow_redirects(self, *uris: str) -> None:
        """Let its clients have these redirect URIs, and no others."""
        self._control(redirect_uris=list(uris))

    def trust_client_keys(self, *keys: dict[str, Any]) -> None:
        """Take assertions of `private_key_jwt` signed with these (public, as entries of a key set)."""
        self._control(client_keys=list(keys))

    def set_accounts(self, **accounts: dict[str, Any]) -> None:
        """Know these people, by name with their claims, and no others. At first: `ann` and `bob`."""
        self._control(accounts=accounts)

    def rotate_keys(self, *, keep: bool = True) -> None:
        """Sign with a new key from now on, and publish the old ones as well or not."""
        self._control(rotate="keep" if keep else "drop")

    def _control(self, **wanted: Any) -> None:
        response = httpx.post(f"{self.url}/control", json=wanted, timeout=REQUEST_SECONDS, trust_env=False)
        assert response.status_code == httpx.codes.NO_CONTENT, f"{response.text} {self.log()}"
