"""Vault's HTTP API: parses requests, writes answers and serves a socket.

See `authkit.host.server` for the answers and `authkit.host.page` for the page.
"""
