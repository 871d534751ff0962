"""What a part is told, and what it reports."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from livebed.torture.bed import Bed

__all__ = ["Part", "Row", "Size"]


@dataclass(frozen=True)
class Size:
    """How long and how hard. Each part says which of these it looks at."""

    seconds: float = 0.0
    """How long the load lasts, or one fault."""
    count: int = 0
    """How often something happens."""
    clients: int = 0
    """Clients at work together."""
    limit: float = 0.0
    """Seconds after which a load that should do something `count` times ends before."""
    patience: float = 5.0
    """Seconds after which a login counts as hanging. Tests allow more: the machine may be busy."""


@dataclass(frozen=True)
class Row:
    """One row of the table."""

    load: str
    """What went on meanwhile: `32 clients log in`."""
    fault: str
    """What was done."""
    seen: Mapping[str, float | str]
    """Figures by what they count, with the unit in the name: `logins`, `slowest login, s`."""
    lost: Mapping[str, int]
    """What must not be lost or left behind, and how much of it was: 0 for each, or there is a `reason`."""
    reason: str = ""
    """Why something was lost, and that this is right."""

    @property
    def is_fine(self) -> bool:
        """Whether nothing was lost, or for a known reason."""
        return bool(self.reason) or not any(self.lost.values())

    def as_json(self) -> dict[str, Any]:
        """Return it for the results."""
        return asdict(self)


@dataclass(frozen=True)
class Part:
    """One family of faults that runs, and is repeated, by itself."""

    name: str
    """On the command line and in the table."""
    run: Callable[[Bed, Size], Sequence[Row]]
    long: Size
    """For the figures of the page."""
    short: Size
    """For a look (`--quick`) and for tests: seconds."""
    why_not: Callable[[], str] = lambda: ""
    """Tells why it cannot run on this machine, empty if it can."""
