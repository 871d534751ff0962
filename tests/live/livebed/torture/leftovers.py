"""What a plugin may leave behind: processes, and sockets and directories in the server's TMPDIR."""

from __future__ import annotations

from pathlib import Path

from livebed.plugins import Plugin
from livebed.processes import command_line, is_alive
from livebed.server import Server

__all__ = ["count_files", "find_processes"]


def find_processes(server: Server, plugin: Plugin) -> list[int]:
    """Return the living processes that run the plugin's file, whoever their parent is."""
    file = str(server.plugin_directory / plugin.command)
    numbers = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return [pid for pid in numbers if file in command_line(pid) and is_alive(pid)]


def count_files(server: Server) -> int:
    """Return how many sockets, files and directories are in the server's TMPDIR."""
    return sum(1 for _ in server.temporary.rglob("*"))
