"""The command line of the torture."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from livebed.torture.catalog import PARTS, find_part
from livebed.torture.results import Results
from livebed.torture.rows import Part

__all__ = ["Options", "parse"]

ROOT = Path(__file__).resolve().parents[4]
OUTPUT = ROOT / "build" / "torture"


@dataclass(frozen=True)
class Options:
    """What runs, and where its results go."""

    parts: Sequence[Part]
    again: frozenset[str]
    """Names of parts that run though there are results of theirs."""
    is_quick: bool
    results: Results
    page: Path
    plots: Path
    is_whole: bool = False
    """Whether loads with a limit come to their end, however long that takes."""


def parse(arguments: Sequence[str]) -> Options:
    """Return the options, or end the program as argparse does."""
    names = [part.name for part in PARTS]
    parser = argparse.ArgumentParser(
        description="Cause faults of plugins, servers, networks, storage and clocks, and write what was "
        "seen and lost into docs/reliability.md. A part that has results does not run again."
    )
    parser.add_argument("--part", action="append", choices=names, help="run this only (default: all)")
    parser.add_argument("--again", action="append", choices=names, default=[], help="run this part anew")
    parser.add_argument(
        "--quick", action="store_true", help="the short form of each part; the page stays as it is"
    )
    parser.add_argument(
        "--whole", action="store_true", help="let soak, browser-logins and secrets come to their end: an hour"
    )
    parser.add_argument("--output", type=Path, default=OUTPUT, help="results (default build/torture)")
    given = parser.parse_args(arguments)
    chosen = given.part or given.again or names
    return Options(
        parts=[find_part(name) for name in names if name in chosen],
        again=frozenset(given.again),
        is_quick=given.quick,
        is_whole=given.whole,
        results=Results(given.output / "quick" if given.quick else given.output),
        page=ROOT / "docs" / "reliability.md",
        plots=ROOT / "docs" / "plots",
    )
