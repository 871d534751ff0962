"""What deployment asks of a server: its catalog, its mounts, a login. hvac sends the requests.

Address, token, CA and namespace are those of the server's own command line.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, cast
from urllib.parse import urlsplit

import hvac
import requests
from hvac.exceptions import InvalidPath, VaultError

from authkit.deployment.environment import ServerEnvironment
from authkit.deployment.errors import DeploymentError
from authkit.deployment.kinds import AUTH, Kind
from authkit.deployment.release import Release
from authkit.deployment.unreachable import explain_unreachable
from authkit.values import Value

__all__ = ["Mount", "Server", "connect"]

_GUESSES = "\nThis usually means"
"""Begins go-plugin's guesses about a plugin that did not start: ten lines, twice."""
_HINT = ". `authkit doctor` says why, with the file in the plugin directory"
_SECONDS = 60


class Mount(Value, frozen=True, kw_only=True):
    """A mount of a plugin, as the server lists it."""

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
    """A server, asked with an operator's token about plugins of one kind."""

    def __init__(
        self, address: str, connect: Callable[[str], hvac.Client], token: str, kind: Kind = AUTH
    ) -> None:
        self.kind: Final = kind
        self._address = address
        self._connect = connect
        self._client = connect(token)

    def find_registered(self, name: str, version: str) -> Mapping[str, Any] | None:
        """Return the catalog's entry of a version, `None` when there is none."""
        return self._get(f"sys/plugins/catalog/{self.kind.name}/{name}", version=version)

    def list_versions(self, name: str) -> list[str]:
        """Return the versions in the catalog, but those that are built in."""
        return [
            each["version"]
            for each in self._list_catalog()
            if (each["type"], each["name"]) == (self.kind.name, name)
            and not each.get("builtin")
            and each.get("version")
        ]

    def find_owner(self, sha256: str, release: Release) -> str:
        """Return what else the catalog has a file for, such as `auth jwt v1.0.0`; empty if nothing."""
        return next(
            (
                f"{each['type']} {each['name']} {each.get('version') or ''}".rstrip()
                for each in self._list_catalog()
                if each.get("sha256") == sha256
                and (each["type"], each["name"], each.get("version"))
                != (self.kind.name, release.name, release.version)
            ),
            "",
        )

    def register(self, release: Release) -> None:
        """Put a version into the catalog."""
        body: dict[str, Any] = {
            "sha256": release.sha256,
            "command": release.file.name,
            "version": release.version,
        }
        if release.env:
            body["env"] = list(release.env)
        self._send("put", f"sys/plugins/catalog/{self.kind.name}/{release.name}", body)

    def deregister(self, release: Release) -> None:
        """Take a version out of the catalog, which has it.

        Otherwise the entry without a version would go (Vault 1.21, plugin_catalog.go, Delete).
        """
        self._send(
            "delete", f"sys/plugins/catalog/{self.kind.name}/{release.name}", {}, version=release.version
        )

    def is_used(self, release: Release) -> bool:
        """Whether a mount runs a version, or will once it is reloaded."""
        return any(
            mount["type"] == release.name
            and release.version in (mount.get("plugin_version"), mount.get("running_plugin_version"))
            for mount in self._list_mounts().values()
        )

    def find_mount(self, path: str) -> Mount | None:
        """Return the mount at a path, which is given without `auth/`; `None` when there is none."""
        return self.list_mounts().get(path)

    def list_mounts(self) -> dict[str, Mount]:
        """Return all mounts by their paths, without `auth/` and the slash at the end."""
        return {
            path.rstrip("/"): Mount(
                plugin=found["type"],
                version=found.get("running_plugin_version") or "",
                sha256=found.get("running_sha256") or "",
            )
            for path, found in self._list_mounts().items()
        }

    def _list_catalog(self) -> Sequence[Mapping[str, Any]]:
        return (self._get("sys/plugins/catalog") or {}).get("detailed") or ()

    def _list_mounts(self) -> Mapping[str, Any]:
        return self._get(self.kind.mounts) or {}

    def enable(self, path: str, name: str, version: str) -> None:
        """Enable a version at a path."""
        self._send(
            "post", f"{self.kind.mounts}/{path}", {"type": name, "config": {"plugin_version": version}}
        )

    def disable(self, path: str) -> None:
        """Disable a mount, with all that it has stored."""
        self._send("delete", f"{self.kind.mounts}/{path}", {})

    def run(self, path: str, version: str) -> None:
        """Let a mount run a version from now on."""
        self._send("post", f"{self.kind.mounts}/{path}/tune", {"plugin_version": version})
        self._send("put", "sys/plugins/reload/backend", {"mounts": [self.kind.shown(path)]})

    def log_in(self, path: str, body: Mapping[str, str]) -> str:
        """Log in at a path, and revoke the token.

        Returns:
            Why the token cannot be revoked, such as a batch token; empty if it is.
        """
        stranger = Server(self._address, self._connect, "")
        answer = stranger._send("post", path, body)
        token = (answer.get("auth") or {}).get("client_token")
        if not token:
            raise DeploymentError(f"a login at {path} brought no token")
        try:
            Server(self._address, self._connect, token)._send("post", "auth/token/revoke-self", {})
        except DeploymentError as error:
            return str(error)
        return ""

    def _get(self, path: str, **query: str) -> Mapping[str, Any] | None:
        try:
            data: Mapping[str, Any] | None = self._request("get", path, params=query).get("data")
        except InvalidPath:
            return None
        return data

    def _send(self, method: str, path: str, body: Mapping[str, Any], **query: str) -> Mapping[str, Any]:
        try:
            return self._request(method, path, json=dict(body), params=query)
        except InvalidPath as error:
            raise _refused(path, error) from None

    def _request(self, method: str, path: str, **content: Any) -> Mapping[str, Any]:
        """Return the JSON of an answer.

        Raises:
            InvalidPath: there is nothing at the path.
            DeploymentError: anything else.
        """
        try:
            return _read(path, self._client.adapter.request(method, f"/v1/{path}", **content))
        except InvalidPath:
            raise
        except VaultError as error:
            raise _refused(path, error) from None
        except requests.RequestException as error:
            raise DeploymentError(explain_unreachable(self._address, error)) from None
        except OSError as error:  # the files of certificates, which requests reads
            raise DeploymentError(f"cannot ask {self._address}: {error}") from None


def connect(environ: Mapping[str, str] = os.environ, *, kind: Kind = AUTH) -> Server:
    """Return the server that the environment names, with the operator's token, for one kind of plugins.

    Raises:
        DeploymentError: there is no token.
    """
    found = ServerEnvironment.read(environ)
    if "@" in urlsplit(found.address).netloc:
        raise DeploymentError("the server's address has a user or a password in it: leave them out")
    client = partial(
        hvac.Client,
        url=found.address,
        # Not `None`, which hvac's annotation asks for: it would read the variables of Vault by itself.
        cert=found.client_certificate or cast(Any, ()),
        verify=found.ca_file or found.ca_folder or True,
        namespace=found.namespace or None,
        timeout=_SECONDS,
        # The token, and the fields of a probe, are for this server alone.
        allow_redirects=False,
    )
    return Server(found.address, lambda token: client(token=token), found.token, kind)


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


def _refused(path: str, error: VaultError) -> DeploymentError:
    text, guesses, _ = str(error).partition(_GUESSES)
    return DeploymentError(f"{path}: {text}{_HINT if guesses else ''}")
