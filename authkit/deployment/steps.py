"""Install, upgrade, roll back: what is missing is done, verified, and undone when it does not run.

Every step is told before it is taken. A second run finds nothing to do, but for variables.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from authkit.deployment.directory import copy_file, find_sha256, is_copied
from authkit.deployment.errors import DeploymentError
from authkit.deployment.release import Release, version_key
from authkit.deployment.server import Mount, Server
from authkit.values import Value

__all__ = ["Probe", "copy", "install", "register", "roll_back", "verify_free", "verify_unused"]

Report = Callable[[str], None]
"""Told each step in a sentence."""


class Probe(Value, frozen=True, kw_only=True):
    """A login that shows whether a version works."""

    path: str
    """Below the mount."""
    body: Mapping[str, str]

    unshown = ("body",)


def verify_unused(server: Server, release: Release) -> None:
    """Check before a file is copied that no mount runs this version from another file.

    The copy and the catalog's entry would take the place of what such a mount starts from, and there would be
    nothing to go back to.

    Raises:
        DeploymentError: one does.
    """
    for path, mount in server.list_mounts().items():
        where = server.kind.shown(path)
        if (mount.plugin, mount.version) == (release.name, release.version) and not mount.runs(release):
            raise DeploymentError(
                f"{where} runs {release.name} {release.version} from another file, which this one would "
                "replace: give it a version of its own"
            )


def verify_free(server: Server, release: Release, directory: Path) -> None:
    """Check before a file is copied that the one in its place is not registered as something else.

    Such as another version of a file whose name has none: it would not start any more, and nothing could go
    back to it.

    Raises:
        DeploymentError: it is.
    """
    sha256 = find_sha256(release, directory)
    if sha256 in ("", release.sha256):
        return
    if owner := server.find_owner(sha256, release):
        raise DeploymentError(
            f"{directory / release.file.name} is the file of {owner}, which this one would replace: "
            "give this one a name of its own, NAME-VERSION"
        )


def copy(release: Release, directory: Path, *, report: Report, dry_run: bool = False) -> None:
    """Copy the file into the plugin directory of this machine. Every node of a cluster needs that.

    Raises:
        DeploymentError: the directory cannot be used.
    """
    if is_copied(release, directory):
        report(f"{directory / release.file.name} is there")
        return
    report(f"copy {release.file} to {directory}")
    if not dry_run:
        copy_file(release, directory)


def register(server: Server, release: Release, *, report: Report, dry_run: bool = False) -> None:
    """Put a version into the catalog, if it is not there with this checksum, or has variables.

    Raises:
        DeploymentError: the server refused it.
    """
    found = server.find_registered(release.name, release.version)
    _register(server, release, found, report=report, dry_run=dry_run)


def install(
    server: Server,
    release: Release,
    path: str,
    *,
    directory: Path,
    report: Report,
    probe: Probe | None = None,
    dry_run: bool = False,
) -> None:
    """Register a version and let the mount run it; enable the mount if there is none.

    If something else runs in the end, or the probe cannot log in, the mount gets back what ran before, and a
    version that is new leaves the catalog. Its file stays in `directory`, for `authkit doctor`. Variables
    of a version that the catalog had stay those of `release`: a server does not tell the ones before.

    Raises:
        DeploymentError: something was refused, or the version does not run; the text says what is left of it.
    """
    where, before = server.kind.shown(path), server.find_mount(path)
    if before is not None and before.plugin != release.name:
        raise DeploymentError(f"{where} is a mount of {before.plugin}, not of {release.name}")
    registered, changed = server.find_registered(release.name, release.version), ""
    try:
        _register(server, release, registered, report=report, dry_run=dry_run)
        if registered is not None and release.env:
            changed = (
                f"; {release.name} {release.version} keeps the new variables: register those of before again"
            )
        if before is None:
            report(f"enable {release.name} {release.version} at {where}")
            if not dry_run:
                # Refused, there is no mount to undo: one that is there is somebody else's.
                server.enable(path, release.name, release.version)
        _run(server, release, path, before, report=report, probe=probe, dry_run=dry_run)
    except DeploymentError as error:
        left = _clean_up(server, release, directory, report, is_new=registered is None)
        raise DeploymentError(f"{error}{changed}{left}") from None


def roll_back(
    server: Server,
    path: str,
    *,
    version: str = "",
    report: Report,
    probe: Probe | None = None,
    dry_run: bool = False,
) -> None:
    """Let a mount run an older version: the one that is named, else the next older one in the catalog.

    If it does not run, or the probe cannot log in, the mount gets back what ran before.

    Raises:
        DeploymentError: there is none, something was refused, or the version does not run.
    """
    where, mount = server.kind.shown(path), server.find_mount(path)
    if mount is None:
        raise DeploymentError(f"there is no mount at {where}")
    target = f"v{version.removeprefix('v')}" if version else _next_older(server, mount)
    registered = server.find_registered(mount.plugin, target)
    if registered is None:
        raise DeploymentError(f"the catalog has no {mount.plugin} {target}")
    release = Release(
        file=Path(registered["command"]), name=mount.plugin, version=target, sha256=registered["sha256"]
    )
    _run(server, release, path, mount, report=report, probe=probe, dry_run=dry_run)


def _register(
    server: Server, release: Release, found: Mapping[str, Any] | None, *, report: Report, dry_run: bool
) -> None:
    # A server does not tell the variables that it has.
    if found is None or found.get("sha256") != release.sha256 or release.env:
        names = ", ".join(each.partition("=")[0] for each in release.env)
        given = f" and {names}" if names else ""
        report(f"register {release.name} {release.version} with sha256 {release.sha256}{given}")
        if not dry_run:
            server.register(release)


def _run(
    server: Server,
    release: Release,
    path: str,
    before: Mount | None,
    *,
    report: Report,
    probe: Probe | None,
    dry_run: bool,
) -> None:
    """Let a mount run a version and verify that it does, or give it back what ran before.

    A mount that did not exist before has been enabled with the version.
    """
    where = server.kind.shown(path)
    is_other = before is not None and (not before.runs(release) or bool(release.env))
    if before is not None and is_other:
        report(f"tune {where} from {before.version or 'no version'} to {release.version}, and reload it")
    if dry_run:
        return
    try:
        if is_other:
            server.run(path, release.version)
        _verify(server, release, path, probe, report)
    except DeploymentError as error:
        raise _undo(server, path, before, error, report) from None


def _clean_up(server: Server, release: Release, directory: Path, report: Report, *, is_new: bool) -> str:
    """Deregister a failed version if it is new and no mount uses it; return what is left, for the error."""
    version = f"{release.name} {release.version}"
    remove = f"vault plugin deregister -version={release.version} {server.kind.name} {release.name}"
    in_catalog = ""
    try:
        if server.is_used(release):
            return ""
        registered = server.find_registered(release.name, release.version)
        if registered is not None and is_new and registered.get("sha256") == release.sha256:
            report(f"deregister {version}, which was registered just now")
            server.deregister(release)
        elif registered is not None:
            in_catalog = f"; {version} stays in the catalog, which had it before: {remove} removes it"
    except DeploymentError as error:
        in_catalog = f"; {version} may still be in the catalog ({error}): {remove} removes it"
    file = shlex.quote(str(directory / release.file.name))
    return f"{in_catalog}; the file stays for authkit doctor: rm {file} removes it"


def _next_older(server: Server, mount: Mount) -> str:
    running = version_key(mount.version)
    older = [each for each in server.list_versions(mount.plugin) if version_key(each) < running]
    if not older:
        raise DeploymentError(f"the catalog has no version of {mount.plugin} before {mount.version}")
    return max(older, key=version_key)


def _verify(server: Server, release: Release, path: str, probe: Probe | None, report: Report) -> None:
    where, mount = server.kind.shown(path), server.find_mount(path)
    if mount is None or not mount.runs(release):
        runs = f"{mount.version} with sha256 {mount.sha256}" if mount else "nothing"
        raise DeploymentError(f"{where} runs {runs}, not {release.version} with sha256 {release.sha256}")
    report(f"{where} runs {release.name} {release.version} with sha256 {release.sha256}")
    if probe is not None:
        kept = server.log_in(f"{where}{probe.path}", probe.body)
        report(f"the probe has logged in{kept and f'; its token lives on: {kept}'}")


def _undo(
    server: Server, path: str, before: Mount | None, error: DeploymentError, report: Report
) -> DeploymentError:
    """Return the error, after the mount has got back what ran before."""
    where = server.kind.shown(path)
    try:
        if before is None:
            if server.find_mount(path) is not None:
                report(f"disable {where}, which was enabled just now")
                server.disable(path)
            return error
        report(f"go back to {before.version or 'no version'}")
        server.run(path, before.version)
        mount = server.find_mount(path)
    except DeploymentError as second:
        return DeploymentError(f"{error}; and going back failed: {second}")
    if mount != before:
        return DeploymentError(f"{error}; and going back failed: {mount} runs")
    return DeploymentError(f"{error}; {where} runs {before.version or 'what ran before'} again")
