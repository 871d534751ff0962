"""Checks of the backend: set up as for registration, then on a mount in memory."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from authkit.doctor.findings import Finding, failed, passed, warning
from authkit.errors import AuthKitError, PluginSetupError, RPCError
from authkit.host.mounts.entries import AUTH_PREFIX, Mount, make_accessor
from authkit.host.mounts.memory import InMemoryStorage
from authkit.host.mounts.special_paths import PathPatternError, PathPatterns
from authkit.host.mounts.system_view import MountEvents, SystemViews
from authkit.host.store.clock import SystemClock
from authkit.host.store.identity import IdentityStore
from authkit.host.store.storage import InMemoryPhysicalStorage
from authkit.host.supervisor.backend_client import BackendClient
from authkit.host.supervisor.hints import explain
from authkit.host.supervisor.services.mount import host_services
from authkit.host.supervisor.supervised import client_of, set_up_for_probe
from authkit.host.supervisor.supervisor import Run
from authkit.logical import (
    BackendConfig,
    BackendType,
    ClusterInfo,
    Operation,
    Request,
    Response,
    SpecialPaths,
)
from authkit.wire.messages import MountSetup

__all__ = ["inspect_mount", "inspect_registration", "judge_version", "seen_of"]

_VERSION = re.compile(r"v\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?")

_MAX_SHOWN = 8

END_FOLLOWS = timedelta(seconds=1)
"""How long after its connection closes a process may take to be reported as ended."""


async def inspect_registration(run: Run) -> tuple[list[Finding], BackendType]:
    """Set the backend up as registration does, and check its type and version; return the type as well."""
    check = "registration"
    try:
        client = await set_up_for_probe(run)
    except (PluginSetupError, RPCError) as error:
        seen = await seen_of(run, error)
        advice = explain(seen) or "Setup has to succeed without options, storage and system view."
        finding = failed(check, seen, f"{advice} A server registers it without its version.")
        return [finding], BackendType.UNKNOWN
    findings = [passed(check, "set up without options, storage and system view")]
    backend_type = await client.backend_type()
    findings.append(_judge_type(backend_type))
    findings.append(judge_version(await client.version()))
    await client.cleanup()
    return findings, backend_type


def _judge_type(found: BackendType) -> Finding:
    names = {BackendType.CREDENTIAL: "auth method", BackendType.LOGICAL: "secrets engine"}
    if found in names:
        return passed("type", names[found])
    return failed(
        "type",
        "unknown",
        "An auth method answers pb.Backend/Type with 2, a secrets engine with 1; a server mounts no others.",
    )


def judge_version(version: str) -> Finding:
    """Check the version that a plugin reports."""
    if not version:
        return warning(
            "version", "none reported", "Report one as vX.Y.Z: operators see it, and upgrades go by it."
        )
    if not _VERSION.fullmatch(version):
        return failed(
            "version",
            version,
            "Report it as vX.Y.Z with the leading v: it is compared as text with what is registered.",
        )
    return passed("version", version)


async def inspect_mount(run: Run, name: str, backend_type: BackendType) -> list[Finding]:
    """Mount the backend in memory, check paths, initialization and help, and unmount it."""
    client = client_of(run)
    is_engine = backend_type is BackendType.LOGICAL
    prefix = "" if is_engine else AUTH_PREFIX
    entry = Mount(path="doctor/", prefix=prefix, type=name, accessor=make_accessor(name, prefix=prefix))
    served = _scratch(entry)
    broker_id = await run.offer(host_services(served))
    try:
        await client.set_up(
            MountSetup(broker_id=broker_id, options=served.options, backend_uuid=served.backend_uuid)
        )
    except (PluginSetupError, RPCError) as error:
        seen = await seen_of(run, error)
        return [failed("setup", seen, explain(seen) or _LOOK_AT_LOG)]
    findings = [passed("setup", "set up with storage and system view")]
    try:
        findings += [*_judge_paths(await client.special_paths(), is_engine=is_engine)]
        findings.append(await _initialize(run, client))
        findings += await _help(client, entry)
    finally:
        await client.cleanup()
        await run.withdraw(broker_id)
    return findings


_TUNING = (
    "shown in browsers; let their headers out with vault auth tune "
    "-allowed-response-headers=Content-Security-Policy -allowed-response-headers=X-Frame-Options "
    "-allowed-response-headers=Referrer-Policy -passthrough-request-headers=Sec-Fetch-Dest"
)
_LOOK_AT_LOG = "Look into its log for the cause."


def _scratch(entry: Mount) -> BackendConfig:
    """Return the host services of a mount in memory."""
    views = SystemViews(
        IdentityStore(InMemoryPhysicalStorage(), SystemClock()),
        ClusterInfo(cluster_id="doctor"),
    )
    return BackendConfig(
        storage=InMemoryStorage(),
        system=views.of(lambda: entry, lambda: False),
        events=MountEvents(),
        options={"plugin_name": entry.type, "plugin_type": entry.plugin_type, "plugin_version": ""},
        backend_uuid=entry.backend_uuid,
    )


def _judge_paths(paths: SpecialPaths, *, is_engine: bool) -> Iterator[Finding]:
    check = "special paths"
    problems = [*_path_problems(paths)]
    for seen, advice in problems:
        yield failed(check, seen, advice)
    if not paths.unauthenticated and is_engine:
        yield passed(check, "no path is open without a token")
    elif not paths.unauthenticated:
        yield warning(
            check,
            "no path is open without a token",
            "List the login path as unauthenticated, or nobody can log in.",
        )
    elif not problems:
        shown = ", ".join(paths.unauthenticated[:_MAX_SHOWN])
        yield passed(check, f"open without a token: {shown}")


def _path_problems(paths: SpecialPaths) -> Iterator[tuple[str, str]]:
    lists = {"root": paths.root, "unauthenticated": paths.unauthenticated, "limited": paths.limited}
    for name, patterns in lists.items():
        for pattern in patterns:
            if pattern.startswith("/"):
                yield (
                    f"{name}: {pattern!r} begins with a slash",
                    "It never matches: paths are relative to the mount.",
                )
            elif pattern in ("*", "+*", ""):
                yield f"{name}: {pattern!r} takes in every path", "Name the paths that are meant."
        try:
            PathPatterns(patterns, segments=name != "root")
        except PathPatternError as error:
            yield f"{name}: {error}", "A server refuses the mount."
    for pattern in set(paths.root) & set(paths.unauthenticated):
        yield f"{pattern!r} is root and unauthenticated at once", "A server refuses every request to it."


async def _initialize(run: Run, client: BackendClient) -> Finding:
    try:
        await client.initialize()
    except AuthKitError as error:
        return failed("initialize", await seen_of(run, error), f"Enabling it fails. {_LOOK_AT_LOG}")
    return passed("initialize", "done")


async def seen_of(run: Run, error: AuthKitError) -> str:
    """Return how the process ended if the call failed for that reason, else the error's text."""
    if isinstance(error, RPCError):
        await asyncio.wait({run.ended}, timeout=END_FOLLOWS.total_seconds())
    return run.ended.result() if run.ended.done() else str(error)


async def _help(client: BackendClient, entry: Mount) -> list[Finding]:
    request = Request(
        operation=Operation.HELP,
        path="",
        id="doctor",
        data={"requestResponsePrefix": entry.type},
        has_data=True,
        mount_point=entry.route,
        mount_type=entry.type,
    )
    try:
        response = await client.handle_request(request)
    except AuthKitError as error:
        response = Response.error(str(error))
    return [_judge_help(response), _judge_openapi(response), *_judge_pages(response)]


def _judge_help(response: Response | None) -> Finding:
    advice = "Answer help on the root with a page: without it a server's whole OpenAPI document fails."
    if response is None or not response.data:
        return failed("help", "an empty answer", advice)
    if response.is_error:
        return failed("help", str(response.data["error"]), advice)
    text = response.data.get("help")
    if not isinstance(text, str) or not text.strip():
        return warning("help", "a page without text", "Say what the plugin is for.")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return passed("help", lines[0] if lines else "a page")


def _document(response: Response | None) -> Any:
    return response.data.get("openapi") if response is not None and response.data else None


def _judge_pages(response: Response | None) -> Iterator[Finding]:
    """Name the tuning that lets a page's headers through to browsers."""
    found = []
    try:
        for path, item in _document(response)["paths"].items():
            operations = [item[method] for method in ("get", "post") if method in item]
            answers = [answer for each in operations for answer in each.get("responses", {}).values()]
            if any("text/html" in answer.get("content", {}) for answer in answers):
                found.append(path)
    except (TypeError, KeyError, AttributeError):
        return  # `_judge_openapi` reports it
    if found:
        yield passed("pages", f"{', '.join(found[:_MAX_SHOWN])}: {_TUNING}")


def _judge_openapi(response: Response | None) -> Finding:
    document = _document(response)
    if document is None:
        return warning("OpenAPI", "none", "It is left out of the server's document and of generated clients.")
    if not isinstance(document, dict) or not isinstance(document.get("paths"), dict):
        return failed(
            "OpenAPI", "not a document with paths", "Answer with an OpenAPI 3 document, or with none."
        )
    return passed("OpenAPI", f"{len(document['paths'])} paths, OpenAPI {document.get('openapi', '?')}")
