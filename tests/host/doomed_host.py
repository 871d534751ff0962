"""A host that is going to be killed: mounts a plugin, sends one request, prints the plugin's pid.

Usage: doomed_host.py DIRECTORY PLUGIN PATH [LINE]. With LINE it waits until the plugin has logged that.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent)]

from goplugin import Host  # noqa: E402

from authkit.logical import Operation  # noqa: E402


async def main(directory: str, plugin: str, path: str, line: str = "") -> None:
    """Serve until killed."""
    host = Host(Path(directory))
    await host.launch(plugin)
    mount = await host.mount()
    request = asyncio.create_task(mount.request(Operation.READ, path))
    if line:
        await host.process.logged(line)
    print(host.process.pid, flush=True)
    await request
    await asyncio.sleep(60)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
