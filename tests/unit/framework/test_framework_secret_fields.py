"""Which texts of a request are masked in the answer to it."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from factories import Mount

from authkit.framework import (
    KV,
    Backend,
    CommaList,
    Listing,
    Map,
    Secret,
    Str,
    field,
    write,
)
from authkit.logical import Operation, Request


class Vaulted(Backend, name="vaulted", version="0.1.0"):
    """Takes secrets of every kind."""

    @write("open/{code}")
    async def take(
        self,
        code: Secret,
        pin: Annotated[Secret, field(default="")],
        settings: Annotated[Map, field(default={}, sensitive=True)],
        pairs: Annotated[KV, field(default={}, sensitive=True)],
        words: Annotated[CommaList, field(default=(), sensitive=True)],
        name: Str = "",
    ) -> Listing:
        """Take them."""
        return Listing(())


@pytest.mark.parametrize(
    ("data", "texts"),
    [
        ({"name": "public"}, set()),
        ({"pin": "4711"}, {"4711"}),
        ({"pin": 4711}, {"4711"}),
        ({"pin": None}, set()),
        ({"pin": ["not", {"a": "pin"}]}, {"not", "pin"}),
        ({"settings": {"a": {"b": ["deep", 1.5, True]}}}, {"deep", "1.5"}),
        ({"pairs": "key=word"}, {"key=word", "word"}),
        ({"words": "one, two"}, {"one, two", "one", "two"}),
        ({"unknown": "x"}, set()),
    ],
)
def test_secret_fields_and_no_others(data: dict[str, Any], texts: set[str]) -> None:
    """As they were sent and as they would be stored, also where they cannot be."""
    backend = Mount(Vaulted).backend
    request = Request(operation=Operation.UPDATE, path="open/0815", data=data)
    assert set(backend.secret_texts(request)) == {"0815", *texts}


def test_a_request_for_no_path_has_no_fields() -> None:
    """What it sends is compared with nothing."""
    backend = Mount(Vaulted).backend
    request = Request(operation=Operation.UPDATE, path="elsewhere", data={"pin": "4711"})
    assert backend.secret_texts(request) == ()


def test_the_texts_of_one_field_are_bounded() -> None:
    """A stranger may send millions."""
    backend = Mount(Vaulted).backend
    request = Request(
        operation=Operation.UPDATE, path="open/0815", data={"words": ["x"] * 10 + ["y"] * 10**6}
    )
    assert set(backend.secret_texts(request)) <= {"0815", "x", "y"}
    many = [f"{number}" for number in range(5000)]
    request = Request(operation=Operation.UPDATE, path="open/0815", data={"words": many})
    assert len(backend.secret_texts(request)) <= 2 * 1000 + 1
