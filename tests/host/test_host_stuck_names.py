"""The end of a process in which a name is still being looked up."""

from __future__ import annotations

import asyncio
import sys

PROGRAM = """
import asyncio, socket, threading
from authkit.oidc import Network
from authkit.oidc.http import resolver
from authkit.oidc.http.client import HTTPClient
from authkit.oidc.http.errors import FetchError

socket.getaddrinfo = lambda *arguments, **options: threading.Event().wait()
resolver.LOOKUP_TIMEOUT = 0.1

async def main():
    try:
        await HTTPClient(Network()).fetch("http://stuck.example/")
    except FetchError as error:
        print(error)

asyncio.run(main())
"""


async def test_a_name_that_never_comes_does_not_keep_the_process() -> None:
    """Neither the event loop nor the interpreter waits for its thread."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, stdout=asyncio.subprocess.PIPE
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), 60)
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 0
    assert b"takes longer than 0.1 s" in output
