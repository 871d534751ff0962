"""The whole comparison: what it measures goes into a page as soon as it is there."""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from livebed.bench.results import describe_machine, describe_python
from livebed.compare.first_login import measure_first_logins
from livebed.compare.packing import measure_forms
from livebed.compare.page import PAGE, PARTS, describe_sources, show_figures, show_forms, write_part
from livebed.compare.running import Size, measure_running
from livebed.pin_methods import GO_FOLDER

__all__ = ["run_session"]

FULL = Size(logins=2000, rounds=5, clients=(1, 32), builds=2, starts=20, first_logins=3)
QUICK = Size(logins=200, rounds=2, clients=(1, 32), builds=1, starts=3, first_logins=1)


def run_session(arguments: Sequence[str]) -> None:
    """Measure the parts that the arguments name, print them, and write them into the page."""
    parser = argparse.ArgumentParser(description="Compare the smallest example with the same method in Go.")
    parser.add_argument("--quick", action="store_true", help="a look: short runs; the page stays as it is")
    parser.add_argument("--part", action="append", choices=PARTS, help="this part only (default: all)")
    parser.add_argument("--page", type=Path, help="the page to write into (default docs/why.md)")
    given = parser.parse_args(arguments)
    size = QUICK if given.quick else FULL
    page = given.page or (None if given.quick else PAGE)
    parts: dict[str, Callable[[], str]] = {
        "sources": describe_sources,
        "running": lambda: show_figures(
            describe(f"medians of {size.rounds} rounds of {size.logins:,} logins"), measure_running(size)
        ),
        "forms": lambda: show_forms(describe(f"medians of {size.starts} starts"), measure_forms(size)),
        "first-logins": lambda: show_figures(
            describe(f"medians of {size.first_logins}"), measure_first_logins(size)
        ),
    }
    for part in given.part or PARTS:
        print(f"{time.strftime('%H:%M:%S')} {part}", file=sys.stderr, flush=True)
        text = parts[part]()
        if page is not None:
            write_part(page, part, text)
        print(f"{text}\n", flush=True)


def describe(what: str) -> str:
    """Return the machine and what else it did, the versions, and what was measured, in one line."""
    go = subprocess.run(["go", "version"], capture_output=True, text=True, check=True, timeout=60).stdout
    sdk = re.search(r"vault/sdk (v\S+)", (GO_FOLDER / "go.mod").read_text())
    assert sdk is not None
    return (
        f"{describe_machine()}, load {os.getloadavg()[0]:.1f} before; Python {describe_python()}; "
        f"{go.split()[2]}, Vault's SDK {sdk[1]}; {what}; {time.strftime('%d %B %Y').lstrip('0')}."
    )
