"""Metrics of a plugin process for a monitoring system, as OpenMetrics text, where an operator asks for them.

`AUTHKIT_METRICS` names a Unix socket or a loopback port (`endpoint`). Without it nothing of this package is
imported, and nothing measured. docs/monitoring.md has what is counted (`plugin_meter`).
"""
