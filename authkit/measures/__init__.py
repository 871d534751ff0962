"""The bottom of `authkit.metrics`: what modules that know no host tell of their work."""
