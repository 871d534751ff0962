"""The backends that a server brings itself: `sys/`, `auth/token/` and `identity/`."""
