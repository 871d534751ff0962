"""Passwords and keys."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from authkit.credentials import (
    KEY_SIZES,
    generate_password,
    make_password,
    make_rsa_key,
    passwords,
    verify_password_policy,
)
from authkit.errors import InternalError, SystemViewError, UserError
from authkit.masking import Secret


class Host:
    """A host with one policy."""

    async def generate_password(self, policy_name: str) -> Secret:
        """Make a password by the policy `strong`; never answer for `slow`."""
        if policy_name == "slow":
            await asyncio.get_running_loop().create_future()
        if policy_name != "strong":
            raise SystemViewError("failed to generate password")
        return Secret("by-the-policy")


def test_a_password_has_each_kind_of_character() -> None:
    """As those of a server's default generator."""
    made = {make_password().reveal() for _ in range(200)}
    assert len(made) == 200
    for password in made:
        assert re.fullmatch(r"[a-zA-Z0-9-]{20}", password)
        assert all(re.search(kind, password) for kind in ("[a-z]", "[A-Z]", "[0-9]", "-"))


async def test_a_policy_makes_the_password() -> None:
    """No policy is the default generator."""
    assert (await generate_password(Host(), "strong")).reveal() == "by-the-policy"
    assert len(await generate_password(Host(), "")) == 20


@pytest.mark.parametrize("policy", ["missing", "slow"])
async def test_a_policy_that_fails_is_named(policy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """To the operator when it is written, and to whoever asks for credentials later."""
    monkeypatch.setattr(passwords, "POLICY_SECONDS", 0)
    with pytest.raises(UserError, match=f"sys/policies/password/{policy}/generate"):
        await verify_password_policy(Host(), policy)
    with pytest.raises(InternalError, match=f"sys/policies/password/{policy}/generate"):
        await generate_password(Host(), policy)


async def test_a_policy_that_works_passes() -> None:
    """So does none."""
    await verify_password_policy(Host(), "strong")
    await verify_password_policy(Host(), "")


def test_a_key_pair_is_one() -> None:
    """PKCS#8 and PKIX, as a server's database engine makes them."""
    pair = make_rsa_key()
    key = load_pem_private_key(pair.private_key.reveal().encode(), password=None)
    assert isinstance(key, RSAPrivateKey)
    assert key.key_size == 2048
    assert key.public_key() == load_pem_public_key(pair.public_key.encode())
    assert pair.private_key.reveal().startswith("-----BEGIN PRIVATE KEY-----\n")
    assert pair.public_key.startswith("-----BEGIN PUBLIC KEY-----\n")
    assert "PRIVATE" not in repr(pair)


@pytest.mark.parametrize("bits", [0, 1024, 2047, 8192])
def test_other_sizes_are_refused(bits: int) -> None:
    """Too small is weak; too large takes minutes."""
    assert bits not in KEY_SIZES
    with pytest.raises(ValueError, match="2048, 3072, 4096 bits"):
        make_rsa_key(bits)


def test_nothing_heavy_is_imported_at_start() -> None:
    """A process has to announce itself first; keys and hashes come with their first use."""
    code = "import sys, authkit.credentials; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not {"cryptography", "secrets", "hashlib", "unicodedata"} & set(loaded.split())
