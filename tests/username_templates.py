"""Username templates with clock and randomness fixed, and what Go makes of them."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from authkit.credentials.templates import Template
from authkit.credentials.templates.functions import FUNCTIONS, Function
from authkit.credentials.templates.go_time import format_time

RECORDING = Path(__file__).parent / "vectors" / "username_templates.json"
MOMENT = datetime(2026, 3, 7, 16, 5, 9, 120456, timezone(timedelta(hours=5, minutes=45), "EAST"))
"""That of tests/live/go/templates, which fixes the same functions."""

_random = FUNCTIONS["random"].call

FIXED: dict[str, Function] = {
    "random": Function(lambda length: "R" * len(str(_random(length))), (int,)),
    "uuid": Function(lambda: "01234567-89ab-cdef-0123-456789abcdef"),
    "unix_time": Function(lambda: "1772874609"),
    "unix_time_millis": Function(lambda: "1772874609120"),
    "timestamp": Function(lambda layout: format_time(MOMENT, layout), (str,)),
}


def fix_functions(patch: pytest.MonkeyPatch) -> None:
    """Make templates predictable."""
    for name, function in FIXED.items():
        patch.setitem(FUNCTIONS, name, function)  # type: ignore[arg-type]


def apply(template: str, display_name: str = "", role_name: str = "") -> str:
    """Return what a template makes of the two fields of a username template."""
    fields = {"DisplayName": display_name, "RoleName": role_name}
    return Template(template, fields).apply(fields)


def read_recording() -> dict[str, Any]:
    """Return the recorded cases."""
    cases: dict[str, Any] = json.loads(RECORDING.read_text())
    return cases
