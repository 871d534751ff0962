"""`auth/token/`: tokens made, looked up, renewed and revoked."""

from __future__ import annotations

from authkit.framework import Listing, list_
from authkit.host.backends.token.creation import TokenCreation
from authkit.host.backends.token.tokens import Tokens
from authkit.logical import BackendType, SpecialPaths
from authkit.values import replace

__all__ = ["TokenBackend"]


class TokenBackend(Tokens, TokenCreation, name="token"):
    """The tokens of the host."""

    backend_type = BackendType.CREDENTIAL

    def special_paths(self) -> SpecialPaths:
        """Return the paths for callers with `sudo` (Vault 1.21, vault/token_store.go)."""
        declared = super().special_paths()
        return replace(declared, root=("revoke-orphan", "accessors/", *declared.root))

    @list_("accessors")
    async def list_accessors(self) -> Listing:
        """Return the accessors of all tokens."""
        return Listing(self.state.tokens.accessors())
