"""`sys/auth`, `sys/mounts` and `sys/internal/ui/mounts`: mounts made, tuned, shown and removed.

The order of the checks and their texts are those of Vault 1.21 (vault/logical_system.go).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from authkit.errors import AuthKitError
from authkit.host.authorization import Caller
from authkit.host.backends.router import Call, Routes, flag_of, map_of, text_of
from authkit.host.backends.sys.tuning import LISTS, new_config, tuned
from authkit.host.messages import Answer, Failure
from authkit.host.mounts.entries import (
    Mount,
    make_accessor,
    show_config,
    show_mount,
)
from authkit.host.mounts.table import MountError, RunningMount
from authkit.host.state import HostState
from authkit.host.store.catalog import semantic_version
from authkit.host.store.plugin_errors import readable
from authkit.values import replace

__all__ = ["add_mount_routes", "system_mounts"]

_ENABLE_FIELDS = (
    "type description config local seal_wrap external_entropy_access plugin_name options plugin_version"
)
_TUNE_FIELDS = (
    "default_lease_ttl max_lease_ttl description listing_visibility token_type options plugin_version "
    "user_lockout_config trim_request_trailing_slashes identity_token_key "
) + " ".join(LISTS)


def add_mount_routes(routes: Routes, state: HostState) -> None:
    """Serve the mounts of a host."""
    mounts = _Mounts(state)
    routes.add("auth/?", lifted=True, read=mounts.list_all)
    routes.add(
        "auth/(?P<path>.+?)/tune", _TUNE_FIELDS, lifted=True, read=mounts.read_tuning, update=mounts.tune
    )
    routes.add(
        "auth/(?P<path>.+)",
        _ENABLE_FIELDS,
        lifted=True,
        read=mounts.read,
        update=mounts.enable,
        delete=mounts.disable,
    )
    routes.add("mounts/?", lifted=True, read=mounts.list_system)
    routes.add("mounts/auth/(?P<path>.+?)/tune", _TUNE_FIELDS, read=mounts.read_tuning, update=mounts.tune)
    routes.add("mounts/(?P<path>.+)", lifted=True, read=mounts.read_system)
    routes.add("internal/ui/mounts/?", read=mounts.list_visible)
    routes.add("internal/ui/mounts/(?P<path>.+)", read=mounts.read_visible)


class _Mounts:
    def __init__(self, state: HostState) -> None:
        self._state = state
        self._mounts = state.mounts

    # --- shown ---------------------------------------------------------------------------------

    async def list_all(self, call: Call) -> Answer:
        return Answer(data={entry.path: show_mount(entry) for entry in self._entries()})

    async def read(self, call: Call) -> Answer:
        path = _clean(call.data["path"])
        for entry in self._entries():
            if entry.path == path:
                return Answer(data=show_mount(entry))
        raise Failure(400, f"No auth engine at {path}")

    async def read_tuning(self, call: Call) -> Answer:
        path = _clean(call.data["path"])
        for entry in self._entries():
            if entry.path == path:
                return Answer(data=show_config(entry))
        raise Failure(400, f'cannot fetch sysview for path "auth/{path}"')

    async def list_system(self, call: Call) -> Answer:
        return Answer(data=system_mounts(self._state))

    async def read_system(self, call: Call) -> Answer:
        path = _clean(call.data["path"])
        found = system_mounts(self._state).get(path)
        if found is None:
            raise Failure(400, f"No secret engine mount at {path}")
        return Answer(data=found)

    async def list_visible(self, call: Call) -> Answer:
        """Answer for everybody: what is listed for all, and what the caller's policies reach."""
        auth: dict[str, Any] = {}
        for entry in self._entries():
            if call.caller is not None and _reaches(call.caller, entry.route):
                auth[entry.path] = show_mount(entry, effective=True)
            elif entry.config.listing_visibility == "unauth":
                shown = show_mount(entry)
                auth[entry.path] = {name: shown[name] for name in ("description", "options", "type")}
        secret: dict[str, Any] = {}
        if call.caller is not None:
            shown_mounts = system_mounts(self._state, effective=True)
            secret = {path: each for path, each in shown_mounts.items() if _reaches(call.caller, path)}
        return Answer(data={"auth": auth, "secret": secret}, mount_type="")

    async def read_visible(self, call: Call) -> Answer:
        path = _clean(call.data["path"])
        if call.caller is None:
            raise Failure(403, "permission denied")
        refused = Failure(
            403,
            "preflight capability check returned 403, please ensure client's policies grant access to path "
            f'"{path}"',
        )
        mount = next((each for each in self._entries() if path.startswith(each.route)), None)
        if mount is not None and _reaches(call.caller, mount.route):
            return Answer(data=show_mount(mount, effective=True) | {"path": mount.path}, mount_type="")
        system = system_mounts(self._state, effective=True)
        found = next((each for each in system if path.startswith(each)), None)
        if found is None or not _reaches(call.caller, found):
            raise refused
        return Answer(data=system[found] | {"path": found}, mount_type="")

    def _entries(self) -> list[Mount]:
        return sorted(
            [self._mounts.token_mount, *(mount.entry for mount in self._mounts)], key=lambda entry: entry.path
        )

    # --- changed -------------------------------------------------------------------------------

    async def enable(self, call: Call) -> None:
        entry = self._new_mount(_clean(call.data["path"]), call.data)
        if entry.path == "token/" or entry.path.startswith("token/"):
            raise Failure(400, "path is already in use at token/")
        try:
            await self._mounts.enable(entry)
        except MountError as error:
            raise Failure(400, str(error)) from error
        except AuthKitError as error:
            raise Failure(400, str(readable(error))) from error

    def _new_mount(self, path: str, data: Mapping[str, Any]) -> Mount:
        given = data.get("config") or {}
        if not isinstance(given, Mapping):
            raise Failure(400, "unable to convert given auth config information")
        config = new_config(given)
        kind = text_of(data, "type")
        if kind == "plugin":
            kind = text_of(given, "plugin_name") or text_of(data, "plugin_name")
            if not kind:
                raise Failure(400, "plugin_name must be provided for plugin backend")
        if not kind:
            raise Failure(400, "backend type must be specified as a string")
        version = self._verify_version(
            text_of(given, "plugin_version") or text_of(data, "plugin_version"), kind
        )
        options = map_of(data, "options")
        if options.get("version"):
            raise Failure(400, f'auth method "{kind}" does not allow setting a version')
        return Mount(
            path=path,
            type=kind,
            accessor=make_accessor(kind),
            description=text_of(data, "description"),
            options=options,
            local=flag_of(data, "local"),
            seal_wrap=flag_of(data, "seal_wrap"),
            external_entropy_access=flag_of(data, "external_entropy_access"),
            plugin_version=version,
            config=config,
        )

    def _verify_version(self, version: str, kind: str) -> str:
        """Return the version that a mount is pinned to (Vault 1.21, selectPluginVersion)."""
        if not version:
            chosen = self._state.catalog.choose(kind)
            return chosen.version if chosen else ""
        try:
            version = semantic_version(version)
        except ValueError:
            raise Failure(
                400, f'version "{version}" is not a valid semantic version: Malformed version: {version}'
            ) from None
        if self._state.catalog.find(kind, version) is None:
            raise Failure(400, f"plugin not found in the catalog: {kind}, version={version}")
        return version

    async def disable(self, call: Call) -> None:
        path = _clean(call.data["path"])
        if path == "token/":
            raise Failure(400, "token credential backend cannot be disabled")
        mount = self._mounts.find(path)
        if mount is None:
            return
        mount.is_tainted = True
        await self._state.tokens.revoke_below(mount.entry.route)
        await self._mounts.disable(mount)

    async def tune(self, call: Call) -> None:
        path = _clean(call.data["path"])
        if path == "token/":
            await self._mounts.change_token_mount(tuned(self._mounts.token_mount, call.data))
            return
        mount = self._mounts.find(path)
        if mount is None:
            raise Failure(400, f'tune of path "auth/{path}" failed: no mount entry found')
        await self._mounts.change(mount, self._with_version(mount, tuned(mount.entry, call.data), call.data))

    def _with_version(self, mount: RunningMount, entry: Mount, data: Mapping[str, Any]) -> Mount:
        version = text_of(data, "plugin_version")
        return replace(entry, plugin_version=self._verify_version(version, entry.type)) if version else entry


# --- help --------------------------------------------------------------------------------------


def system_mounts(state: HostState, *, effective: bool = False) -> dict[str, Any]:
    """Return the mounts that are not auth methods, as a list of mounts shows them."""
    return {
        entry.path: {
            **shown,
            "config": {name: each for name, each in shown["config"].items() if name != "token_type"},
        }
        for entry in state.mounts.system_mounts
        for shown in [show_mount(entry, effective=effective)]
    }


def _clean(path: str) -> str:
    return path.strip("/") + "/"


def _reaches(caller: Caller, route: str) -> bool:
    """Whether the caller's policies reach below a mount."""
    return caller.acl.reaches(route)
