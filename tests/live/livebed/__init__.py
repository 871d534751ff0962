"""The real-server test bed: servers and plugins as processes, and a small client for them.

It knows Vault's and OpenBao's outside (command line, HTTP API, log) and nothing of authkit's inside: what it
does to our plugin it does to the official Go plugin just the same.
"""
