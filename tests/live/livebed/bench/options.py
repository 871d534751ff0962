"""The command line of the benchmark."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from authkit.rpc import ENGINES

__all__ = ["PARTS", "Options", "parse"]

PARTS = ("logins", "scenarios", "curves")
OUTPUT = Path(__file__).resolve().parents[4] / "build" / "bench.json"


@dataclass(frozen=True)
class Options:
    """What is measured, and how long."""

    arguments: Sequence[str]
    """As they were given."""
    logins: int
    """Of one run of the comparison; scenarios and curves have fewer."""
    rounds: int
    clients: Sequence[int]
    starts: int
    engines: Sequence[str]
    beside: Sequence[str]
    parts: Sequence[str]
    output: Path
    plots: Path | None
    is_quick: bool


def parse(arguments: Sequence[str]) -> Options:
    """Return the options, or end the program as argparse does."""
    parser = argparse.ArgumentParser(
        description="Compare the JWT plugin in Python with the one in Go: logins, other requests, growth."
    )
    parser.add_argument("--logins", type=int, help="logins of one run (default 2000)")
    parser.add_argument("--rounds", type=int, help="runs of each contender (default 5); medians count")
    parser.add_argument("--clients", type=int, nargs="+", help="clients at work together (default 1 32 128)")
    parser.add_argument("--starts", type=int, help="process starts to take the median of (default 20)")
    parser.add_argument(
        "--engine", action="append", help="measure ours with AUTHKIT_RPC set to this (default: each engine)"
    )
    parser.add_argument(
        "--beside",
        action="append",
        default=[],
        metavar="LABEL=PYTHON",
        help="measure another interpreter's authkit too: before and after in one run",
    )
    parser.add_argument("--part", action="append", choices=PARTS, help="measure this only (default: all)")
    parser.add_argument("--quick", action="store_true", help="a look: fewer and shorter runs, ends of curves")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="the JSON (default build/bench.json)")
    parser.add_argument("--plots", type=Path, metavar="FOLDER", help="write the curves there, as SVG")
    given = parser.parse_args(arguments)
    quick = given.quick
    return Options(
        arguments=arguments,
        logins=given.logins or (500 if quick else 2000),
        rounds=given.rounds or (3 if quick else 5),
        clients=given.clients or ([1, 32] if quick else [1, 32, 128]),
        starts=given.starts or (5 if quick else 20),
        engines=given.engine or (ENGINES[:1] if quick else ENGINES),
        beside=given.beside,
        parts=given.part or PARTS,
        output=given.output,
        plots=given.plots,
        is_quick=quick,
    )
