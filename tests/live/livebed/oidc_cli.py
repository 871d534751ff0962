"""`vault login -method=oidc`, the real command, waiting for the browser that it does not open itself.

Who is the browser is left to the tests. The command's protocol: VJ `cli.go`, v0.25.0, inside Vault 1.21.1.
"""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from typing import Any, Self

from livebed.client import CLI_SECONDS, Client
from livebed.processes import wait_until
from livebed.server import free_port

__all__ = ["OIDCCommand", "free_callback"]

URL_SECONDS = 20.0


def free_callback() -> tuple[int, str]:
    """Return a free port for the command's listener, and the redirect URI that it then has."""
    port = free_port()
    return port, f"http://localhost:{port}/oidc/callback"


class OIDCCommand:
    """One login by the command line. Use it as a context manager: it ends with the test, done or not."""

    def __init__(self, client: Client, mount: str, port: int, *, role: str, **arguments: str) -> None:
        self.client = client
        settings = {"port": str(port), "role": role, "skip_browser": "true"} | arguments
        self.arguments = [
            *("login", "-method=oidc", "-no-store", "-format=json"),
            *([f"-path={mount}"] if mount else []),
            *(f"{name}={value}" for name, value in settings.items()),
        ]
        self.output = tempfile.TemporaryFile("w+")  # noqa: SIM115 (closed with the command)
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115

    def __enter__(self) -> Self:
        environment = self.client.cli_environment() | {"VAULT_TOKEN": "", "BAO_TOKEN": ""}
        self.process = subprocess.Popen(
            [str(self.client.program), *self.arguments],
            stdin=subprocess.DEVNULL,
            stdout=self.output,
            stderr=self.errors,
            env=environment,
            cwd=self.client.home,
        )
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.output.close()
        self.errors.close()

    def printed(self) -> str:
        """Return everything it has printed so far."""
        texts = []
        for file in (self.output, self.errors):
            file.seek(0)
            texts.append(file.read())
        return "".join(texts)

    def url(self) -> str:
        """Return the URL that it asks people to open.

        Raises:
            AssertionError: it ended, or printed none in time.
        """

        def found() -> re.Match[str] | None:
            text = self.printed()
            assert self.process.poll() is None, f"the command ended: {text}"
            return re.search(r"^ *(https?://\S+)\s*$", text, re.MULTILINE)

        match = wait_until(found, "a URL to open", timeout=URL_SECONDS)
        assert match is not None
        return match[1]

    def wait(self) -> int:
        """Return its exit status once it has ended."""
        return self.process.wait(CLI_SECONDS)

    def auth(self) -> dict[str, Any]:
        """Return the `auth` that it prints at the end of a good login."""
        assert self.wait() == 0, self.printed()
        self.output.seek(0)
        text = self.output.read()
        auth: dict[str, Any] = json.loads(text[text.index("\n{") if not text.startswith("{") else 0 :])[
            "auth"
        ]
        self.client.secrets.append(auth["client_token"])
        return auth
