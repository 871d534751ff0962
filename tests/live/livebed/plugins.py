"""Plugin files for a server's plugin directory: launchers of Python plugins, and the official Go plugin.

What the plugins do is theirs; here they are files with a name and a checksum.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from livebed.client import Client

__all__ = [
    "CURRENT",
    "GO_PEER",
    "JWT_LAUNCHER",
    "NEXT",
    "NEXT_LAUNCHER",
    "Plugin",
    "binary_plugin",
    "go_peer",
    "python_plugin",
]

JWT_LAUNCHER = """
from authkit import serve
serve("jwt_auth:JWTAuth")
"""
CURRENT = "v0.1.0"
NEXT_LAUNCHER = """
from authkit import serve
from jwt_auth import JWTAuth

class Next(JWTAuth, name="jwt_auth", version="0.2.0"):
    \"\"\"The next release.\"\"\"

serve(Next)
"""
NEXT = "v0.2.0"
GO_PEER = "jwt_peer"
"""The catalog name of the official Go plugin."""
SHEBANG_BYTES = 255
"""Linux reads that much of the first line (BINPRM_BUF_SIZE 256, since 5.1) and cuts the rest silently."""


@dataclass(frozen=True)
class Plugin:
    """One file of a plugin directory, and how it is registered."""

    name: str
    """In the catalog."""
    file: Path
    version: str = ""
    """What the plugin says about itself; empty when it says nothing."""
    kind: str = "auth"
    """As the catalog has it: `auth`, `secret` or `database`."""

    @property
    def command(self) -> str:
        """The file's name, as the catalog wants it."""
        return self.file.name

    @property
    def sha256(self) -> str:
        """The checksum of the file as it is now."""
        return hashlib.sha256(self.file.read_bytes()).hexdigest()

    def called(self, name: str) -> Plugin:
        """Return the same file under another catalog name."""
        return replace(self, name=name)

    def register(self, client: Client, **options: object) -> None:
        """Put it into the catalog through the API. `options` are further fields: version, env, args."""
        body = {"sha256": self.sha256, "command": self.command} | options
        client.call("PUT", f"sys/plugins/catalog/{self.kind}/{self.name}", body)


def python_plugin(
    folder: Path,
    name: str,
    body: str,
    *,
    version: str = "",
    command: str = "",
    interpreter: str = "",
    kind: str = "auth",
) -> Plugin:
    """Write a launcher: an interpreter, this one by default, isolated from the server's environment."""
    shebang = f"#!{interpreter or sys.executable} -I"
    assert len(shebang) <= SHEBANG_BYTES, f"too long for a first line: {shebang}"
    file = folder / (command or name)
    file.write_text(f"{shebang}\n{body}")
    file.chmod(0o755)
    return Plugin(name, file, version, kind)


def go_peer(folder: Path, binary: Path) -> Plugin:
    """Copy the official JWT plugin in."""
    return binary_plugin(folder, GO_PEER, binary, command="jwt-peer")


def binary_plugin(folder: Path, name: str, binary: Path, *, command: str = "") -> Plugin:
    """Copy an executable in; a symlink out of the plugin directory would be refused."""
    file = folder / (command or name)
    if not file.exists():
        shutil.copy2(binary, file)
    return Plugin(name, file)
