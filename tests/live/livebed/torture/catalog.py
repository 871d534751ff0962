"""All parts, in the order of the table."""

from __future__ import annotations

from livebed.torture.crashes import kill_plugin, stop_processes
from livebed.torture.rows import Part, Size

__all__ = ["PARTS", "find_part"]

PARTS = (
    Part("kills", kill_plugin, long=Size(seconds=180, clients=32), short=Size(seconds=5, clients=8)),
    Part("stops", stop_processes, long=Size(seconds=20, clients=32), short=Size(seconds=2, clients=8)),
)


def find_part(name: str) -> Part:
    """Return the part of that name.

    Raises:
        LookupError: there is none.
    """
    for part in PARTS:
        if part.name == name:
            return part
    raise LookupError(f"no part {name}")
