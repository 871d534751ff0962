"""Variables of the environment that Vault and OpenBao spell differently."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["find_variable", "read_variable"]


def read_variable(environ: Mapping[str, str], name: str) -> str:
    """Return `BAO_<name>`, which counts even when it is empty, else `VAULT_<name>`, else nothing."""
    return environ.get(find_variable(environ, name), "")


def find_variable(environ: Mapping[str, str], name: str) -> str:
    """Return the spelling that counts."""
    return f"BAO_{name}" if f"BAO_{name}" in environ else f"VAULT_{name}"
