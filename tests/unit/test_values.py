"""Values: immutable, comparable, and silent about their secrets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import pytest

from authkit.logical import Auth, Operation, RawBody, Request, Response, WrapInfo
from authkit.plugin.security.certificates import generate_identity
from authkit.values import Value, field, replace


class Door(Value, frozen=True, kw_only=True):
    """Something to open."""

    number: int
    code: str = ""
    notes: Mapping[str, str] = field(default_factory=dict)

    unshown: ClassVar = ("code",)

    def __post_init__(self) -> None:
        if self.number < 0:
            raise ValueError("no such door")


class FrontDoor(Door, frozen=True, kw_only=True):
    """One more field."""

    bell: bool = True


def test_a_value_never_changes() -> None:
    """Neither by assignment nor by a default that two of them share."""
    one, other = Door(number=1), Door(number=1)
    with pytest.raises(AttributeError):
        one.number = 2  # type: ignore[misc]
    assert one.notes is not other.notes
    assert one == other


def test_a_changed_copy_is_checked_like_a_new_one() -> None:
    """`replace` leaves the original alone and runs the same checks."""
    door = Door(number=1, code="1234")
    assert replace(door, number=2) == Door(number=2, code="1234")
    assert door.number == 1
    with pytest.raises(ValueError, match="no such door"):
        replace(door, number=-1)


def test_what_is_not_to_be_shown_is_in_no_repr() -> None:
    """Also not in that of a class that adds fields."""
    assert repr(Door(number=1, code="1234")) == "Door(number=1, notes={})"
    assert repr(FrontDoor(number=1, code="1234")) == "FrontDoor(number=1, notes={}, bell=True)"


@pytest.mark.parametrize(
    "value",
    [
        Request(
            operation=Operation.READ,
            client_token="s3cret",
            data={"password": "s3cret"},
            headers={"Authorization": ["s3cret"]},
        ),
        Auth(client_token="s3cret", internal_data={"refresh": "s3cret"}),
        Response(data={"token": "s3cret"}),
        RawBody(status=200, content_type="text/plain", body=b"s3cret"),
        WrapInfo(token="s3cret"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_the_vocabulary_shows_no_secret(value: Any) -> None:
    """Whatever a request or a response carries stays out of logs and tracebacks."""
    assert "s3cret" not in repr(value)


def test_an_identity_shows_no_key() -> None:
    """The process's own private key is nobody's business."""
    identity = generate_identity()
    assert "PRIVATE KEY" not in repr(identity)
    assert repr(identity) == f"TLSIdentity(certificate={identity.certificate!r})"
