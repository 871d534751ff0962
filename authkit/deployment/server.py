"""What deployment asks of a server: its catalog, its mounts, a login. hvac sends the requests.

Address, token, CA and namespace are those of the server's own command line.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import hvac
import requests
from hvac.exceptions import InvalidPath, VaultError

from authkit.deployment.environment import ServerEnvironment
from authkit.deployment.errors import DeploymentError
from authkit.deployment.release import Release
from authkit.values import Value

__all__ = ["Mount", "Server", "connect"]

_GUESSES = "\nThis usually means"
"""Begins go-plugin's guesses about a plugin that did not start: ten lines, twice."""
_HINT = ". `authkit doctor` says why, with the file in the plugin directory"
_SECONDS = 60


class Mount(Value, frozen=True, kw_only=True):
    """A mount of an auth method, as the server lists it."""

    plugin: str
    version: str
    """What runs; empty for a plugin without a version."""
    sha256: str
    """Of the file that runs; empty for a built-in."""

    def runs(self, release: Release) -> bool:
        """Whether it runs this version from this file."""
        running = (self.plugin, self.version, self.sha256)
        return running == (release.name, release.version, release.sha256)


class Server:
    """A server, asked with an operator's token."""

    def __init__(self, connect: Callable[[str], hvac.Client], token: str) -> None:
        self._connect = connect
        self._client = connect(token)

    def find_registered(self, name: str, version: str) -> Mapping[str, Any] | None:
        """Return the catalog's entry of a version, `None` when there is none."""
        return self._get(f"sys/plugins/catalog/auth/{name}", version=version)

    def list_versions(self, name: str) -> list[str]:
        """Return the versions in the catalog, but those that are built in."""
        found = self._get("sys/plugins/catalog") or {}
        return [
            each["version"]
            for each in found.get("detailed") or ()
            if (each["type"], each["name"]) == ("auth", name)
            and not each.get("builtin")
            and each.get("version")
        ]

    def register(self, release: Release) -> None:
        """Put a version into the catalog."""
        body = {"sha256": release.sha256, "command": release.file.name, "version": release.version}
        self._send("put", f"sys/plugins/catalog/auth/{release.name}", body)

    def find_mount(self, path: str) -> Mount | None:
        """Return the mount at a path, without `auth/`; `None` when there is none."""
        return self.list_mounts().get(path)

    def list_mounts(self) -> dict[str, Mount]:
        """Return all mounts by their paths, without `auth/` and the slash at the end."""
        return {
            path.rstrip("/"): Mount(
                plugin=found["type"],
                version=found.get("running_plugin_version") or "",
                sha256=found.get("running_sha256") or "",
            )
            for path, found in (self._get("sys/auth") or {}).items()
        }

    def enable(self, path: str, name: str, version: str) -> None:
        """Enable a version at a path."""
        self._send("post", f"sys/auth/{path}", {"type": name, "config": {"plugin_version": version}})

    def disable(self, path: str) -> None:
        """Disable a mount, with all that it has stored."""
        self._send("delete", f"sys/auth/{path}", {})

    def run(self, path: str, version: str) -> None:
        """Let a mount run a version from now on."""
        self._send("post", f"sys/auth/{path}/tune", {"plugin_version": version})
        self._send("put", "sys/plugins/reload/backend", {"mounts": [f"auth/{path}/"]})

    def log_in(self, path: str, body: Mapping[str, str]) -> str:
        """Log in at a path, and revoke the token.

        Returns:
            Why the token cannot be revoked, such as a batch token; empty if it is.
        """
        stranger = Server(self._connect, "")
        answer = stranger._send("post", path, body)
        token = (answer.get("auth") or {}).get("client_token")
        if not token:
            raise DeploymentError(f"a login at {path} brought no token")
        try:
            Server(self._connect, token)._send("post", "auth/token/revoke-self", {})
        except DeploymentError as error:
            return str(error)
        return ""

    def _get(self, path: str, **query: str) -> Mapping[str, Any] | None:
        try:
            answer = self._client.adapter.get(f"/v1/{path}", params=query)
        except InvalidPath:
            return None
        except (VaultError, requests.RequestException) as error:
            raise _failed(path, error) from None
        data: Mapping[str, Any] | None = _read(path, answer).get("data")
        return data

    def _send(self, method: str, path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        try:
            answer = self._client.adapter.request(method, f"/v1/{path}", json=dict(body))
        except (VaultError, requests.RequestException) as error:
            raise _failed(path, error) from None
        return _read(path, answer)


def connect(environ: Mapping[str, str] = os.environ) -> Server:
    """Return the server that the environment names, with the operator's token.

    `BAO_ADDR`, `BAO_TOKEN`, `BAO_CACERT`, `BAO_CAPATH`, `BAO_CLIENT_CERT`, `BAO_CLIENT_KEY` and
    `BAO_NAMESPACE`, else the same with `VAULT_`; the token may be in `~/.vault-token`.

    Raises:
        DeploymentError: there is no token.
    """
    found = ServerEnvironment.read(environ)
    client = partial(
        hvac.Client,
        url=found.address,
        cert=found.client_certificate,
        verify=found.ca_file or found.ca_folder or True,
        namespace=found.namespace or None,
        timeout=_SECONDS,
        # The token, and the fields of a probe, are for this server alone.
        allow_redirects=False,
    )
    return Server(lambda token: client(token=token), found.token)


def _read(path: str, answer: dict[str, Any] | requests.Response) -> Mapping[str, Any]:
    """Return the JSON of an answer, empty for one without content.

    Raises:
        DeploymentError: it leads to another address, or is not JSON.
    """
    if isinstance(answer, dict):
        return answer
    if answer.is_redirect:
        location = answer.headers["Location"]
        raise DeploymentError(f"{path}: the server redirects to {location}: set VAULT_ADDR to the one to ask")
    if answer.status_code in (requests.codes.accepted, requests.codes.no_content):
        return {}
    raise DeploymentError(f"{path}: the answer (HTTP {answer.status_code}) is not that of a Vault server")


def _failed(path: str, error: Exception) -> DeploymentError:
    text, guesses, _ = str(error).partition(_GUESSES)
    return DeploymentError(f"{path}: {text}{_HINT if guesses else ''}")
