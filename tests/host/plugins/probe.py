"""A backend on the bare vocabulary, for tests of the process around it."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
import threading
import time

from authkit import serve
from authkit.errors import UnsupportedPathError
from authkit.logical import (
    BackendConfig,
    BackendFactory,
    BackendType,
    Request,
    Response,
    SpecialPaths,
    StorageEntry,
)

log = logging.getLogger(__name__)


class Probe:
    """Does what its path says."""

    def __init__(self, config: BackendConfig) -> None:
        self.config = config

    @classmethod
    def factory(cls) -> BackendFactory:
        return BackendFactory(build=cls, backend_type=BackendType.CREDENTIAL, version="v1.2.3")

    def special_paths(self) -> SpecialPaths:
        return SpecialPaths(unauthenticated=("login",))

    async def initialize(self) -> None:
        log.info("initialized", extra={"kv": {"uuid": self.config.backend_uuid}})

    async def handle_existence_check(self, request: Request) -> bool | None:
        return None

    async def invalidate_key(self, key: str) -> None:
        pass

    async def cleanup(self) -> None:
        log.info("cleaned up", extra={"kv": {"uuid": self.config.backend_uuid}})

    async def handle_request(self, request: Request) -> Response | None:
        action = getattr(self, "do_" + request.path.replace("-", "_"), None)
        if action is None:
            raise UnsupportedPathError
        result = action(request)
        return await result if asyncio.iscoroutine(result) else result

    async def do_put(self, request: Request) -> None:
        await self.config.storage.put(StorageEntry("key", request.data["value"].encode()))

    async def do_get(self, request: Request) -> Response | None:
        entry = await self.config.storage.get("key")
        return entry and Response(data={"value": entry.value.decode()})

    def do_info(self, request: Request) -> Response:
        return Response(data={"pid": os.getpid(), "uuid": self.config.backend_uuid})

    def do_print(self, request: Request) -> None:
        print("printed to stdout")
        print("printed to stderr", file=sys.stderr)
        os.write(1, b"written to descriptor 1\n")
        os.write(1, b"x" * 300_000 + b"\n")
        subprocess.run(["echo", "from a child"], check=True)
        log.debug("a debug line of the plugin")
        logging.getLogger("some.library").debug("a debug line of a library")

    def do_print_secret(self, request: Request) -> None:
        print(request.data["text"])
        log.error("%s", request.data["text"])

    def do_stray_child(self, request: Request) -> Response:
        child = subprocess.Popen(["sleep", "60"], start_new_session=True)
        return Response(data={"pid": child.pid})

    def do_raise(self, request: Request) -> None:
        raise RuntimeError("a detail of the inside")

    def do_exit(self, request: Request) -> None:
        sys.exit(7)

    async def do_cancel(self, request: Request) -> None:
        future = asyncio.get_running_loop().create_future()
        future.cancel()
        await future

    def do_stray_task(self, request: Request) -> None:
        async def leave() -> None:
            raise SystemExit(9)

        self.stray = asyncio.get_running_loop().create_task(leave())

    def do_block(self, request: Request) -> None:
        time.sleep(60)

    async def do_hang(self, request: Request) -> None:
        log.info("hanging")
        await asyncio.get_running_loop().create_future()

    def do_thread(self, request: Request) -> None:
        def fail() -> None:
            raise ValueError("in a thread")

        threading.Thread(target=fail).start()
        threading.Thread(target=time.sleep, args=(60,)).start()


if __name__ == "__main__":
    serve(Probe)
