"""Attacks on masking: reading secrets of others out of what is masked, and making it expensive."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from itertools import product
from time import process_time

import pytest

from authkit import AuthMethod, Collection, Identity, Role, Secret, login
from authkit.errors import PermissionDeniedError, UserError
from authkit.plugin.logs import HCLogFormatter
from authkit.testing import RefusedError, Simulator
from authkit.wire.errors import error_response


class PinRole(Role):
    """A team with a PIN."""

    pin: Secret


class Pins(AuthMethod, name="pins", version="0.1.0"):
    """Log in with a PIN, which an operator has stored with the role."""

    roles = Collection(PinRole, "role/{name}")

    @login("login")
    async def log_in(self, role: PinRole, pin: Secret) -> Identity:
        """Refuse everybody."""
        raise PermissionDeniedError


async def refusal(vault: Simulator, role: str, pin: str = "0000") -> str:
    """What a stranger reads who tries a role that does not exist."""
    with pytest.raises(RefusedError) as refused:
        await vault.login(role=role, pin=pin)
    return refused.value.errors[0]


async def test_a_stranger_cannot_test_guesses_of_a_client_secret() -> None:
    """A role's name comes back as it was sent, also when it holds the client secret of another mount."""
    stored_elsewhere = Secret("summer2026")
    async with Simulator(Pins) as vault:
        text = await refusal(vault, f"x-{stored_elsewhere.reveal()}")
    assert text == 'role "x-summer2026" could not be found'


async def test_a_stranger_cannot_read_pins() -> None:
    """Many guesses in one role's name are answered like one: nothing tells which of them is a PIN."""
    guesses = ["".join(digits) for digits in product("123", repeat=4)]
    async with Simulator(Pins) as vault:
        await vault.write("role/dev", pin="2131")
        await vault.write("role/ops", pin="3213")
        for team in ("dev", "ops"):  # both are in the memory of the process
            with pytest.raises(RefusedError):
                await vault.login(role=team, pin="0000")
        name = "-".join(guesses)
        assert await refusal(vault, name) == f'role "{name}" could not be found'


async def test_what_the_request_itself_has_in_secret_fields_is_masked() -> None:
    """The sender knows it; whoever reads the audit log does not."""
    async with Simulator(Pins) as vault:
        assert await refusal(vault, "dev-4711-x", pin="4711") == 'role "dev-[masked]-x" could not be found'


def cost(action: Callable[[], object]) -> float:
    """The least processor time of several runs, in seconds."""
    times = []
    for _ in range(15):
        begin = process_time()
        action()
        times.append(process_time() - begin)
    return min(times)


def refuse() -> object:
    """Make the response to a refused login, as the wire does."""
    return error_response(UserError('role "x" could not be found'))


def log_a_line() -> object:
    """Format what a refused login logs."""
    pairs = {"mount": "auth/jwt/", "path": "login", "reason": "claim 'groups' does not match the role"}
    made = logging.LogRecord("authkit.wire", logging.INFO, "", 1, "login refused", (), None)
    made.kv = pairs
    return HCLogFormatter().format(made)


@pytest.mark.parametrize("action", [refuse, log_a_line])
def test_masking_costs_the_same_however_many_secrets_live(action: Callable[[], object]) -> None:
    """A hundred thousand stored secrets make neither a refusal nor a log line slower."""
    few = [Secret(os.urandom(20).hex()) for _ in range(10)]
    with_few = cost(action)
    many = [Secret(os.urandom(20).hex()) for _ in range(100_000)]
    # Today's noise is below a factor of two; searching for each of them is a factor of hundreds.
    assert cost(action) < 10 * with_few
    assert len(few) + len(many) == 100_010
