"""What a fuzz target is: a function that takes any bytes and checks what came of them."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TypeVar

__all__ = ["Fields", "Taker", "Target", "check", "joined", "kept_cases", "mutated", "of_function", "within"]

CORPUS = Path(__file__).parent / "corpus"
"""Cases that reached code which no other reached, one file for each target, one case a line in base64."""

SECONDS = 30.0
"""A call that has no answer by then counts as unanswered. Such a call costs nothing while there is none."""

SEPARATOR = b"\x1f"
"""Between the parts of a case that is more than one text."""

MAX_BYTES = 4096
"""Of one case in the short form."""

T = TypeVar("T")


class Taker:
    """Takes cases, one after the other, in one event loop."""

    async def take(self, case: bytes) -> None:
        """Raise `AssertionError`, or anything else, for a fault."""
        raise NotImplementedError

    async def end(self) -> None:
        """Close what is open."""


@dataclass(frozen=True)
class Target:
    """What is fuzzed under one name."""

    name: str
    what: str
    """For the table of figures: which input of whom."""
    make: Callable[[], Taker]
    seeds: Callable[[], Iterable[bytes]]
    """Good cases, and bad ones that get far."""


def of_function(take: Callable[[bytes], Awaitable[None]]) -> Callable[[], Taker]:
    """Return what makes a taker of a function that keeps nothing."""

    class OfFunction(Taker):
        async def take(self, case: bytes) -> None:
            await take(case)

    return OfFunction


def check(is_right: object, fault: str) -> None:
    """Fail unless something is right. Not `assert`, which is nothing under `python -O`."""
    if not is_right:
        raise AssertionError(fault)


async def within(answer: Awaitable[T]) -> T:
    """Return the answer of a call.

    Raises:
        AssertionError: it did not come in time.
    """
    try:
        async with asyncio.timeout(SECONDS):
            return await answer
    except TimeoutError:
        raise AssertionError("the call was not answered") from None


class Fields:
    """A case taken apart: one number for each choice, then texts."""

    def __init__(self, case: bytes, choices: int) -> None:
        head = case[:choices].ljust(choices, b"\0")
        self.choices = list(head)
        self.rest = case[choices:]
        self._parts = self.rest.split(SEPARATOR)

    def part(self, index: int) -> bytes:
        """Return a part, empty where the case has fewer."""
        return self._parts[index] if index < len(self._parts) else b""

    def text(self, index: int) -> str:
        """Return a part as text."""
        return self.part(index).decode(errors="replace")


def joined(choices: Iterable[int], *parts: bytes) -> bytes:
    """Return the case that `Fields` takes apart again."""
    return bytes(choices) + SEPARATOR.join(parts)


def kept_cases(name: str) -> list[bytes]:
    """Return the corpus of a target."""
    path = CORPUS / f"{name}.txt"
    return [base64.b64decode(line) for line in path.read_text().split()] if path.exists() else []


def mutated(cases: list[bytes], random: Random) -> bytes:
    """Return one of the cases, changed in a few places."""
    case = bytearray(random.choice(cases))
    for _ in range(random.choice([1, 1, 2, 4, 8])):
        at = random.randrange(len(case) + 1)
        length = random.choice([1, 1, 2, 4, 16])
        match random.randrange(5):
            case 0:
                case[at : at + length] = random.randbytes(length)
            case 1:
                del case[at : at + length]
            case 2:
                case[at:at] = random.randbytes(length)
            case 3 if at < len(case):
                case[at] ^= 1 << random.randrange(8)
            case _:
                other = random.choice(cases)
                start = random.randrange(len(other) + 1)
                case[at:at] = other[start : start + random.choice([4, 16, 64, 1024])]
    return bytes(case[:MAX_BYTES])
