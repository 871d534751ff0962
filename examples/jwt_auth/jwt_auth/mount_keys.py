"""The keys of a mount that nobody ever sees: one seals what browsers carry, one signs for the client.

They are made where they are first needed, and kept seal-wrapped. What is sealed is left to
`jwt_auth.pending`.
"""

from __future__ import annotations

import asyncio
import json
import os
from base64 import b64decode, b64encode
from typing import ClassVar, Final

from authkit.errors import InternalError
from authkit.logical import Storage, StorageEntry
from authkit.masking import Secret
from authkit.values import Value

__all__ = ["KEYS_PATH", "Keys", "MountKeys"]

KEYS_PATH: Final = "oidc/keys"
SEALING_BYTES: Final = 32
"""For AES-256-GCM."""


class Keys(Value, frozen=True):
    """The keys of one mount."""

    sealing: bytes
    """Seals and opens what is carried by others."""
    signing: Secret
    """The private key of the client at its provider (ECDSA, P-256), as PEM."""

    unshown: ClassVar = ("sealing", "signing")


class MountKeys:
    """The keys of one mount, from memory once they were read."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._keys: Keys | None = None
        self._lock = asyncio.Lock()

    @property
    def known(self) -> Keys:
        """The keys, once somebody has asked for them."""
        assert self._keys is not None
        return self._keys

    async def get(self) -> Keys:
        """Return the keys; make and store them if there are none.

        Raises:
            InternalError: what is stored are no keys.
            StorageError: they cannot be read or stored.
        """
        if self._keys is None:
            async with self._lock:
                self._keys = self._keys or await self._read() or await self._make()
        return self._keys

    def forget(self) -> None:
        """Read them again when they are next needed."""
        self._keys = None

    async def _read(self) -> Keys | None:
        entry = await self._storage.get(KEYS_PATH)
        if entry is None:
            return None
        try:
            stored = json.loads(entry.value)
            keys = Keys(b64decode(stored["sealing"], validate=True), Secret(stored["signing"]))
        except (ValueError, KeyError, TypeError) as error:
            raise InternalError(f"what is stored at {KEYS_PATH!r} are no keys") from error
        if len(keys.sealing) != SEALING_BYTES:
            raise InternalError(f"what is stored at {KEYS_PATH!r} are no keys")
        return keys

    async def _make(self) -> Keys:
        keys = Keys(os.urandom(SEALING_BYTES), Secret(_make_signing_key()))
        stored = {"sealing": b64encode(keys.sealing).decode(), "signing": keys.signing.reveal()}
        await self._storage.put(StorageEntry(KEYS_PATH, json.dumps(stored).encode(), seal_wrap=True))
        return keys


def _make_signing_key() -> str:
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
