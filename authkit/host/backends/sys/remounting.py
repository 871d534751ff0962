"""`sys/remount`: mounts moved to another path.

The checks and their texts are those of Vault 1.21 (vault/logical_system.go, handleRemount).
"""

from __future__ import annotations

from posixpath import normpath
from typing import Any, Final

from authkit.errors import UserError
from authkit.framework import Call, FieldData, FieldSchema, Str, TextType, read, write
from authkit.host.backends.base import HostBackend
from authkit.host.backends.sys.mounts import PROTECTED
from authkit.host.mounts.entries import AUTH_PREFIX
from authkit.logical import Response

__all__ = ["Remounting"]

_QUEUED: Final = (
    "Mount move has been queued. Progress will be reported in Vault's server log, tagged with the returned "
    "migration_id"
)

_FIELDS: Final = {
    "from": FieldSchema(name="from", type=TextType(), help="Where the mount is, such as auth/jwt."),
    "to": FieldSchema(name="to", type=TextType(), help="Where it is to be."),
}
"""`from` is no name in Python."""

_PROTECTED_AUTH: Final = ("auth/token/",)


class Remounting(HostBackend):
    """Moves of mounts."""

    @write("remount", arbitrary_input=True)
    async def remount(self, call: Call) -> Response:
        """Move a mount to another path, and revoke what was issued below the old one."""
        asked = FieldData.read(_FIELDS, call.request.data, {}).values
        source, target = asked.get("from", ""), asked.get("to", "")
        if not source or not target:
            raise UserError("both 'from' and 'to' path must be specified as a string")
        for name, path in (("from", source), ("to", target)):
            if path.startswith(" ") or path.endswith(" "):
                raise UserError(f"'{name}' path cannot contain trailing whitespace")
        source, target = _clean(source), _clean(target)
        _verify_path(target)
        _verify_allowed(source, target)
        if self.state.mounts.match(source) is None:
            raise UserError(f'no matching mount at "{source}"')
        self._verify_free(target)
        move_id = self.server.moves.begin(source, target)
        return Response(data={"migration_id": move_id}, warnings=(_QUEUED,))

    @read("remount/status/{migration_id}")
    async def read_remount(self, migration_id: Str) -> dict[str, Any] | None:
        """Return how far a move is."""
        found = self.server.moves.find(migration_id)
        if found is None:
            return None
        source, target, status = found
        info = {"source_mount": source, "target_mount": target, "status": status}
        return {"migration_id": migration_id, "migration_info": info}

    def _verify_free(self, target: str) -> None:
        mounts = [*self.state.mounts.own.values(), *self.state.mounts]
        for route in sorted(mount.entry.route for mount in mounts):
            if route.startswith(target) or target.startswith(route):
                raise UserError(f'path already in use at "{route}"')


def _clean(path: str) -> str:
    """Return a path without slashes in front, and with one behind."""
    return (path if path.endswith("/") else f"{path}/").lstrip("/")


def _verify_path(path: str) -> None:
    cleaned = normpath(path) + ("/" if path.endswith("/") else "")
    if path != cleaned:
        raise UserError(f"invalid destination mount: path '{path}' does not match cleaned path '{cleaned}'")
    if not path.isprintable():
        raise UserError("invalid destination mount: path cannot contain non-printable characters")


def _verify_allowed(source: str, target: str) -> None:
    is_auth = source.startswith(AUTH_PREFIX)
    if is_auth and not target.startswith(AUTH_PREFIX):
        raise UserError(f'cannot remount auth mount to non-auth mount "{target}"')
    protected = _PROTECTED_AUTH if is_auth else PROTECTED
    if source.startswith(protected):
        raise UserError(f'cannot remount "{source}"')
    if target.startswith(protected):
        shown = f'"{target}"' if is_auth else target
        raise UserError(f"cannot remount to destination {shown}")
