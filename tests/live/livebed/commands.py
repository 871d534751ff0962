"""The command line of authkit, as an operator of a server runs it."""

from __future__ import annotations

import os
import subprocess
import sys

from livebed.server import Server

__all__ = ["run_authkit"]

SECONDS = 120.0


def run_authkit(server: Server, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a command for a server on the machine of the tests, and return its outcome."""
    prefix = "BAO" if server.program.is_bao else "VAULT"
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(server.home),
        f"{prefix}_ADDR": server.address,
        f"{prefix}_TOKEN": server.client.token,
    }
    return subprocess.run(
        [sys.executable, "-m", "authkit", *map(str, arguments)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
