"""Real servers that share one raft storage: one of them is active, the others stand by.

Each is a `Server` with everything that one has. What happens to logins meanwhile is for the tests.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import Self

import httpx

from livebed.binaries import ServerProgram
from livebed.client import Client
from livebed.factories import MakePlugin
from livebed.plugins import Plugin
from livebed.processes import wait_until
from livebed.server import START_SECONDS, Server

__all__ = ["Cluster", "Node"]

FAIL_OVER_SECONDS = 60.0
ACTIVE = 200
STANDBY = 429
"""What sys/health answers on each kind of node."""
STABLE = "1s"
"""How long a node must be well before it has a vote; 10 s otherwise."""


class Node(Server):
    """One server of a cluster."""

    ready_statuses = frozenset({ACTIVE, STANDBY})

    def __init__(self, program: ServerProgram, node_id: str, leader: Server | None = None) -> None:
        super().__init__(program, raft=True)
        self.node_id = node_id
        self.leader = leader
        # A node that stands by redirects requests until it has a connection on which to hand them on.
        self.client.http.follow_redirects = True

    def initialise(self) -> None:
        """Make new storage, or join that of the leader."""
        if self.leader is None:
            super().initialise()
            return
        self.client.call("PUT", "sys/storage/raft/join", {"leader_api_addr": self.leader.address})
        self.unseal_key = self.leader.unseal_key
        self.client = self.client.with_token(self.leader.client.token)

    @property
    def is_alive(self) -> bool:
        """Whether its process lives."""
        return self.process is not None and self.process.poll() is None

    @property
    def health(self) -> int:
        """What sys/health answers; 0 when nobody does."""
        try:
            return self.client.raw("GET", "sys/health").status_code if self.is_alive else 0
        except httpx.TransportError:
            return 0

    @property
    def active_address(self) -> str:
        """Who it says is the active node, empty when it does not know."""
        return str(self.client.raw("GET", "sys/leader").json().get("leader_address", ""))


class Cluster:
    """Three nodes, or as many as are asked for; use it as a context manager."""

    def __init__(self, program: ServerProgram, *, size: int = 3) -> None:
        self.program = program
        self.size = size
        self.nodes: list[Node] = []
        self.stack = ExitStack()

    def __enter__(self) -> Self:
        try:
            first = self._start("node-1")
            first.wait_for_health({ACTIVE})
            first.client.write("sys/storage/raft/autopilot/configuration", server_stabilization_time=STABLE)
            for number in range(2, self.size + 1):
                self._start(f"node-{number}", first)
            wait_until(
                lambda: self.count_voters() == self.size, "a vote for every node", timeout=START_SECONDS
            )
        except BaseException:
            self.stack.close()
            raise
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stack.close()

    def _start(self, node_id: str, leader: Node | None = None) -> Node:
        node = self.stack.enter_context(Node(self.program, node_id, leader))
        self.nodes.append(node)
        return node

    def count_voters(self) -> int:
        """Return how many nodes have a vote: two of three go on without the third."""
        servers = self.active.client.read("sys/storage/raft/configuration")["config"]["servers"]
        return sum(server["voter"] for server in servers)

    @property
    def active(self) -> Node:
        """The active node; waits until there is one, and all know it."""
        return self._wait_for_active()

    @property
    def standbys(self) -> list[Node]:
        """The nodes that stand by. They hand requests on to the active one."""
        return [node for node in self.nodes if node.health == STANDBY]

    @property
    def client(self) -> Client:
        """The operator's client, at the active node."""
        return self.active.client

    def install(self, make: MakePlugin) -> Plugin:
        """Put the plugin into the plugin directory of each node, and register it."""
        plugins = [make(node) for node in self.nodes]
        assert len({plugin.sha256 for plugin in plugins}) == 1, "one checksum is registered for all nodes"
        plugins[0].register(self.client)
        return plugins[0]

    def step_down(self) -> Node:
        """Have the active node give up; return the next one."""
        before = self.active
        before.client.call("PUT", "sys/step-down")
        return self._wait_for_active(before)

    def kill_active(self) -> Node:
        """End the active node with SIGKILL; return the next one."""
        before = self.active
        before.kill()
        return self._wait_for_active(before)

    def bring_back(self, node: Node) -> None:
        """Start a dead node again; return once it knows which one is active."""
        node.start()
        self._wait_for_active()

    def _wait_for_active(self, before: Node | None = None) -> Node:
        # It may be active a moment before the others have heard of it; they refuse requests until then.
        def found() -> Node | None:
            living = [node for node in self.nodes if node.is_alive]
            active = [node for node in living if node is not before and node.health == ACTIVE]
            agreed = active and all(node.active_address == active[0].address for node in living)
            return active[0] if agreed else None

        node = wait_until(found, "an active node that all know", timeout=FAIL_OVER_SECONDS)
        assert node is not None
        return node
