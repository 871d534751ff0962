"""What finished parts have seen, each in a file of its own: a run goes on where the last one was stopped."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from livebed.torture.rows import Row

__all__ = ["PartResult", "Results"]


@dataclass(frozen=True)
class PartResult:
    """One part that has run to its end."""

    part: str
    rows: Sequence[Row]
    seconds: float
    about: Mapping[str, str]
    """Machine and versions."""
    curves: Sequence[Mapping[str, Any]] = ()

    def as_json(self) -> dict[str, Any]:
        """Return it for its file."""
        return {
            "part": self.part,
            "about": dict(self.about),
            "seconds": round(self.seconds),
            "rows": [row.as_json() for row in self.rows],
            "curves": list(self.curves),
        }


@dataclass(frozen=True)
class Results:
    """The folder of the files."""

    folder: Path

    def find(self, part: str) -> PartResult | None:
        """Return what a part has seen, `None` if it has not run to its end."""
        file = self._file(part)
        if not file.exists():
            return None
        saved = json.loads(file.read_text())
        rows = [Row(**row) for row in saved["rows"]]
        return PartResult(part, rows, saved["seconds"], saved["about"], saved["curves"])

    def save(self, result: PartResult) -> None:
        """Write one part's file, whole or not at all."""
        self.folder.mkdir(parents=True, exist_ok=True)
        file = self._file(result.part)
        staged = file.with_suffix(".new")
        staged.write_text(json.dumps(result.as_json(), indent=2) + "\n")
        staged.replace(file)

    def _file(self, part: str) -> Path:
        return self.folder / f"{part}.json"
