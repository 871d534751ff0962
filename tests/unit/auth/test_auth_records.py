"""Objects in the form in which methods written in Go store them."""

from __future__ import annotations

from typing import Any

import pytest

from authkit.auth import LegacyTokenNames, SDKRecord
from authkit.errors import FieldError, UserError
from authkit.framework import Seconds, SignedSeconds, field


class Badge(SDKRecord, LegacyTokenNames):
    """A role of a method that takes over from a Go plugin."""

    leeway: SignedSeconds = field(default=0)
    pause: Seconds | None = None


STORED_BY_GO: dict[str, Any] = {
    "token_bound_cidrs": ["10.0.0.0/8", "192.0.2.1"],
    "token_explicit_max_ttl": 0,
    "token_max_ttl": 7_200_000_000_000,
    "token_no_default_policy": True,
    "token_num_uses": 3,
    "token_period": 0,
    "token_policies": ["a"],
    "token_type": 1,
    "token_ttl": 3_600_000_000_000,
    "alias_metadata": None,
    "policies": None,
    "num_uses": 0,
    "ttl": 0,
    "max_ttl": 0,
    "period": 0,
    "bound_cidrs": None,
    "leeway": -1_000_000_000,
    "callback_mode": "client",
}


def test_a_record_of_a_go_plugin() -> None:
    """Nanoseconds become seconds, numbers become token types, null is empty, unknown keys are passed over."""
    shown = Badge.from_stored(STORED_BY_GO).read_shape()
    assert (shown["token_ttl"], shown["token_max_ttl"], shown["leeway"]) == (3600, 7200, -1)
    assert (shown["token_type"], shown["alias_metadata"]) == ("service", {})
    assert shown["token_bound_cidrs"] == ["10.0.0.0/8", "192.0.2.1"]
    assert "ttl" not in shown


def test_what_is_stored_is_read_again() -> None:
    """The form is the Go plugin's, and the object comes back from it unchanged."""
    badge = Badge(token_ttl="90s", token_type="batch", leeway=-5, pause=2, token_bound_cidrs="::1")
    stored = badge.to_stored()
    assert (stored["token_ttl"], stored["leeway"], stored["pause"]) == (90 * 10**9, -5 * 10**9, 2 * 10**9)
    assert (stored["token_type"], stored["token_bound_cidrs"]) == (2, ["::1"])
    assert Badge.from_stored(stored) == badge
    assert Badge.from_stored(Badge().to_stored()) == Badge()


def test_older_names() -> None:
    """The copy under an older name counts where the field's own is empty, and is stored while it is used."""
    old = Badge.from_stored({"ttl": 60 * 10**9, "policies": ["b"], "token_ttl": 0, "token_policies": None})
    assert (old.token_ttl.total_seconds(), old.token_policies) == (60, ("b",))
    assert old.to_stored()["ttl"] == 60 * 10**9
    assert old.read_shape()["ttl"] == 60


@pytest.mark.parametrize(
    ("nanoseconds", "seconds"),
    [(1_999_999_999, 1), (-1_999_999_999, -1), (2**62, 4611686018), (0, 0), (True, None), ("90", 90)],
)
def test_fractions_are_cut(nanoseconds: object, seconds: int | None) -> None:
    """Toward zero; what is no number of nanoseconds is read as in a request, or refused."""
    if seconds is None:
        with pytest.raises(FieldError):
            Badge.from_stored({"leeway": nanoseconds})
    else:
        assert Badge.from_stored({"leeway": nanoseconds}).read_shape()["leeway"] == seconds


@pytest.mark.parametrize(
    ("stored", "name"), [(0, "default"), (3, "default-service"), ("batch", "batch"), ("", "default")]
)
def test_token_types(stored: object, name: str) -> None:
    """Old records hold names in place of numbers."""
    assert Badge.from_stored({"token_type": stored}).read_shape()["token_type"] == name


def test_an_unknown_token_type() -> None:
    """A number that is no type is not taken for one."""
    with pytest.raises(UserError, match="invalid 'token_type' value \"9\""):
        Badge.from_stored({"token_type": 9})
