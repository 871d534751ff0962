"""Checks of a database plugin: what it is asked at registration, and without a connection to a database."""

from __future__ import annotations

from authkit.database import UserDeletion
from authkit.doctor.backend import judge_version, seen_of
from authkit.doctor.findings import Finding, failed, passed, warning
from authkit.errors import RPCError, StatusCode
from authkit.host.supervisor.backend_client import reported_version
from authkit.host.supervisor.databases.client import TYPE_TIMEOUT, DatabaseClient
from authkit.host.supervisor.databases.supervised import database_client_of
from authkit.host.supervisor.supervisor import Run

__all__ = ["inspect_database"]

_NOBODY = "authkit-doctor"
"""A user that no database has."""


async def inspect_database(run: Run) -> list[Finding]:
    """Ask as a server does. Nothing connects to a database: the plugin gets no settings.

    Raises:
        RPCError: the plugin ended, or does not tell its version.
    """
    findings = [passed("type", "database plugin"), judge_version(await reported_version(run.channel))]
    findings.append(_judge_multiplexing(run))
    client = database_client_of(run)
    findings.append(await _type(run, client))
    findings.append(await _uninitialized(run, client))
    findings.append(await _settings(run, client))
    return findings


def _judge_multiplexing(run: Run) -> Finding:
    check = "multiplexing"
    if run.is_multiplexed:
        return passed(check, "one process serves all connections")
    advice = "Answer MultiplexingSupport: a server starts a process for each connection."
    return warning(check, "not supported", advice)


async def _type(run: Run, client: DatabaseClient) -> Finding:
    check = "Type"
    try:
        kind = await client.type()
    except RPCError as error:
        advice = (
            f"Answer within {TYPE_TIMEOUT.seconds} s, without a connection: a server takes a slower plugin "
            "for one of an older protocol, and refuses the connection."
        )
        return failed(check, await seen_of(run, error), advice)
    return passed(check, kind) if kind else warning(check, "an empty name", "Name the kind of database.")


async def _uninitialized(run: Run, client: DatabaseClient) -> Finding:
    """Check that a call before Initialize fails, and does nothing else."""
    check = "calls before Initialize"
    try:
        await client.delete_user(UserDeletion(username=_NOBODY))
    except RPCError as error:
        if error.code is StatusCode.UNIMPLEMENTED:
            return failed(check, await seen_of(run, error), "Serve all methods of dbplugin.v5.Database.")
        return passed(check, error.message)
    return warning(check, "answered with success", "Refuse them: the host takes the user for deleted.")


async def _settings(run: Run, client: DatabaseClient) -> Finding:
    """Check that Initialize without settings is answered, or refused with what is missing."""
    check = "Initialize"
    try:
        await client.initialize({}, verify=False)
    except RPCError as error:
        seen = await seen_of(run, error)
        if run.ended.done() or error.code is StatusCode.UNIMPLEMENTED:
            return failed(check, seen, "Refuse settings that are missing: it ended the plugin.")
        return passed(check, f"without settings it is refused: {error.message}")
    await client.close()
    return passed(check, "works without settings")
