"""Servers, clusters and mounts of one part. All of it ends with the part."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any, Self

from livebed.bench.curves import Curve
from livebed.binaries import ServerProgram
from livebed.cluster import Cluster
from livebed.factories import our_plugin
from livebed.mounts import Mount, open_mount
from livebed.server import Server
from livebed.tokens import Issuer, usual_issuer

__all__ = ["Bed"]


class Bed:
    """What a part starts. Use it as a context manager; `stack` ends whatever else a part opens."""

    def __init__(self, program: ServerProgram) -> None:
        self.program = program
        self.stack = ExitStack()
        self.curves: list[Curve] = []
        """Pictures for the page: each becomes docs/plots/<name>.svg."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stack.close()

    def start_server(self, **options: Any) -> Server:
        """Start a server that logs little, unless told otherwise."""
        return self.stack.enter_context(Server(self.program, **({"log_level": "warn"} | options)))

    def start_cluster(self, size: int = 3) -> Cluster:
        """Start servers that share a raft storage."""
        return self.stack.enter_context(Cluster(self.program, size=size))

    def mount_jwt(self, server: Server, issuer: Issuer | None = None) -> Mount:
        """Register the JWT example, and mount it with a key and the role `dev`."""
        plugin = our_plugin(server)
        plugin.register(server.client)
        return open_mount(server, plugin, issuer or usual_issuer())
