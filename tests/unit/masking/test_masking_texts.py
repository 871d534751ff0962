"""Masking: what is found in a text, whatever its shape, its neighbours and its age."""

from __future__ import annotations

import gc
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authkit.masking import MASK, Secret, mask_logged, mask_text
from authkit.masking.live_values import MAX_RECENT, MAX_SHARED, WINDOW, LiveValues

JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJib2IifQ.c2lnbmF0dXJl"


def found(values: LiveValues, text: str) -> set[str]:
    """The texts that are found."""
    return {text[begin:end] for begin, end in values.find(text)}


def file_everything(values: LiveValues) -> None:
    """Make enough values come and stay that everything older is filed, and what has ended is gone."""
    for number in range(MAX_RECENT + 1):
        values.add(f"a value of no interest {number}")


@given(
    values=st.lists(st.text("ab", min_size=WINDOW, max_size=60), max_size=12),
    before=st.text("ab", max_size=60),
    filed=st.booleans(),
)
def test_every_live_value_is_found_whole(values: list[str], before: str, filed: bool) -> None:
    """At any place, beside and within others, filed or not; nothing is found that is not one."""
    live = LiveValues()
    for value in values:
        live.add(value)
    if filed:
        file_everything(live)
    text = before + "".join(values)
    assert found(live, text) <= set(values)
    # Of values that consist of the same windows, MAX_SHARED for each window may be all that is found.
    if len(set(values)) <= MAX_SHARED:
        assert found(live, text) == set(values)


@pytest.mark.parametrize("length", [1, WINDOW - 1])
def test_a_short_value_is_never_confirmed_by_the_log(length: int) -> None:
    """Someone who causes log lines and reads them learns nothing about PINs and passwords."""
    guess = "x7"[:length] or "x"
    pin = Secret((guess * WINDOW)[:length])
    assert mask_logged(f"the role {pin.reveal()} is unknown") == f"the role {pin.reveal()} is unknown"


def test_no_part_of_a_value_is_confirmed_by_the_log() -> None:
    """Only the whole of it is masked: a guess cannot be made longer one character at a time."""
    secret = Secret("0123456789abcdefghijklmnop")
    value = secret.reveal()
    for end in range(1, len(value)):
        assert mask_logged(value[:end]) == value[:end]
        assert mask_logged(value[end:]) == value[end:]
    assert mask_logged(value) == MASK


def test_a_value_is_searched_for_until_its_last_owner_ends() -> None:
    """The end of one of two equal secrets does not uncover the other; afterwards nothing is kept."""
    live = LiveValues()
    first, second = live.add("correct horse battery"), live.add("correct horse battery")
    file_everything(live)
    live.end(first)
    file_everything(live)
    assert found(live, "a correct horse battery") == {"correct horse battery"}
    live.end(second)
    file_everything(live)
    assert not found(live, "a correct horse battery")


def test_nothing_is_kept_of_secrets_that_have_ended() -> None:
    """However many come and go: what is left is bounded."""
    live = LiveValues()
    numbers = [live.add(f"{number:>40}") for number in range(5000)]
    for number in numbers:
        live.end(number)
    kept = len(live._recent) + len(live._filed)
    assert kept <= 2 * MAX_RECENT
    assert len(live._by_window) <= len(live._filed)


def test_values_that_begin_alike_cost_no_more() -> None:
    """The tokens of one issuer share their header: few of them are filed under one window."""
    live = LiveValues()
    for number in range(2000):
        live.add("the same beginning for all of them, and then" + f"{number:032}")
    for _ in range(MAX_RECENT):
        live.add("a" * (WINDOW + _))
    assert max(len(shared) for shared in live._by_window.values()) <= MAX_SHARED


def test_secrets_come_and_go_in_several_threads() -> None:
    """While lines are masked; in the end exactly those that live are known."""
    kept: list[Secret] = []
    barrier = threading.Barrier(4)

    def work(thread: int) -> None:
        barrier.wait()
        for number in range(500):
            secret = Secret(f"thread {thread} secret {number:08}")
            if number % 50 == 0:
                kept.append(secret)
            assert mask_logged(f"<{secret.reveal()}>") == f"<{MASK}>"

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(kept) == 40
    assert all(mask_logged(f"<{secret.reveal()}>") == f"<{MASK}>" for secret in kept)


def test_the_garbage_collector_may_run_anywhere() -> None:
    """It ends secrets within the calls of the thread that it interrupts, and nobody waits for anybody."""
    threshold = gc.get_threshold()
    gc.set_threshold(1)
    try:
        for number in range(300):
            circle: list[object] = [Secret(f"a secret in a circle {number:04}")]
            circle.append(circle)
            del circle
            assert mask_logged("a line with nothing in it") == "a line with nothing in it"
    finally:
        gc.set_threshold(*threshold)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"{JWT}", MASK),
        (f"token={JWT}.", f"token={MASK}"),
        (f"jwt-{JWT}!", f"{MASK}!"),
        (f"my_{JWT} x", f"{MASK} x"),
        ("greyJohnson12.txt", "greyJohnson12.txt"),
        ("eyJ.eyJ", "eyJ.eyJ"),
    ],
)
def test_tokens_are_found_wherever_they_begin(text: str, shown: str) -> None:
    """Behind a hyphen or an underscore as well, and not within a word."""
    assert mask_text(text) == shown


def test_a_long_run_without_a_token_is_read_once() -> None:
    """A text of nothing but beginnings of tokens must not take the square of its length."""
    text = "-eyJhbGciOi" * 20_000
    assert mask_text(text) == text


def test_a_client_cannot_break_a_mask_open_with_a_secret_of_its_own() -> None:
    """Everything is found before anything is replaced: a guessed part does not show the rest of a token."""
    assert mask_text(f"the token {JWT}", ["eyJhbGci", "c2ln"]) == f"the token {MASK}"


@pytest.mark.parametrize("own", ["", "7", "not"])
def test_a_very_short_value_is_left_in_the_text(own: str) -> None:
    """Masking every 7 would leave no text to read."""
    assert mask_text("that is not 7", [own]) == "that is not 7"
