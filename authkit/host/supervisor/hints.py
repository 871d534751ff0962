"""What the well-known failures of plugins mean, and what to do: for humans, beside a server's own text.

By the text alone, so that an error read in a server's log can be explained as well.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["explain"]

_HINTS: Final = {
    r"checksums did not match": (
        "The file is not the one that was registered. After each change compute its sha256 and "
        "register it again."
    ),
    r"error verifying checksum: .*is a directory": (
        "The command names a directory; it has to be a file directly in the plugin directory."
    ),
    r"error verifying checksum: .*no such file": "The file has gone since it was registered.",
    r"error verifying checksum: .*permission denied": "The server's user may not read the file.",
    r"fork/exec .*: no such file or directory": (
        "The file is there, its interpreter is not: the path after `#!` in its first line does not "
        "exist for the server (moved virtual environment? a container? Windows line ends?)."
    ),
    r"fork/exec .*: permission denied": (
        "The server's user may not execute it: set mode 0755, and look whether the file system is "
        "mounted with `noexec` and whether every directory above can be entered."
    ),
    r"fork/exec .*: exec format error": (
        "The system does not know how to run it: a script needs `#!` and an interpreter as its very "
        "first characters, a binary has to be built for this machine."
    ),
    r"fork/exec .*: text file busy": (
        "Somebody has the file open for writing; put a new one in its place instead of changing it."
    ),
    r"Failed to read any lines from plugin's stdout|plugin exited before we could connect": (
        "It ended, or closed its standard output, before it said where it listens. Start it by hand "
        "with the server's user and environment; an import that fails is the usual reason."
    ),
    r"Unrecognized remote plugin message": (
        "Something printed to standard output before the handshake: the first line belongs to the "
        "plugin library alone. Log to standard error, or import what prints after serving has begun."
    ),
    r"timeout while waiting for plugin to start": (
        "It neither ended nor said where it listens. Do nothing slow while a module is imported: no "
        "network, no waiting for a lock or for input."
    ),
    r"Incompatible core API version": (
        "The first field of its handshake line is not 1; this is no go-plugin library of today."
    ),
    r"Incompatible API version with plugin\. Plugin version: [34]\b": (
        "It speaks protocol 3 or 4 alone, or took protocol 5 for not offered: a plugin for Vault 1.12 "
        "and later has to look for 5 in PLUGIN_PROTOCOL_VERSIONS."
    ),
    r"Incompatible API version with plugin": (
        "It chose a protocol that no server offers for auth plugins; it may be a plugin of another type."
    ),
    r"Error parsing (core )?protocol version": (
        "Its first line looks like a handshake, but a version in it is not a number."
    ),
    r"Unknown address type": (
        "The third field of its handshake line must be unix or tcp. With anything else a Vault server "
        "up to 1.21 dies, and everybody on it."
    ),
    r"Unsupported plugin protocol": "The fifth field of its handshake line must be grpc.",
    r"error parsing server cert: illegal base64": (
        "The certificate in its handshake line has to be standard base64 without `=` at its end."
    ),
    r"error parsing server cert": (
        "The certificate in its handshake line has to be the DER form of one X.509 certificate."
    ),
    r"error while dialing": (
        "Nobody listens at the address in its handshake line: it has to listen before it prints it."
    ),
    r"authentication handshake failed": (
        "TLS failed. The plugin has to present the certificate of its handshake line, with the DNS name "
        "localhost, and to take PLUGIN_CLIENT_CERT (ECDSA P-521) for the client's."
    ),
    r"cannot execute files outside of configured plugin directory": (
        "The file, or what the symlink leads to, must lie directly in the plugin directory, and that "
        "directory must not be behind a symlink itself."
    ),
    r"error while validating the command path": "The file does not exist in the plugin directory.",
    r"is not owned by|insecure permissions|does not have permissions": (
        "The server checks the owner and mode of its plugins (VAULT_ENABLE_FILE_PERMISSIONS_CHECK): give "
        "file and directory to its user, and take the right to write from group and others."
    ),
    r"missing (storage|system view) implementation": (
        "The plugin used storage or system view in its setup; while it is registered there are none."
    ),
}
"""What to do about an error, by a pattern of its text. The first that is found counts."""


def explain(text: str) -> str:
    """Return what an error's text means and what to do; empty for one that is not well known."""
    return next((hint for pattern, hint in _HINTS.items() if re.search(pattern, text)), "")
