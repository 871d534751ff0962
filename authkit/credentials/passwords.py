"""Passwords: as a server's default generator makes them, or by a password policy of the host."""

from __future__ import annotations

import asyncio
from string import ascii_letters, ascii_lowercase, ascii_uppercase, digits
from typing import Final, Protocol

from authkit.errors import InternalError, SystemViewError, UserError
from authkit.masking import Secret

__all__ = ["PasswordSource", "generate_password", "make_password", "verify_password_policy"]

PASSWORD_LENGTH: Final = 20
POLICY_SECONDS: Final = 5
"""How long a host may take. It stops its own generator after a second."""

_ALPHABET: Final = ascii_letters + digits + "-"
_RULES: Final = tuple(map(frozenset, (ascii_lowercase, ascii_uppercase, digits, "-")))


class PasswordSource(Protocol):
    """A host that makes passwords: `SystemView`, which is `self.system` of a backend."""

    async def generate_password(self, policy_name: str) -> Secret:
        """Return a password made by the policy. Raises SystemViewError."""
        ...


def make_password() -> Secret:
    """Return a new password: 20 characters of `a-z A-Z 0-9 -`, at least one of each kind.

    All such passwords are equally likely. Source: Vault 1.21, helper/random/string_generator.go,
    DefaultStringGenerator.
    """
    from secrets import choice

    while True:
        password = "".join([choice(_ALPHABET) for _ in range(PASSWORD_LENGTH)])
        if not any(rule.isdisjoint(password) for rule in _RULES):
            return Secret(password)


async def generate_password(host: PasswordSource, policy: str) -> Secret:
    """Return a new password by the host's policy, or `make_password()` if `policy` is empty.

    What it holds is the policy's choice, quotes included.

    Raises:
        InternalError: the host made none; the text names the policy.
    """
    try:
        return await _ask(host, policy) if policy else make_password()
    except (SystemViewError, TimeoutError) as error:
        raise InternalError(_complaint(policy)) from error


async def verify_password_policy(host: PasswordSource, policy: str) -> None:
    """Raise UserError if the host makes no password by the policy. For a configuration's write.

    All failures of a policy look alike to a plugin (Vault 1.21, vault/dynamic_system_view.go), so it is
    tried. An empty `policy` is none and passes.

    Raises:
        UserError: the host made none.
    """
    if not policy:
        return
    try:
        await _ask(host, policy)
    except (SystemViewError, TimeoutError) as error:
        raise UserError(_complaint(policy)) from error


async def _ask(host: PasswordSource, policy: str) -> Secret:
    async with asyncio.timeout(POLICY_SECONDS):
        return await host.generate_password(policy)


def _complaint(policy: str) -> str:
    return (
        f"the host generated no password by the policy {policy!r}: check that it exists and can be met "
        f"(vault read sys/policies/password/{policy}/generate)"
    )
