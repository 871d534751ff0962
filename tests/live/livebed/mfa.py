"""A second factor that the server asks for after a login: the method, its enforcement and its codes."""

from __future__ import annotations

import base64
import hashlib
import hmac
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

from livebed.mounts import Mount

__all__ = ["SecondFactor", "second_factor", "totp"]

PERIOD_SECONDS = 30
DIGITS = 6


@dataclass(frozen=True)
class SecondFactor:
    """A TOTP method that a mount's logins have to pass."""

    mount: Mount
    method_id: str

    def enrol(self, entity_id: str) -> str:
        """Give an entity a key of its own; return it, base32."""
        path = "identity/mfa/method/totp/admin-generate"
        answer = self.mount.client.write(path, method_id=self.method_id, entity_id=entity_id)
        url: str = answer["data"]["url"]
        return parse_qs(urlsplit(url).query)["secret"][0]


@contextmanager
def second_factor(mount: Mount) -> Iterator[SecondFactor]:
    """Ask for a TOTP code at every login of the mount, until the context ends."""
    client = mount.client
    settings = {
        "issuer": "live",
        "period": PERIOD_SECONDS,
        "digits": DIGITS,
        "algorithm": "SHA1",
        "key_size": 20,
    }
    method_id = client.write("identity/mfa/method/totp", **settings)["data"]["method_id"]
    enforcement = f"identity/mfa/login-enforcement/{mount.path}"
    client.write(enforcement, mfa_method_ids=[method_id], auth_method_accessors=[mount.accessor])
    try:
        yield SecondFactor(mount, method_id)
    finally:
        client.delete(enforcement)
        client.delete(f"identity/mfa/method/totp/{method_id}")


def totp(key: str) -> str:
    """Return the code of a key at this moment (RFC 6238, SHA-1)."""
    counter = struct.pack(">Q", int(time.time()) // PERIOD_SECONDS)
    padded = key + "=" * (-len(key) % 8)
    digest = hmac.digest(base64.b32decode(padded), counter, hashlib.sha1)
    offset = digest[-1] & 0xF
    number = struct.unpack(">I", digest[offset : offset + 4])[0] & 0x7FFFFFFF
    return str(number % 10**DIGITS).zfill(DIGITS)
