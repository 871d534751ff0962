"""PostgreSQL users per second: the example beside the official plugin behind the server's database engine."""

from __future__ import annotations

from collections.abc import Mapping

from database_servers import run_postgresql

from livebed.bench.rounds import Lane, interleave, median
from livebed.bench.traffic import Request, Traffic
from livebed.binaries import ServerProgram, find_built
from livebed.official_database import OfficialMount
from livebed.postgres import CREATION, PostgresMount
from livebed.server import Server

__all__ = ["FIGURES", "measure_database_users"]

FIGURES = ("per_second", "p50_ms", "cpu_ms_plugin", "cpu_ms_server")
ROLE = {
    "creation_statements": [CREATION],
    "revocation_statements": ['DROP ROLE "{{name}}"'],  # the end of the mounts is not measured
    "default_ttl": "1h",
}


def measure_database_users(*, rounds: int, clients: int, count: int) -> Mapping[str, Mapping[str, float]]:
    """Return the figures of each of the two, by its name: medians of so many rounds that take turns."""
    vault = find_built("vault")
    assert vault is not None
    program = ServerProgram(vault, "vault", "built")
    with (
        Server(program, log_level="warn") as server,
        run_postgresql() as database,
        PostgresMount.enabled(server, database) as ours,
        OfficialMount.enabled(server, database) as theirs,
    ):
        ours.write_role("app", **ROLE)
        theirs.write_role("app", **ROLE)
        lanes = [
            Lane(name, users(path, server), server.wait_for_one_process(command))
            for name, path, command in (
                ("authkit", ours.path, ours.plugin.command),
                ("official", theirs.path, "postgresql-official"),
            )
        ]
        runs = interleave(server, lanes, rounds=rounds, clients=clients, count=count)
        figures = {figure: median(runs, figure) for figure in FIGURES}
        return {lane.label: {each: figures[each][lane.label] for each in FIGURES} for lane in lanes}


def users(path: str, server: Server) -> Traffic:
    """Return requests for credentials."""
    return Traffic([Request("GET", f"{path}/creds/app")], "data.username", token=server.client.token)
