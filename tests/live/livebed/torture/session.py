"""The whole run: each part that has no results yet, then the page."""

from __future__ import annotations

import math
import os
import platform
import sys
import time
import traceback
from dataclasses import replace

from livebed.bench.curves import Curve
from livebed.bench.plots import write_plots
from livebed.binaries import ServerProgram
from livebed.torture.bed import Bed
from livebed.torture.catalog import PARTS
from livebed.torture.options import Options
from livebed.torture.page import table_of, write_table
from livebed.torture.results import PartResult
from livebed.torture.rows import Part, Size

__all__ = ["run_session"]


def run_session(options: Options, program: ServerProgram) -> int:
    """Run what the options ask for; return the exit status: 1 if a part failed or something was lost."""
    done, failed = {}, []
    for part in options.parts:
        result = None if part.name in options.again else options.results.find(part.name)
        result = result or attempt(part, options, program)
        if result is None:
            failed.append(part.name)
        else:
            done[part.name] = result
    print(table_of(list(done.values())))
    if not options.is_quick and done:
        write_table(options.page, [part.name for part in PARTS], done)
        curves = [Curve.from_json(saved) for result in done.values() for saved in result.curves]
        write_plots(curves, options.plots)
        tell(f"written to {options.page}")
    lost = [name for name, result in done.items() if not all(row.is_fine for row in result.rows)]
    for name in failed:
        tell(f"{name}: failed, or could not run")
    for name in lost:
        tell(f"{name}: something was lost")
    return 1 if failed or lost else 0


def attempt(part: Part, options: Options, program: ServerProgram) -> PartResult | None:
    """Run a part and save its results; `None` if it cannot run, or failed."""
    reason = part.why_not()
    if reason:
        tell(f"{part.name} cannot run: {reason}")
        return None
    tell(part.name)
    began = time.monotonic()
    try:
        with Bed(program) as bed:
            rows = part.run(bed, size_of(part, options))
    except Exception:
        traceback.print_exc()
        return None
    seconds, curves = time.monotonic() - began, [curve.as_json() for curve in bed.curves]
    result = PartResult(part.name, rows, seconds, describe_machine(program), curves)
    options.results.save(result)
    tell(f"{part.name} took {seconds:.0f} s")
    return result


def size_of(part: Part, options: Options) -> Size:
    """Return how long and how hard a part runs."""
    size = part.short if options.is_quick else part.long
    return replace(size, limit=math.inf) if options.is_whole else size


def describe_machine(program: ServerProgram) -> dict[str, str]:
    """Return what the figures depend on."""
    return {
        "machine": f"{os.cpu_count()} cores, {platform.machine()}",
        "python": platform.python_version(),
        "server": program.flavour,
    }


def tell(what: str) -> None:
    """Say on stderr what goes on."""
    print(f"{time.strftime('%H:%M:%S')} {what}", file=sys.stderr, flush=True)
