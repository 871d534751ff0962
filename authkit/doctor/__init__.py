"""What a server would find about a plugin executable, finding by finding. For `authkit doctor`."""

from authkit.doctor.findings import Finding, Verdict
from authkit.doctor.inspector import inspect_plugin

__all__ = ["Finding", "Verdict", "inspect_plugin"]
