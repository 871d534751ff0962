"""`sys/auth`, `sys/mounts` and `sys/internal/ui/mounts`: mounts made, tuned, shown and removed.

The order of the checks and their texts are those of Vault 1.21 (vault/logical_system.go).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from authkit.errors import AuthKitError, UserError
from authkit.framework import KV, Bool, Call, Map, Model, PathTemplate, Str, delete, field, read, write
from authkit.host.authorization import Caller
from authkit.host.backends.base import HostBackend, OwnCall
from authkit.host.backends.sys.tuning import TuningFields, new_config, tuned
from authkit.host.backends.sys.versions import read_version
from authkit.host.messages import Failure
from authkit.host.mounts.entries import Mount, make_accessor, show_config, show_mount
from authkit.host.mounts.table import MountError, no_mount_to_tune
from authkit.host.store.plugin_errors import in_go_words
from authkit.values import replace

__all__ = ["Mounts"]


class NewMount(Model):
    """What an operator writes to make a mount."""

    path: Str = field(default="", help="The path below `auth/`.")
    type: Str = field(default="", help="The name of the plugin.")
    plugin_name: Str = field(default="", help="The name of the plugin, where the type is `plugin`.")
    plugin_version: Str = field(default="", help="A registered version; by default the newest.")
    description: Str = field(default="", help="A description, shown in lists.")
    config: Map = field(default={}, help="What can be tuned later.")
    options: KV = field(default={}, help="Handed to the plugin.")
    local: Bool = field(default=False, help="Whether it stays in its cluster.")
    seal_wrap: Bool = field(default=False, help="Whether its storage is wrapped by the seal.")
    external_entropy_access: Bool = field(default=False, help="Whether it may use external entropy.")


class Mounts(HostBackend):
    """The mounts of a host."""

    # --- shown ---------------------------------------------------------------------------------

    @read(PathTemplate.from_regex("auth/?"))
    async def list_auth_mounts(self) -> dict[str, Any]:
        """Return all auth methods."""
        return {entry.path: show_mount(entry) for entry in self._auth_mounts()}

    @read("auth/{path:path}/tune", "mounts/auth/{path:path}/tune", fields=TuningFields)
    async def read_tuning(self, call: Call) -> dict[str, Any]:
        """Return how an auth method is tuned."""
        path = _clean(call.data.values["path"])
        entry = self._find(path)
        if entry is None:
            raise UserError(f'cannot fetch sysview for path "auth/{path}"')
        return show_config(entry)

    @write("auth/{path:path}/tune", "mounts/auth/{path:path}/tune", fields=TuningFields)
    async def tune(self, call: Call) -> None:
        """Tune an auth method."""
        data, mounts = call.data.values, self.state.mounts
        path = _clean(data["path"])
        if path == "token/":
            await mounts.change_token_mount(tuned(mounts.token_mount, data))
            return
        mount = mounts.find(path)
        if mount is None:
            raise UserError(no_mount_to_tune(path))
        try:
            await mounts.change(mount, lambda entry: self._tuned(entry, data))
        except MountError as error:
            raise UserError(str(error)) from error

    def _tuned(self, entry: Mount, data: Mapping[str, Any]) -> Mount:
        entry = tuned(entry, data)
        if not data.get("plugin_version"):
            return entry
        return replace(entry, plugin_version=self._choose_version(data["plugin_version"], entry.type))

    @read("auth/{path:path}", fields=NewMount)
    async def read_auth_mount(self, call: Call) -> dict[str, Any]:
        """Return an auth method."""
        path = _clean(call.data.values["path"])
        entry = self._find(path)
        if entry is None:
            raise UserError(f"No auth engine at {path}")
        return show_mount(entry)

    @read(PathTemplate.from_regex("mounts/?"))
    async def list_other_mounts(self) -> dict[str, Any]:
        """Return the mounts that are no auth methods."""
        return self._other_mounts()

    @read("mounts/{path:path}")
    async def read_other_mount(self, path: Str) -> dict[str, Any]:
        """Return a mount that is no auth method."""
        found: dict[str, Any] | None = self._other_mounts().get(_clean(path))
        if found is None:
            raise UserError(f"No secret engine mount at {_clean(path)}")
        return found

    @read(PathTemplate.from_regex("internal/ui/mounts/?"))
    async def list_visible_mounts(self, call: OwnCall) -> dict[str, Any]:
        """Return the mounts that are listed publicly or that the caller's policies reach."""
        caller = call.request.caller
        auth: dict[str, Any] = {}
        for entry in self._auth_mounts():
            if _reaches(caller, entry.route):
                auth[entry.path] = show_mount(entry, effective=True)
            elif entry.config.listing_visibility == "unauth":
                shown = show_mount(entry)
                auth[entry.path] = {name: shown[name] for name in ("description", "options", "type")}
        others = self._other_mounts(effective=True) if caller else {}
        return {
            "auth": auth,
            "secret": {path: shown for path, shown in others.items() if _reaches(caller, path)},
        }

    @read("internal/ui/mounts/{path:path}")
    async def read_visible_mount(self, call: OwnCall, path: Str) -> dict[str, Any]:
        """Return the mount of a path, if the caller's policies reach it."""
        caller, path = call.request.caller, _clean(path)
        if caller is None:
            raise Failure(403, "permission denied")
        for entry in self._auth_mounts():
            if path.startswith(entry.route) and _reaches(caller, entry.route):
                return show_mount(entry, effective=True) | {"path": entry.path}
        for found, shown in self._other_mounts(effective=True).items():
            if path.startswith(found) and _reaches(caller, found):
                return {**shown, "path": found}
        raise Failure(
            403,
            "preflight capability check returned 403, please ensure client's policies grant access to path "
            f'"{path}"',
        )

    def _find(self, path: str) -> Mount | None:
        return next((entry for entry in self._auth_mounts() if entry.path == path), None)

    def _auth_mounts(self) -> list[Mount]:
        mounts = self.state.mounts
        return sorted([mounts.token_mount, *(each.entry for each in mounts)], key=lambda entry: entry.path)

    def _other_mounts(self, *, effective: bool = False) -> dict[str, Any]:
        return {
            entry.path: show_mount(entry, effective=effective) for entry in self.state.mounts.system_mounts
        }

    # --- made and removed ----------------------------------------------------------------------

    @write("auth/{path:path}", fields=NewMount)
    async def enable(self, call: Call) -> None:
        """Enable an auth method."""
        entry = self._new_mount(NewMount(**call.data.values))
        if entry.path.startswith("token/"):
            raise UserError("path is already in use at token/")
        try:
            await self.state.mounts.enable(entry)
        except MountError as error:
            raise UserError(str(error)) from error
        except AuthKitError as error:
            raise UserError(str(in_go_words(error))) from error

    def _new_mount(self, asked: NewMount) -> Mount:
        config = new_config(asked.config)
        kind = asked.type
        if kind == "plugin":
            kind = str(asked.config.get("plugin_name") or asked.plugin_name)
            if not kind:
                raise UserError("plugin_name must be provided for plugin backend")
        if not kind:
            raise UserError("backend type must be specified as a string")
        version = self._choose_version(str(asked.config.get("plugin_version") or asked.plugin_version), kind)
        if asked.options.get("version"):
            raise UserError(f'auth method "{kind}" does not allow setting a version')
        return Mount(
            path=_clean(asked.path),
            type=kind,
            accessor=make_accessor(kind),
            description=asked.description,
            options=dict(asked.options),
            local=asked.local,
            seal_wrap=asked.seal_wrap,
            external_entropy_access=asked.external_entropy_access,
            plugin_version=version,
            config=config,
        )

    def _choose_version(self, asked: str, kind: str) -> str:
        """Return the version that a mount is pinned to (Vault 1.21, selectPluginVersion)."""
        version = read_version(asked)
        if not version:
            chosen = self.state.catalog.choose(kind)
            return chosen.version if chosen else ""
        if self.state.catalog.find(kind, version) is None:
            raise UserError(f"plugin not found in the catalog: {kind}, version={version}")
        return version

    @delete("auth/{path:path}", fields=NewMount)
    async def disable(self, call: Call) -> None:
        """Disable an auth method, and revoke its tokens."""
        path = _clean(call.data.values["path"])
        if path == "token/":
            raise UserError("token credential backend cannot be disabled")
        mount = self.state.mounts.find(path)
        if mount is not None:
            mount.is_tainted = True
            await self.state.tokens.revoke_below(mount.entry.route)
            await self.state.mounts.disable(mount)


def _clean(path: str) -> str:
    return path.strip("/") + "/"


def _reaches(caller: Caller | None, route: str) -> bool:
    """Whether the caller's policies reach below a mount."""
    return caller is not None and caller.acl.reaches(route)
