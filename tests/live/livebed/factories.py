"""What tests are handed to make servers and plugins of their own; conftest.py decides which."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec

from livebed.plugins import CURRENT, JWT_LAUNCHER, Plugin, python_plugin
from livebed.server import Server

__all__ = ["MakePlugin", "MakeServer", "our_plugin"]

MakeServer = Callable[..., Server]
"""Takes the options of `Server`; the server ends with the test."""

MakePlugin = Callable[[Server], Plugin]
"""Puts the JWT plugin under test into a server's plugin directory."""


def our_plugin(server: Server) -> Plugin:
    """Write the launcher of the JWT example."""
    assert find_spec("jwt_auth"), "install the example first: pip install -e examples/jwt_auth"
    return python_plugin(server.plugin_directory, "jwt_auth", JWT_LAUNCHER, version=CURRENT)
