"""A plugin in the same process: no socket, but every message through `authkit.wire` both ways."""
