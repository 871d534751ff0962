"""A small client of the HTTP API, and the command line of the same server. Starting it is server.py's."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx

__all__ = ["CLI_SECONDS", "Client", "ServerError"]

REQUEST_SECONDS = 30.0
CLI_SECONDS = 60.0
CREDENTIALS = ("jwt", "pin")
"""The fields of logins that no log may show."""


class ServerError(Exception):
    """The server refused a request."""

    def __init__(self, status: int, errors: list[str]) -> None:
        super().__init__(f"HTTP {status}: {', '.join(errors)}")
        self.status = status
        self.errors = errors

    @property
    def text(self) -> str:
        """All error texts in one."""
        return "\n".join(self.errors)


@dataclass(frozen=True)
class Client:
    """Requests of one token to one server.

    It remembers every credential that it has sent or received in `secrets`, so that a test can look for them
    where they must not be. Clients made from one another share that list.
    """

    address: str
    program: Path
    home: Path
    """The home directory of the command line: it must not touch the user's own."""
    token: str = field(default="", repr=False)
    http: httpx.Client = field(
        default_factory=lambda: httpx.Client(timeout=REQUEST_SECONDS, trust_env=False), repr=False
    )
    secrets: list[str] = field(default_factory=list, repr=False)

    def with_token(self, token: str) -> Client:
        """Return a client like this one that sends another token; none when it is empty."""
        return replace(self, token=token)

    def raw(self, method: str, path: str, body: Any = None, **options: Any) -> httpx.Response:
        """Send a request; return whatever comes back. `body` is sent as JSON, bytes as they are."""
        headers = {"X-Vault-Token": self.token} if self.token else {}
        headers.update(options.pop("headers", {}))
        content = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        url = f"{self.address}/v1/{path}"
        return self.http.request(method, url, content=content, headers=headers, **options)

    def call(self, method: str, path: str, body: Any = None, **options: Any) -> dict[str, Any]:
        """Return the whole decoded answer, empty for 204.

        Raises:
            ServerError: any status outside 200 to 299.
        """
        response = self.raw(method, path, body, **options)
        if not response.is_success:
            raise ServerError(response.status_code, error_texts(response))
        decoded: dict[str, Any] = response.json() if response.content else {}
        return decoded

    def read(self, path: str, **query: str) -> dict[str, Any]:
        """Return the `data` of a read."""
        data: dict[str, Any] = self.call("GET", path, params=query)["data"]
        return data

    def write(self, path: str, **body: Any) -> dict[str, Any]:
        """Write; return the whole answer."""
        return self.call("POST", path, body)

    def list(self, path: str) -> list[str]:
        """Return the keys below a path, empty when there are none."""
        response = self.raw("LIST", path)
        if response.status_code == httpx.codes.NOT_FOUND:
            return []
        if not response.is_success:
            raise ServerError(response.status_code, error_texts(response))
        keys: list[str] = response.json()["data"]["keys"]
        return keys

    def delete(self, path: str) -> None:
        """Delete."""
        self.call("DELETE", path)

    def login(self, mount: str, role: str, jwt: str) -> dict[str, Any]:
        """Log in without a token; return the `auth` of the answer.

        Raises:
            ServerError: the login was refused.
        """
        auth: dict[str, Any] = self.login_answer(mount, role=role, jwt=jwt)["auth"]
        return auth

    def login_answer(self, mount: str, **body: str) -> dict[str, Any]:
        """Log in without a token; return the whole answer, warnings and all.

        Raises:
            ServerError: the login was refused.
        """
        self.secrets.extend(body[name] for name in CREDENTIALS if name in body)
        answer = self.with_token("").write(f"auth/{mount}/login", **body)
        token = answer["auth"]["client_token"]
        if token:  # a login that waits for a second factor has none yet
            self.secrets.append(token)
        return answer

    @contextmanager
    def coming_from(self, address: str) -> Iterator[Client]:
        """Return a client like this one whose connections begin at another loopback address."""
        transport = httpx.HTTPTransport(local_address=address)
        with httpx.Client(timeout=REQUEST_SECONDS, trust_env=False, transport=transport) as http:
            yield replace(self, http=http)

    def cli_environment(self, output_format: str = "table") -> dict[str, str]:
        """Return the environment of the server's own command line, with this client's address and token."""
        environment = {"PATH": "/usr/bin:/bin", "HOME": str(self.home)}
        for prefix in ("VAULT", "BAO"):
            environment[f"{prefix}_ADDR"] = self.address
            environment[f"{prefix}_TOKEN"] = self.token
            environment[f"{prefix}_FORMAT"] = output_format
        return environment

    def run_cli(self, *arguments: str, output_format: str = "table") -> subprocess.CompletedProcess[str]:
        """Run the server's own command line with this client's address and token."""
        return subprocess.run(
            [str(self.program), *arguments],
            stdin=subprocess.DEVNULL,
            env=self.cli_environment(output_format),
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=CLI_SECONDS,
            check=False,
        )

    def cli(self, *arguments: str, output_format: str = "table") -> str:
        """Return the standard output of a command that must succeed."""
        result = self.run_cli(*arguments, output_format=output_format)
        assert result.returncode == 0, f"{' '.join(arguments)}: {result.stdout}{result.stderr}"
        return result.stdout

    def cli_json(self, *arguments: str) -> Any:
        """Return the decoded output of a command that must succeed, `None` when it prints nothing."""
        output = self.cli(*arguments, output_format="json")
        return json.loads(output) if output.strip() else None


def error_texts(response: httpx.Response) -> list[str]:
    """Return the `errors` of an answer; its body when it is no JSON object."""
    try:
        decoded = response.json()
    except ValueError:
        return [response.text]
    return [str(text) for text in decoded.get("errors", [])] if isinstance(decoded, dict) else [response.text]
