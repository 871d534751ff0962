"""The method of examples/shared_pin as two plugins: as it is, and the same in Go with Vault's SDK."""

from __future__ import annotations

from pathlib import Path

from livebed.plugins import Plugin, binary_plugin, python_plugin

__all__ = ["EXAMPLE", "GO_FOLDER", "pin_in_go", "pin_in_python"]

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "shared_pin" / "shared_pin.py"
GO_FOLDER = Path(__file__).resolve().parents[1] / "go" / "sharedpin"


def pin_in_python(folder: Path, name: str = "pin_python") -> Plugin:
    """Write the launcher of the example into a plugin directory."""
    return python_plugin(folder, name, EXAMPLE.read_text())


def pin_in_go(folder: Path, binary: Path, name: str = "pin_go") -> Plugin:
    """Copy what scripts/live/build has built of `GO_FOLDER` into a plugin directory."""
    return binary_plugin(folder, name, binary)
