"""A plugin executable looked at the way a server meets it, finding by finding. For `authkit doctor`."""

from authkit.host.inspection.findings import Finding, Verdict
from authkit.host.inspection.inspector import inspect_plugin

__all__ = ["Finding", "Verdict", "inspect_plugin"]
