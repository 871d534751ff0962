"""`sys/plugins/`: the catalog, and reloads. The checks and their texts are those of Vault 1.21."""

from __future__ import annotations

import re
from typing import Any

from authkit.errors import AuthKitError, HostingError
from authkit.host.backends.router import Call, Routes, list_of, text_of
from authkit.host.messages import Answer, Failure, listed
from authkit.host.mounts.table import MountError, RunningMount
from authkit.host.state import HostState
from authkit.host.store.catalog import CatalogEntry, CatalogError, semantic_version
from authkit.host.store.plugin_errors import readable

__all__ = ["add_plugin_routes"]

_TYPES = "auth|database|secret"
_FIELDS = "sha256 sha_256 command args env version oci_image runtime download"


def add_plugin_routes(routes: Routes, state: HostState) -> None:
    """Serve the plugins of a host."""
    plugins = _Plugins(state)
    entry = rf"plugins/catalog/(?P<type>{_TYPES})/(?P<name>.+)"
    routes.add(rf"plugins/catalog/(?P<type>{_TYPES})/?", list=plugins.list_names)
    routes.add(entry, _FIELDS, read=plugins.read, update=plugins.register, delete=plugins.deregister)
    routes.add("plugins/catalog/?", read=plugins.list_catalog)
    routes.add("plugins/catalog/(?P<name>.+)", _FIELDS)
    routes.add("plugins/reload/backend", "plugin mounts scope", update=plugins.reload)
    routes.add(rf"plugins/reload/(?P<type>{_TYPES}|unknown)/(?P<plugin>.+)", "scope", update=plugins.reload)
    routes.add("plugins/pins/?", read=plugins.list_pins)


class _Plugins:
    def __init__(self, state: HostState) -> None:
        self._state = state
        self._catalog = state.catalog

    async def list_names(self, call: Call) -> Answer:
        names = {entry.name for entry in self._catalog.entries()} if call.data["type"] == "auth" else set()
        return Answer(data={"keys": sorted(names)} if names else {})

    async def list_catalog(self, call: Call) -> Answer:
        entries = self._catalog.entries()
        detailed = [
            {"builtin": False, "name": entry.name, "type": "auth", "version": entry.version}
            | ({"sha256": entry.sha256} if entry.sha256 else {})
            for entry in entries
        ]
        data: dict[str, Any] = {}
        if entries:
            data = {"auth": sorted({entry.name for entry in entries}), "detailed": detailed}
        return Answer(data=data)

    async def list_pins(self, call: Call) -> Answer:
        return Answer(data={"pinned_versions": []})

    async def read(self, call: Call) -> Answer | None:
        version = _version(call)
        entry = self._catalog.find(call.data["name"], version) if call.data["type"] == "auth" else None
        if entry is None:
            return None
        data = {
            "args": list(entry.args),
            "builtin": False,
            "command": entry.command,
            "name": entry.name,
            "sha256": entry.sha256,
            "version": entry.version,
        }
        return Answer(data=data)

    async def register(self, call: Call) -> None:
        version = _version(call)
        sha256 = text_of(call.data, "sha256") or text_of(call.data, "sha_256")
        command, *words = text_of(call.data, "command").split(" ")
        if not sha256 and not version:
            raise Failure(
                400,
                "must provide at least one of sha256 or version: use sha256 for binary registration "
                "(version optional) or version only for artifact registration",
            )
        if text_of(call.data, "oci_image"):
            raise Failure(400, "this host runs no containers")
        if not command:
            raise Failure(400, "must provide at least one of command or oci_image")
        args = list_of(call.data, "args")
        if words and args:
            raise Failure(400, "must not specify args in command and args field")
        if ".." in command:
            raise Failure(500, listed("path cannot contain parent references"))
        _verify_hex(sha256)
        if call.data["type"] != "auth":
            raise Failure(400, "this host runs auth plugins only")
        entry = CatalogEntry(
            name=call.data["name"],
            version=version,
            command=command,
            args=tuple(words) or args,
            env=list_of(call.data, "env"),
            sha256=sha256,
        )
        try:
            await self._catalog.register(entry)
        except CatalogError as error:
            raise Failure(400, str(error)) from error
        except HostingError as error:
            raise Failure(500, listed(str(error))) from error

    async def deregister(self, call: Call) -> None:
        await self._catalog.deregister(call.data["name"], _version(call))

    # --- reload --------------------------------------------------------------------------------

    async def reload(self, call: Call) -> Answer:
        plugin, mounts = text_of(call.data, "plugin"), list_of(call.data, "mounts")
        scope = text_of(call.data, "scope")
        if scope not in ("", "global"):
            raise Failure(400, "reload scope must be omitted or 'global'")
        if plugin and mounts:
            raise Failure(400, "plugin and mounts cannot be set at the same time")
        if not plugin and not mounts:
            raise Failure(400, "plugin or mounts must be provided")
        chosen = self._of_plugin(plugin) if plugin else self._of_paths(mounts)
        try:
            await self._state.mounts.reload(chosen)
        except (MountError, AuthKitError) as error:
            text = str(readable(error)) if isinstance(error, AuthKitError) else str(error)
            where = f'cannot reload plugin on "{chosen[0].entry.route}": ' if mounts else ""
            raise Failure(500, listed(f"{where}{text}")) from error
        warnings = () if chosen else ("no plugins were reloaded",)
        accepted = 202 if scope == "global" else 200
        return Answer(data={"reload_id": call.request_id}, warnings=warnings, accepted=accepted)

    def _of_plugin(self, name: str) -> list[RunningMount]:
        return [mount for mount in self._state.mounts if mount.entry.type == name]

    def _of_paths(self, paths: tuple[str, ...]) -> list[RunningMount]:
        found = []
        for path in paths:
            route = path.removeprefix("sys/").removesuffix("/") + "/"
            mount = self._state.mounts.match(route)
            if mount is None:
                raise Failure(500, listed(f'cannot fetch mount entry on "{route}"'))
            found.append(mount)
        return found


def _version(call: Call) -> str:
    version = text_of(call.data, "version")
    if not version:
        return ""
    try:
        return semantic_version(version)
    except ValueError:
        raise Failure(
            400, f'version "{version}" is not a valid semantic version: Malformed version: {version}'
        ) from None


def _verify_hex(text: str) -> None:
    wrong = re.search(r"[^0-9a-fA-F]", text)
    if wrong is not None:
        raise Failure(
            400,
            f"Could not decode SHA256 value from Hex {text}: encoding/hex: invalid byte: "
            f"U+{ord(wrong[0]):04X} '{wrong[0]}'",
        )
    if len(text) % 2:
        raise Failure(
            400, f"Could not decode SHA256 value from Hex {text}: encoding/hex: odd length hex string"
        )
