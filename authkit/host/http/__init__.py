"""Vault's HTTP API over the host's core: requests parsed, answers written, a socket served.

The answers: `authkit.host.server.core`. The page for browsers: `authkit.host.page`.
"""
