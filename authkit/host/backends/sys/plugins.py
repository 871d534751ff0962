"""`sys/plugins/`: the catalog, and reloads. The checks and their texts are those of Vault 1.21."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from authkit.errors import AuthKitError, HostingError, InternalError, UnsupportedOperationError, UserError
from authkit.framework import (
    Call,
    CommaList,
    Listing,
    Model,
    PathTemplate,
    Str,
    delete,
    field,
    list_,
    read,
    route,
    write,
)
from authkit.host.backends.base import HostBackend, OwnResponse
from authkit.host.backends.sys.versions import read_version
from authkit.host.mounts.table import MountError, RunningMount
from authkit.host.store.catalog import AUTH, DATABASE, SECRET, CatalogEntry, CatalogError
from authkit.host.store.plugin_errors import in_go_words
from authkit.logical import Operation, Request, Response

__all__ = ["Plugins"]

_TYPE = "(?P<type>auth|database|secret)"
_ENTRY = PathTemplate.from_regex(rf"plugins/catalog/{_TYPE}/(?P<name>.+)")


class Registration(Model):
    """What an operator writes of a plugin."""

    type: Str = field(default="", help="`auth`, `secret` or `database`.")
    name: Str = field(default="", help="The name under which it is mounted.")
    sha256: Str = field(default="", help="The file's SHA-256, in hexadecimal.")
    sha_256: Str = field(default="", help="As `sha256`.")
    command: Str = field(default="", help="The file, in the plugin directory.")
    args: CommaList = field(default=(), help="Its arguments.")
    env: CommaList = field(default=(), help="Its environment, as `NAME=value`.")
    version: Str = field(default="", help="Its version, as `v1.2.3`.")
    oci_image: Str = field(default="", help="Its image; this host runs none.")
    runtime: Str = field(default="", help="What runs the image.")
    download: Str = field(default="", help="Unused.")


class Plugins(HostBackend):
    """The plugins of a host."""

    @list_(PathTemplate.from_regex(f"plugins/catalog/{_TYPE}/?"))
    async def list_plugins(self, type: Str) -> Listing:
        """Return the names of the plugins of a type."""
        return Listing(sorted({entry.name for entry in self.state.catalog.entries(type)}))

    @read(PathTemplate.from_regex("plugins/catalog/?"))
    async def read_catalog(self) -> dict[str, Any]:
        """Return all plugins."""
        names: dict[str, Any] = {}
        detailed = []
        for entry in self.state.catalog.entries():
            names.setdefault(entry.type, {})[entry.name] = None
            shown = {"builtin": False, "name": entry.name, "type": entry.type, "version": entry.version}
            detailed.append(shown | ({"sha256": entry.sha256} if entry.sha256 else {}))
        return {kind: list(found) for kind, found in names.items()} | {"detailed": detailed} if names else {}

    @read(PathTemplate.from_regex("plugins/pins/?"))
    async def list_pins(self) -> dict[str, Any]:
        """Return that no version is pinned."""
        return {"pinned_versions": []}

    @read(_ENTRY, fields=Registration)
    async def read_plugin(self, call: Call) -> dict[str, Any] | None:
        """Return a registered plugin."""
        asked = Registration(**call.data.values)
        version = read_version(asked.version)
        entry = self.state.catalog.find(asked.type, asked.name, version)
        if entry is None:
            return None
        return {
            "args": list(entry.args),
            "builtin": False,
            "command": entry.command,
            "name": entry.name,
            "sha256": entry.sha256,
            "version": entry.version,
        }

    @write(_ENTRY, fields=Registration)
    async def register(self, call: Call) -> None:
        """Register a plugin."""
        asked = Registration(**call.data.values)
        version = read_version(asked.version)
        sha256 = asked.sha256 or asked.sha_256
        command, *words = asked.command.split(" ")
        if not sha256 and not version:
            raise UserError(
                "must provide at least one of sha256 or version: use sha256 for binary registration "
                "(version optional) or version only for artifact registration"
            )
        if asked.oci_image:
            raise UserError("this host runs no containers")
        if not command:
            raise UserError("must provide at least one of command or oci_image")
        if words and asked.args:
            raise UserError("must not specify args in command and args field")
        if ".." in command:
            raise InternalError("path cannot contain parent references")
        _verify_hex(sha256)
        entry = CatalogEntry(
            type=asked.type,
            name=asked.name,
            version=version,
            command=command,
            args=tuple(words) or asked.args,
            env=asked.env,
            sha256=sha256,
        )
        try:
            await self.state.catalog.register(entry)
        except CatalogError as error:
            raise UserError(str(error)) from error
        except HostingError as error:
            raise InternalError(str(error)) from error

    @delete(_ENTRY, fields=Registration)
    async def deregister(self, call: Call) -> None:
        """Remove a plugin from the catalog."""
        asked = Registration(**call.data.values)
        await self.state.catalog.deregister(asked.type, asked.name, read_version(asked.version))

    @route("plugins/catalog/{name:path}", Operation.READ, Operation.UPDATE, Operation.DELETE)
    async def refuse_without_type(self, name: Str) -> None:
        """Refuse: the type is missing."""
        raise UnsupportedOperationError

    # --- reload --------------------------------------------------------------------------------

    @write("plugins/reload/backend")
    async def reload_mounts(
        self, call: Call, plugin: Str = "", mounts: CommaList = (), scope: Str = ""
    ) -> Response:
        """Restart a plugin, or the plugins of some mounts."""
        return await self._reload(call, plugin, mounts, scope, (AUTH, SECRET))

    @write(PathTemplate.from_regex("plugins/reload/(?P<type>auth|database|secret|unknown)/(?P<plugin>.+)"))
    async def reload_plugin(self, call: Call, type: Str, plugin: Str, scope: Str = "") -> Response:
        """Restart a plugin."""
        if type == DATABASE:
            return await self._reload_connections(call, plugin, scope)
        types = (AUTH, SECRET) if type == "unknown" else (type,)
        return await self._reload(call, plugin, (), scope, types)

    async def _reload(
        self, call: Call, plugin: str, mounts: Sequence[str], scope: str, types: Sequence[str]
    ) -> Response:
        _verify_scope(scope)
        if plugin and mounts:
            raise UserError("plugin and mounts cannot be set at the same time")
        if not plugin and not mounts:
            raise UserError("plugin or mounts must be provided")
        if plugin:
            of_types = [mount for kind in types for mount in self.state.mounts.of_type(kind)]
            chosen = [mount for mount in of_types if mount.entry.type == plugin]
        else:
            chosen = [self._mount_at(path) for path in mounts]
        try:
            await self.state.mounts.reload(chosen)
        except (MountError, AuthKitError) as error:
            text = str(in_go_words(error)) if isinstance(error, AuthKitError) else str(error)
            where = f'cannot reload plugin on "{chosen[0].entry.route}": ' if mounts else ""
            raise InternalError(f"{where}{text}") from error
        return _reloaded(call, scope, is_any=bool(chosen))

    async def _reload_connections(self, call: Call, plugin: str, scope: str) -> Response:
        """Have every database engine reset its connections of a plugin."""
        _verify_scope(scope)
        count = 0
        engines = [mount for mount in self.state.mounts.of_type(SECRET) if mount.entry.type == DATABASE]
        for mount in engines:
            request = Request(
                operation=Operation.UPDATE,
                path=f"reload/{plugin}",
                mount_point=mount.entry.route,
                mount_type=mount.entry.type,
            )
            async with mount.in_use() as backend:
                answer = None if backend is None else await backend.handle_request(request)
            count += int((answer.data or {}).get("count", 0)) if answer else 0
        return _reloaded(call, scope, is_any=count > 0)

    def _mount_at(self, path: str) -> RunningMount:
        route = path.removeprefix("sys/").removesuffix("/") + "/"
        mount = self.state.mounts.match(route)
        if mount is None or mount.is_own:
            raise InternalError(f'cannot fetch mount entry on "{route}"')
        return mount


def _verify_scope(scope: str) -> None:
    if scope not in ("", "global"):
        raise UserError("reload scope must be omitted or 'global'")


def _reloaded(call: Call, scope: str, *, is_any: bool) -> Response:
    data: Mapping[str, Any] = {"reload_id": call.request.id}
    warnings = () if is_any else ("no plugins were reloaded",)
    return OwnResponse(data=data, warnings=warnings, status=202 if scope == "global" else 200)


def _verify_hex(text: str) -> None:
    wrong = re.search(r"[^0-9a-fA-F]", text)
    if wrong is not None:
        reason = f"invalid byte: U+{ord(wrong[0]):04X} '{wrong[0]}'"
    elif len(text) % 2:
        reason = "odd length hex string"
    else:
        return
    raise UserError(f"Could not decode SHA256 value from Hex {text}: encoding/hex: {reason}")
