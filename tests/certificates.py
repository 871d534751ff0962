"""Identities as a go-plugin host makes them, and wrong ones as easily as right ones."""

from __future__ import annotations

import ssl
from pathlib import Path

from authkit.host.supervisor.security import host_identity
from authkit.plugin.security.certificates import TLSIdentity
from authkit.plugin.security.tls import make_contexts

__all__ = ["client_context", "host_identity", "server_context"]


def server_context(identity: TLSIdentity, trusted: TLSIdentity, directory: Path) -> ssl.SSLContext:
    """What a side uses for connections that it accepts."""
    return make_contexts(identity, trusted.certificate, directory)[0]


def client_context(identity: TLSIdentity, trusted: TLSIdentity, directory: Path) -> ssl.SSLContext:
    """What a side uses for connections that it makes."""
    return make_contexts(identity, trusted.certificate, directory)[1]
