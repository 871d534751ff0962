"""The page of the dev server, below `/ui/`: mounts, roles, logins, and what comes of them.

Rendered on the server, without a script. It sees the host as any client does: by requests to its core.
"""
