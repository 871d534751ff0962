"""Mounts: what an operator has enabled, its storage, and what its backend is told about the host."""
