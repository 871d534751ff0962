"""Whether a process stays as it is: samples of memory, descriptors and times over a load, and their plots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

from livebed.bench.curves import Curve
from livebed.processes import cpu_seconds, resident_kib

__all__ = ["MIN_REQUESTS", "Sampler", "describe", "draw", "find_growth"]

MIN_REQUESTS = 50
"""Of one sample: fewer have no p99."""

MEMORY_GROWTH = 0.05
"""Of the second half of a load."""
ALLOCATOR_MIB = 1.0
"""Pages that an allocator takes at a time: of a process of 50 MiB, a short form sees no less than that."""
TIME_GROWTH = 2.0
"""For p99 on a machine with other load: medians of a quarter of the samples each."""


@dataclass(frozen=True)
class Sample:
    """One moment."""

    done: int
    """Requests so far."""
    mib: float
    """Resident."""
    descriptors: int
    p99_ms: float
    """Of the requests since the last sample."""
    cpu_ms: float
    """Of the process, for each of these."""


class Sampler:
    """Takes samples of one process."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.samples: list[Sample] = []
        self.times: list[float] = []
        """Seconds of the requests since the last sample. To be filled by the load."""
        self.done = 0
        self._cpu = cpu_seconds(pid)

    def take(self) -> None:
        """Take one, for the requests since the last."""
        self.done += len(self.times)
        cpu, self._cpu = cpu_seconds(self.pid) - self._cpu, cpu_seconds(self.pid)
        self.samples.append(
            Sample(
                self.done,
                resident_kib(self.pid) / 1024,
                len(list(Path(f"/proc/{self.pid}/fd").iterdir())),
                1000 * quantiles(self.times, n=100)[-1],
                1000 * cpu / len(self.times),
            )
        )
        self.times.clear()


def find_growth(samples: Sequence[Sample]) -> Mapping[str, int]:
    """Return what has grown in the second half: 0 for each thing that has not."""
    middle, end = quarters(samples)
    mib_before, mib_after = (median(each.mib for each in part) for part in (middle, end))
    p99_before, p99_after = (median(each.p99_ms for each in part) for part in (middle, end))
    grown = max(mib_after - mib_before, 0.0)
    return {
        "MiB grown beyond 5 % in the second half": (
            round(grown + 0.5) if grown > max(MEMORY_GROWTH * mib_before, ALLOCATOR_MIB) else 0
        ),
        "descriptors grown": max(
            max(each.descriptors for each in end) - max(each.descriptors for each in middle), 0
        ),
        "p99 more than twice as long": int(p99_after > TIME_GROWTH * p99_before),
    }


def quarters(samples: Sequence[Sample]) -> tuple[Sequence[Sample], Sequence[Sample]]:
    """Return the third quarter and the last one: the first half is the warm-up."""
    half, rest = len(samples) // 2, max((len(samples) + 1) // 4, 1)
    return samples[half : half + rest], samples[-rest:]


def describe(samples: Sequence[Sample]) -> Mapping[str, float | str]:
    """Return the figures of a load, first and last."""
    middle, end = quarters(samples)
    change = 100 * (end[-1].mib / middle[0].mib - 1)
    return {
        "RSS, MiB": f"{samples[0].mib:.1f} at first, {middle[0].mib:.1f} half-way, {end[-1].mib:.1f} at the "
        f"end ({change:+.1f} % in the second half)",
        "descriptors": f"{samples[0].descriptors} at first, {samples[-1].descriptors} at the end",
        "p99, ms": " / ".join(f"{median(each.p99_ms for each in part):.1f}" for part in (middle, end)),
        "plugin CPU for each, ms": " / ".join(
            f"{median(each.cpu_ms for each in part):.2f}" for part in (middle, end)
        ),
    }


def draw(name: str, what: str, samples: Sequence[Sample]) -> list[Curve]:
    """Return the curves of a load: memory, descriptors, times."""
    memory, files, times = (
        Curve(f"{name}-{kind}", what, y, is_linear=True)
        for kind, y in (("memory", "RSS MiB"), ("descriptors", "open descriptors"), ("times", "ms"))
    )
    for each in samples:
        memory.add("memory of the plugin's process", each.done, each.mib)
        files.add("descriptors", each.done, each.descriptors)
        times.add("p99 of a request", each.done, each.p99_ms)
        times.add("CPU of the plugin for a request", each.done, each.cpu_ms)
    return [memory, files, times]
