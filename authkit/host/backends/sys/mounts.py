"""`sys/auth`, `sys/mounts` and `sys/internal/ui/mounts`: mounts made, tuned, shown and removed.

The order of the checks and their texts are those of Vault 1.21 (vault/logical_system.go).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from authkit.errors import AuthKitError, UserError
from authkit.framework import KV, Bool, Call, Map, Model, PathTemplate, Str, delete, field, read, write
from authkit.host.authorization import Caller
from authkit.host.backends.base import HostBackend, OwnCall
from authkit.host.backends.sys.tuning import TuningFields, new_config, tuned
from authkit.host.backends.sys.versions import read_version
from authkit.host.messages import Failure
from authkit.host.mounts.entries import AUTH_PREFIX, Mount, make_accessor, show_config, show_mount
from authkit.host.mounts.table import MountError, no_mount_to_tune
from authkit.host.store.catalog import AUTH, SECRET
from authkit.host.store.leases import RevocationError
from authkit.host.store.plugin_errors import in_go_words
from authkit.values import replace

__all__ = ["PROTECTED", "Mounts"]


class NewMount(Model):
    """What an operator writes to make a mount."""

    path: Str = field(default="", help="Where it is mounted; of an auth method, below `auth/`.")
    type: Str = field(default="", help="The name of the plugin.")
    plugin_name: Str = field(default="", help="The name of the plugin, where the type is `plugin`.")
    plugin_version: Str = field(default="", help="A registered version; by default the newest.")
    description: Str = field(default="", help="A description, shown in lists.")
    config: Map = field(default={}, help="What can be tuned later.")
    options: KV = field(default={}, help="Handed to the plugin.")
    local: Bool = field(default=False, help="Whether it stays in its cluster.")
    seal_wrap: Bool = field(default=False, help="Whether its storage is wrapped by the seal.")
    external_entropy_access: Bool = field(default=False, help="Whether it may use external entropy.")


PROTECTED: Final = ("audit/", "auth/", "sys/", "cubbyhole/", "identity/")
"""Where no secrets engine is mounted (Vault 1.21, vault/mount.go, protectedMounts)."""

_UNTUNABLE: Final = ("cubbyhole/", "sys/", "audit/")


class Mounts(HostBackend):
    """The mounts of a host."""

    # --- shown ---------------------------------------------------------------------------------

    @read(PathTemplate.from_regex("auth/?"))
    async def list_auth_mounts(self) -> dict[str, Any]:
        """Return all auth methods."""
        return {entry.path: show_mount(entry) for entry in self._auth_mounts()}

    @read(PathTemplate.from_regex("mounts/?"))
    async def list_other_mounts(self) -> dict[str, Any]:
        """Return the mounts that are no auth methods."""
        return {entry.path: show_mount(entry) for entry in self._other_mounts()}

    @read("auth/{path:path}/tune", "mounts/auth/{path:path}/tune", fields=TuningFields)
    async def read_tuning(self, call: Call) -> dict[str, Any]:
        """Return how an auth method is tuned."""
        return self._show_tuning(AUTH_PREFIX + _clean(call.data.values["path"]))

    @read("mounts/{path:path}/tune", fields=TuningFields)
    async def read_other_tuning(self, call: Call) -> dict[str, Any]:
        """Return how a secrets engine is tuned."""
        return self._show_tuning(_clean(call.data.values["path"]))

    def _show_tuning(self, route: str) -> dict[str, Any]:
        entry = self._find(route)
        if entry is None:
            raise UserError(f'cannot fetch sysview for path "{route}"')
        return show_config(entry)

    @write("auth/{path:path}/tune", "mounts/auth/{path:path}/tune", fields=TuningFields)
    async def tune(self, call: Call) -> None:
        """Tune an auth method."""
        data, mounts = call.data.values, self.state.mounts
        route = AUTH_PREFIX + _clean(data["path"])
        if route == mounts.token_mount.route:
            await mounts.change_token_mount(tuned(mounts.token_mount, data))
            return
        await self._tune(route, data)

    @write("mounts/{path:path}/tune", fields=TuningFields)
    async def tune_other(self, call: Call) -> None:
        """Tune a secrets engine."""
        route = _clean(call.data.values["path"])
        if route.startswith(_UNTUNABLE):
            raise UserError(f'cannot tune "{route}"')
        await self._tune(route, call.data.values)

    async def _tune(self, route: str, data: Mapping[str, Any]) -> None:
        mount = self.state.mounts.find(route)
        if mount is None:
            raise UserError(no_mount_to_tune(route))
        try:
            await self.state.mounts.change(mount, lambda entry: self._tuned(entry, data))
        except MountError as error:
            raise UserError(str(error)) from error

    def _tuned(self, entry: Mount, data: Mapping[str, Any]) -> Mount:
        entry = tuned(entry, data)
        if not data.get("plugin_version"):
            return entry
        version = self._choose_version(entry.plugin_type, entry.type, data["plugin_version"])
        return replace(entry, plugin_version=version)

    @read("auth/{path:path}", fields=NewMount)
    async def read_auth_mount(self, call: Call) -> dict[str, Any]:
        """Return an auth method."""
        path = _clean(call.data.values["path"])
        entry = self._find(AUTH_PREFIX + path)
        if entry is None:
            raise UserError(f"No auth engine at {path}")
        return show_mount(entry)

    @read("mounts/{path:path}", fields=NewMount)
    async def read_other_mount(self, call: Call) -> dict[str, Any]:
        """Return a mount that is no auth method."""
        path = _clean(call.data.values["path"])
        entry = self._find(path)
        if entry is None:
            raise UserError(f"No secret engine mount at {path}")
        return show_mount(entry)

    @read(PathTemplate.from_regex("internal/ui/mounts/?"))
    async def list_visible_mounts(self, call: OwnCall) -> dict[str, Any]:
        """Return the mounts that are listed publicly or that the caller's policies reach."""
        caller = call.request.caller
        return {
            "auth": _show_visible(self._auth_mounts(), caller),
            "secret": _show_visible(self._other_mounts(), caller),
        }

    @read("internal/ui/mounts/{path:path}")
    async def read_visible_mount(self, call: OwnCall, path: Str) -> dict[str, Any]:
        """Return the mount of a path, if the caller's policies reach it."""
        caller, path = call.request.caller, _clean(path)
        if caller is None:
            raise Failure(403, "permission denied")
        for entry in (*self._auth_mounts(), *self._other_mounts()):
            if path.startswith(entry.route) and _reaches(caller, entry.route):
                return show_mount(entry, effective=True) | {"path": entry.path}
        raise Failure(
            403,
            "preflight capability check returned 403, please ensure client's policies grant access to path "
            f'"{path}"',
        )

    def _find(self, route: str) -> Mount | None:
        entries = (*self._auth_mounts(), *self._other_mounts())
        return next((entry for entry in entries if entry.route == route), None)

    def _auth_mounts(self) -> list[Mount]:
        return self._sorted(AUTH, [self.state.mounts.token_mount])

    def _other_mounts(self) -> list[Mount]:
        return self._sorted(SECRET, self.state.mounts.system_mounts)

    def _sorted(self, plugin_type: str, own: list[Mount]) -> list[Mount]:
        entries = [*own, *(mount.entry for mount in self.state.mounts.of_type(plugin_type))]
        return sorted(entries, key=lambda entry: entry.path)

    # --- made and removed ----------------------------------------------------------------------

    @write("auth/{path:path}", fields=NewMount)
    async def enable(self, call: Call) -> None:
        """Enable an auth method."""
        asked = NewMount(**call.data.values)
        entry = self._new_mount(asked, AUTH_PREFIX, "auth method")
        if entry.path.startswith("token/"):
            raise UserError("path is already in use at token/")
        await self._enable(entry)

    @write("mounts/{path:path}", fields=NewMount)
    async def enable_engine(self, call: Call) -> None:
        """Enable a secrets engine."""
        asked = NewMount(**call.data.values)
        entry = self._new_mount(asked, "", "secrets engine")
        if entry.path.startswith(PROTECTED):
            raise UserError(f'cannot mount "{entry.path}"')
        await self._enable(entry)

    async def _enable(self, entry: Mount) -> None:
        try:
            await self.state.mounts.enable(entry)
        except MountError as error:
            raise UserError(str(error)) from error
        except AuthKitError as error:
            raise UserError(str(in_go_words(error))) from error

    def _new_mount(self, asked: NewMount, prefix: str, what: str) -> Mount:
        config = new_config(asked.config)
        kind = _type_of(asked)
        if not kind:
            raise UserError("backend type must be specified as a string")
        entry = Mount(
            path=_clean(asked.path),
            prefix=prefix,
            type=kind,
            accessor=make_accessor(kind, prefix=prefix),
            description=asked.description,
            options=dict(asked.options),
            local=asked.local,
            seal_wrap=asked.seal_wrap,
            external_entropy_access=asked.external_entropy_access,
            config=config,
        )
        written = str(asked.config.get("plugin_version") or asked.plugin_version)
        version = self._choose_version(entry.plugin_type, kind, written)
        if asked.options.get("version"):
            raise UserError(f'{what} "{kind}" does not allow setting a version')
        return replace(entry, plugin_version=version)

    def _choose_version(self, plugin_type: str, kind: str, asked: str) -> str:
        """Return the version that a mount is pinned to (Vault 1.21, selectPluginVersion)."""
        version = read_version(asked)
        if not version:
            chosen = self.state.catalog.choose(plugin_type, kind)
            return chosen.version if chosen else ""
        if self.state.catalog.find(plugin_type, kind, version) is None:
            raise UserError(f"plugin not found in the catalog: {kind}, version={version}")
        return version

    @delete("auth/{path:path}", fields=NewMount)
    async def disable(self, call: Call) -> None:
        """Disable an auth method, and revoke its tokens."""
        route = AUTH_PREFIX + _clean(call.data.values["path"])
        if route == self.state.mounts.token_mount.route:
            raise UserError("token credential backend cannot be disabled")
        await self._disable(route)

    @delete("mounts/{path:path}", fields=NewMount)
    async def disable_engine(self, call: Call) -> None:
        """Disable a secrets engine, and revoke its leases."""
        route = _clean(call.data.values["path"])
        if route.startswith(PROTECTED):
            raise UserError(f'cannot unmount "{route}"')
        await self._disable(route)

    async def _disable(self, route: str) -> None:
        mount = self.state.mounts.find(route)
        if mount is None:
            return
        mount.is_tainted = True
        await self.state.tokens.revoke_below(route)
        try:
            await self.server.leases.end(mount)
        except RevocationError as error:
            raise UserError(str(error)) from error
        await self.state.mounts.disable(mount, route)


def _clean(path: str) -> str:
    return path.strip("/") + "/"


def _type_of(asked: NewMount) -> str:
    """Return the plugin's name in the catalog; empty when none is given.

    Raises:
        UserError: the type says that there is a name of its own, and there is none.
    """
    if asked.type != "plugin":
        return asked.type
    name = str(asked.config.get("plugin_name") or asked.plugin_name)
    if not name:
        raise UserError("plugin_name must be provided for plugin backend")
    return name


def _show_visible(entries: list[Mount], caller: Caller | None) -> dict[str, Any]:
    """Return the mounts that a caller's policies reach, and a part of those that are listed for everybody."""
    visible: dict[str, Any] = {}
    for entry in entries:
        if _reaches(caller, entry.route):
            visible[entry.path] = show_mount(entry, effective=True)
        elif entry.config.listing_visibility == "unauth":
            shown = show_mount(entry)
            visible[entry.path] = {name: shown[name] for name in ("description", "options", "type")}
    return visible


def _reaches(caller: Caller | None, route: str) -> bool:
    """Whether the caller's policies reach below a mount."""
    return caller is not None and caller.acl.reaches(route)
