"""Inspects a plugin executable as a server would, and reports findings. Used by `authkit doctor`."""

from authkit.doctor.findings import Finding, Verdict
from authkit.doctor.inspector import inspect_plugin

__all__ = ["Finding", "Verdict", "inspect_plugin"]
