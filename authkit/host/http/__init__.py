"""Vault's HTTP API over the host's core: requests parsed, answers written, a socket served.

What the answers are is left to `authkit.host.server.core`, the page for browsers to `authkit.host.page`.
"""
