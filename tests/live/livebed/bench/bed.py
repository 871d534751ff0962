"""The contenders: plugins in the catalog of one server, and what is mounted of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from livebed.bench.traffic import Request, Traffic
from livebed.binaries import ServerProgram, find_built
from livebed.mounts import Mount, mount_plugin
from livebed.plugins import JWT_LAUNCHER, Plugin, go_peer, python_plugin
from livebed.server import Server
from livebed.tokens import Issuer

__all__ = ["BUILT_IN", "GO", "Bed", "Contender", "open_bed"]

GO = "go"
BUILT_IN = "built-in"
"""A login method within the server's own process: what the server itself costs."""

PLAIN = Path(__file__).resolve().parents[4] / "examples" / "shared_pin" / "shared_pin.py"
"""A method with a shared secret and no signature: what the framework costs."""

LOOPBACK = ["127.0.0.0/8"]


@dataclass
class Contender:
    """One implementation of the JWT plugin."""

    label: str
    server: Server
    plugin: Plugin
    stack: ExitStack = field(repr=False)
    plain: Plugin | None = None
    """The method without signature, under the same engine; `None` for other interpreters and languages."""

    @property
    def is_ours(self) -> bool:
        """Whether it has what only our plugin has."""
        return self.label != GO

    @property
    def pid(self) -> int:
        """The process that serves all of its mounts. There has to be one."""
        return self.server.wait_for_one_process(self.plugin.command)

    def mount(self, issuer: Issuer) -> Mount:
        """Mount it once more, with the key of this issuer and the role `dev`; until the bed ends."""
        return self.stack.enter_context(mount_plugin(self.server, self.plugin, issuer))

    def mount_plain(self) -> tuple[Traffic, int]:
        """Mount the method without signature; return its logins and its process.

        Raises:
            LookupError: there is none.
        """
        if self.plain is None:
            raise LookupError(f"{self.label} has no method without signature")
        client, path = self.server.client, self.plain.name
        client.write(f"sys/auth/{path}", type=self.plain.name)
        client.write(f"auth/{path}/role/dev", pin="2468-1357", token_ttl="1h", token_policies=["default"])
        body = {"role": "dev", "member": "alice", "pin": "2468-1357"}
        traffic = Traffic([Request("POST", f"auth/{path}/login", body)])
        return traffic, self.server.wait_for_one_process(self.plain.command)


@dataclass
class Bed:
    """A server and who is measured on it."""

    server: Server
    contenders: Sequence[Contender]

    def pair(self) -> list[Contender]:
        """Return ours on the first of its engines, and the Go plugin."""
        return [self.contenders[0], self.contenders[-1]]

    def mount_built_in(self) -> Traffic:
        """Mount AppRole without secret ids; return its logins."""
        client = self.server.client
        client.write("sys/auth/approle", type="approle")
        client.write(
            "auth/approle/role/dev",
            bind_secret_id=False,
            secret_id_bound_cidrs=LOOPBACK,
            token_policies=["default"],
            token_ttl="1h",
        )
        role_id = client.read("auth/approle/role/dev/role-id")["role_id"]
        return Traffic([Request("POST", "auth/approle/login", {"role_id": role_id})])


@contextmanager
def open_bed(engines: Sequence[str], beside: Sequence[str] = ()) -> Iterator[Bed]:
    """Start a quiet server with every contender in its catalog, and nothing mounted.

    Args:
        engines: those of ours.
        beside: labels and interpreters, `LABEL=PYTHON`.
    """
    vault, peer = find_built("vault"), find_built("jwt-peer")
    assert vault is not None
    assert peer is not None
    with Server(ServerProgram(vault, "vault", "built"), log_level="warn") as server, ExitStack() as stack:
        folder, contenders = server.plugin_directory, []
        for engine in engines:
            plugin = python_plugin(folder, f"ours_{engine}", JWT_LAUNCHER)
            plain = python_plugin(folder, f"plain_{engine}", PLAIN.read_text())
            register(server, plugin, engine=engine)
            register(server, plain, engine=engine)
            contenders.append(Contender(engine, server, plugin, stack, plain))
        for each in beside:
            label, _, interpreter = each.partition("=")
            plugin = python_plugin(folder, f"beside_{label}", JWT_LAUNCHER, interpreter=interpreter)
            register(server, plugin)
            contenders.append(Contender(label, server, plugin, stack))
        official = go_peer(folder, peer)
        register(server, official)
        contenders.append(Contender(GO, server, official, stack))
        yield Bed(server, contenders)


def register(server: Server, plugin: Plugin, *, engine: str = "") -> None:
    """Put a plugin into the catalog."""
    options: dict[str, Any] = {"env": [f"AUTHKIT_RPC={engine}"]} if engine else {}
    plugin.register(server.client, **options)
