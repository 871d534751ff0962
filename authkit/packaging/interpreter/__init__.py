"""The interpreter of a standalone plugin: its program, shared libraries and compiled modules."""
