"""The short form of the fuzzers: every kept case, and changed ones. `make fuzz` is the long one."""

from __future__ import annotations

import logging
from random import Random

import pytest
from fuzz_target import Fields, joined, kept_cases, mutated
from fuzz_targets import TARGETS

CASES = 300
"""Changed ones of each target, the same in every run."""


@pytest.mark.parametrize("name", TARGETS)
async def test_any_bytes(name: str, caplog: pytest.LogCaptureFixture) -> None:
    """No crash, no call without an answer, no success that is none."""
    caplog.set_level(logging.CRITICAL)
    target, random = TARGETS[name], Random(name)
    taker = target.make()
    cases = [*target.seeds(), *kept_cases(name)]
    try:
        for case in (*cases, b"", *(mutated(cases, random) for _ in range(CASES))):
            try:
                await taker.take(case)
            except BaseException as error:
                error.add_note(f"the case: {case!r}")
                raise
    finally:
        await taker.end()


def test_a_case_is_taken_apart_as_it_was_joined() -> None:
    """Missing parts are empty."""
    fields = Fields(joined([1, 2], b"a", b"b"), 2)
    assert (fields.choices, fields.text(0), fields.part(1), fields.part(2)) == ([1, 2], "a", b"b", b"")
    assert Fields(b"", 2).choices == [0, 0]
