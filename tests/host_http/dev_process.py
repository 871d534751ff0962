"""`authkit dev` as a child process, as somebody at a terminal starts it."""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from canaries import canary

SECONDS = 60
ROOT_TOKEN = f"hvs.{canary('root-token')}"
SHARED_PIN = Path(__file__).resolve().parents[2] / "examples" / "shared_pin" / "shared_pin.py"


@dataclass
class DevProcess:
    """A running server."""

    process: asyncio.subprocess.Process
    http: httpx.AsyncClient
    lines: list[str] = field(default_factory=list)
    """What it has printed so far."""
    address: str = ""

    async def wait_for(self, pattern: str) -> re.Match[str]:
        """Read what it prints until a line matches, and return the match."""
        assert self.process.stdout is not None
        async with asyncio.timeout(SECONDS):
            while line := (await self.process.stdout.readline()).decode():
                self.lines.append(line)
                if found := re.search(pattern, line):
                    return found
        raise AssertionError(f"it ended without {pattern!r}: {self.lines}")

    async def call(self, method: str, path: str, **body: Any) -> httpx.Response:
        """Send a request with the root token."""
        headers = {"X-Vault-Token": ROOT_TOKEN}
        return await self.http.request(
            method, f"{self.address}/v1/{path}", json=body or None, headers=headers
        )

    def children(self) -> list[int]:
        """Return the process ids of its plugins."""
        pid = self.process.pid
        listed = Path(f"/proc/{pid}/task/{pid}/children").read_text()
        return [int(child) for child in listed.split()]

    async def end(self, number: signal.Signals = signal.SIGINT) -> int:
        """Send a signal; return the exit status."""
        self.process.send_signal(number)
        async with asyncio.timeout(SECONDS):
            return await self.process.wait()


@contextlib.asynccontextmanager
async def dev_process(*arguments: str) -> AsyncIterator[DevProcess]:
    """Start it on a free port and return once it is ready; killed in the end if it still runs."""
    command = [sys.executable, "-m", "authkit", "dev", "--port", "0", "--root-token", ROOT_TOKEN, *arguments]
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with httpx.AsyncClient(trust_env=False, timeout=SECONDS) as http:
            dev = DevProcess(process, http)
            dev.address = (await dev.wait_for(r"export VAULT_ADDR=(\S+)"))[1]
            await dev.wait_for(r"^Ready")
            yield dev
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
