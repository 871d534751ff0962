"""A quantity that grows, what a login costs meanwhile, and why, where that is not flat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Curve", "Series", "choose_points"]

FLAT = 1.25
"""A series is flat if its last value is at most so many times its first."""


QUICK_LIMIT = 10_000

REASONS = {
    "roles": "a mount keeps 10,000 objects in memory; a login with another role reads it from storage",
    "static-keys": "static keys have no ids and are tried: authkit begins with the one that signed last",
    "groups": "each group is a text to check and a group alias in the answer",
    "token-size": "each byte of a token is hashed, decoded and parsed",
    "memory": "a mount is a backend with caches of its own and a connection to the server",
}
"""Why a curve is not flat, by its name."""

UNKNOWN_REASON = "measure again on a quiet machine, then look for the reason"


@dataclass
class Series:
    """The cost of a login in one place."""

    label: str
    points: list[tuple[float, float]] = field(default_factory=list)

    @property
    def growth(self) -> float:
        """How many times its first value the last one is."""
        return self.points[-1][1] / self.points[0][1] if self.points else 1.0

    @property
    def is_flat(self) -> bool:
        """Whether the last value is about the first."""
        return self.growth <= FLAT


@dataclass
class Curve:
    """All series over one quantity."""

    name: str
    """In file names and in the results."""
    x: str
    """What grows."""
    y: str = "CPU µs for a login"
    series: list[Series] = field(default_factory=list)
    is_linear: bool = False
    """Whether the axis of what grows has even steps, however far it goes."""

    def reason(self, series: Series) -> str:
        """Return why one of its series is not flat; empty if it is."""
        return "" if series.is_flat else REASONS.get(self.name, UNKNOWN_REASON)

    def add(self, label: str, x: float, y: float) -> None:
        """Add a point to the series of that label."""
        series = next((each for each in self.series if each.label == label), None)
        if series is None:
            series = Series(label)
            self.series.append(series)
        series.points.append((x, y))

    def join(self, other: Curve) -> None:
        """Take the series of another curve over the same quantity that are not here yet."""
        known = {each.label for each in self.series}
        self.series.extend(each for each in other.series if each.label not in known)

    def as_json(self) -> dict[str, Any]:
        """Return it for the results."""
        return {
            "name": self.name,
            "x": self.x,
            "y": self.y,
            "is_linear": self.is_linear,
            "series": [
                {
                    "label": each.label,
                    "points": each.points,
                    "growth": each.growth,
                    "reason": self.reason(each),
                }
                for each in self.series
            ],
        }

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> Curve:
        """Return the curve that `as_json` was made of."""
        series = [
            Series(each["label"], [tuple(point) for point in each["points"]]) for each in saved["series"]
        ]
        return cls(saved["name"], saved["x"], saved["y"], series, saved["is_linear"])


def choose_points(points: Sequence[int], *, is_quick: bool) -> Sequence[int]:
    """Return where to measure: everywhere, or at both ends and not beyond what a quick look has time for."""
    if not is_quick:
        return points
    return [points[0], max(point for point in points if point <= QUICK_LIMIT)]
