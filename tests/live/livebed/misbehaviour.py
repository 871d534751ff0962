"""A mount of plugins/naughty.py, the plugin that does what nobody should, one deed at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx

from livebed.plugins import Plugin, python_plugin
from livebed.server import Server

__all__ = ["PLUGINS", "SECRET_LOOKALIKE", "NaughtyMount", "naughty_plugin"]

PLUGINS = Path(__file__).resolve().parents[1] / "plugins"
ANSWER_SECONDS = 8.0
"""Anything that takes longer hangs."""
SECRET_LOOKALIKE = "hvs.CAESIJnaughtynaughtynaughtynaughty"
"""What the plugin lets slip into errors and logs."""


def naughty_plugin(server: Server, name: str, target: str = "Naughty") -> Plugin:
    """Write a launcher for one class of plugins/naughty.py, and register it."""
    body = f"""
import sys
sys.path.insert(0, {str(PLUGINS)!r})
from authkit import serve
serve("naughty:{target}")
"""
    plugin = python_plugin(server.plugin_directory, name, body)
    plugin.register(server.client)
    return plugin


class NaughtyMount:
    """A mount of the naughty plugin and what is asked of it."""

    def __init__(self, server: Server, name: str = "naughty") -> None:
        self.server = server
        self.plugin = naughty_plugin(server, name)
        self.path = name
        server.client.write(f"sys/auth/{name}", type=name)

    def login(self, **body: Any) -> httpx.Response:
        """Log in as a stranger, or do what `deed` says."""
        return self.server.client.with_token("").raw(
            "POST", f"auth/{self.path}/login", body, timeout=ANSWER_SECONDS
        )

    def do(self, **body: Any) -> httpx.Response:
        """Do what `deed` says, as the operator."""
        return self.server.client.raw("POST", f"auth/{self.path}/do", body, timeout=ANSWER_SECONDS)

    def assert_fine(self) -> None:
        """The server stands, and the plugin still logs people in."""
        assert self.server.is_running
        response = self.login(deed="good")
        assert response.status_code == 200, response.text
        assert response.json()["auth"]["policies"] == ["default"]
