"""A mount of a JWT plugin, configured as the session of an operator would leave it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any

from livebed.client import Client
from livebed.plugins import GO_PEER, Plugin
from livebed.processes import wait_until
from livebed.server import Server
from livebed.tokens import AUDIENCE, ISSUER, Issuer

__all__ = ["DEV_ROLE", "Mount", "mount_plugin", "open_mount"]

DEV_ROLE: dict[str, Any] = {
    "role_type": "jwt",
    "user_claim": "sub",
    "bound_audiences": [AUDIENCE],
    "token_policies": ["default"],
    "token_ttl": "1h",
}

numbers = count(1)


@dataclass(frozen=True)
class Mount:
    """Where a plugin is enabled, and what a test does there most often."""

    server: Server
    plugin: Plugin
    issuer: Issuer
    path: str
    """Without `auth/`."""

    @property
    def client(self) -> Client:
        """The operator's client."""
        return self.server.client

    @property
    def is_peer(self) -> bool:
        """Whether the Go plugin is mounted, for the cases in which ours means to be another."""
        return self.plugin.name == GO_PEER

    @property
    def is_routed(self) -> bool:
        """Whether the server knows the mount."""
        response = self.client.raw("GET", f"auth/{self.path}/config")
        return "no handler for route" not in response.text

    @property
    def has_role(self) -> bool:
        """Whether the server can read the usual role."""
        return self.client.raw("GET", f"auth/{self.path}/role/dev").is_success

    @property
    def accessor(self) -> str:
        """What the mount is called in the identity store."""
        accessor: str = self.client.read("sys/auth")[f"{self.path}/"]["accessor"]
        return accessor

    @property
    def default_lease_seconds(self) -> int:
        """The lifetime of tokens for which nobody has set one."""
        seconds: int = self.client.read(f"sys/auth/{self.path}/tune")["default_lease_ttl"]
        return seconds

    @property
    def pid(self) -> int:
        """The one process of the plugin."""
        return self.server.wait_for_one_process(self.plugin.command)

    def configure(self, **config: Any) -> None:
        """Write the configuration: the issuer's public key, and `config` on top of it."""
        usual = {"jwt_validation_pubkeys": self.issuer.public_pem, "bound_issuer": ISSUER}
        self.client.write(f"auth/{self.path}/config", **(usual | config))

    def write_role(self, name: str = "dev", **fields: Any) -> None:
        """Write a role: that of the session, and `fields` on top of it."""
        self.client.write(f"auth/{self.path}/role/{name}", **(DEV_ROLE | fields))

    def login(self, role: str = "dev", jwt: str = "") -> dict[str, Any]:
        """Log in, with a fresh valid token unless another is given; return the `auth` of the answer."""
        return self.client.login(self.path, role, jwt or self.issuer.token())

    def renew(self, auth: dict[str, Any], **body: Any) -> dict[str, Any]:
        """Renew what a login has granted, as the operator; return the whole answer."""
        return self.client.write("auth/token/renew", token=auth["client_token"], **body)

    def lookup(self, auth: dict[str, Any]) -> dict[str, Any]:
        """Return what the server knows about the token of a login. It costs no use of the token."""
        known: dict[str, Any] = self.client.write("auth/token/lookup", token=auth["client_token"])["data"]
        return known

    def tune(self, **settings: Any) -> None:
        """Tune the mount."""
        self.client.write(f"sys/auth/{self.path}/tune", **settings)

    def enable(self, **config: Any) -> None:
        """Enable the plugin at the path."""
        self.client.write(f"sys/auth/{self.path}", type=self.plugin.name, config=config)

    def disable(self) -> None:
        """Disable the mount."""
        self.client.delete(f"sys/auth/{self.path}")

    def reload(self) -> None:
        """Reload this mount's plugin."""
        self.client.call("PUT", "sys/plugins/reload/backend", {"mounts": [f"auth/{self.path}/"]})


def open_mount(server: Server, plugin: Plugin, issuer: Issuer, **config: Any) -> Mount:
    """Enable and configure the plugin at a path of its own, for as long as the server lasts."""
    mount = Mount(server, plugin, issuer, f"t{next(numbers)}")
    mount.enable(**config)
    # A standby of OpenBao 2.5 and later answers reads itself, and knows of writes a moment later.
    wait_until(lambda: mount.is_routed, f"a route to {mount.path}", timeout=10)
    mount.configure()
    mount.write_role()
    wait_until(lambda: mount.has_role, f"the role at {mount.path}", timeout=10)
    return mount


@contextmanager
def mount_plugin(server: Server, plugin: Plugin, issuer: Issuer, **config: Any) -> Iterator[Mount]:
    """Enable and configure the plugin at a path of its own; disable it in the end if the server stands."""
    mount = open_mount(server, plugin, issuer, **config)
    try:
        yield mount
    finally:
        if server.process is not None and server.process.poll() is None:
            mount.disable()
