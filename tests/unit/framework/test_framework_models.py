"""Models: fields by annotation, overlay, checks, stored and shown shapes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar, Literal

import pytest

from authkit.errors import FieldError, InternalError, UserError
from authkit.framework import Bool, CommaList, Int, LowerStr, Map, Model, Seconds, Str, field
from authkit.framework.codec import decode_object, encode_object
from authkit.logical import JSONNumber
from authkit.masking import Secret


class Team(Model):
    """A team."""

    motto: Str
    members: CommaList = ()
    mode: Literal["strict", "loose"] = "strict"
    ttl: Seconds = field(default="1h", help="How long.")
    key: Secret = field(default="")
    rules: Map = field(default={})
    fresh: Bool = field(default=False, reset=True)
    people: CommaList = field(alias_of="members", deprecated=True)

    def check(self) -> None:
        """A strict team has members."""
        if self.mode == "strict" and not self.members:
            raise UserError("a strict team needs members")


class NamedTeam(Team):
    """A team with a name; its check does not call the other."""

    name: LowerStr = ""

    def check(self) -> None:
        """No team is called nobody."""
        if self.name == "nobody":
            raise UserError("not that name")


def test_fields_follow_from_annotations() -> None:
    """Defaults are converted, a field without one is required, aliases read the field they stand for."""
    team = Team(motto="go", members="a, b")
    assert team.members == team.people == ("a", "b")
    assert team.ttl == timedelta(hours=1)
    assert list(Team.schema) == ["motto", "members", "mode", "ttl", "key", "rules", "fresh", "people"]
    with pytest.raises(UserError, match="missing motto"):
        Team()
    with pytest.raises(FieldError, match="mode"):
        Team(motto="go", mode="odd")
    with pytest.raises(TypeError, match="no field 'other'"):
        Team(motto="go", other=1)


def test_models_do_not_change() -> None:
    """Attributes cannot be set or deleted; `replaced` makes another model."""
    team = Team(motto="go")
    with pytest.raises(AttributeError):
        team.motto = "stop"  # type: ignore[misc]
    with pytest.raises(AttributeError):
        del team.motto
    assert team.replaced(motto="stop") == Team(motto="stop")
    assert hash(team.replaced()) == hash(team)
    assert team != Team(motto="stop")


def test_a_write_overlays_what_it_provides() -> None:
    """Other fields keep what is stored; one declared with `reset` goes back to its default."""
    stored = Team(motto="go", members=["a"], ttl=5, fresh=True)
    written = Team.overlaid(stored, {"ttl": timedelta(seconds=9)})
    assert written == Team(motto="go", members=["a"], ttl=9)
    with pytest.raises(UserError, match="missing motto"):
        Team.overlaid(None, {"ttl": timedelta(seconds=9)})
    with pytest.raises(UserError, match="missing motto"):
        Team.overlaid(stored, {"motto": ""})


def test_an_older_name_stands_for_its_field() -> None:
    """The older name is taken when it is alone; beside the field itself it loses."""
    stored = Team(motto="go", members=["a"])
    assert Team.overlaid(stored, {"people": ("b",)}).members == ("b",)
    assert Team.overlaid(stored, {"people": ("b",), "members": ("c",)}).members == ("c",)
    assert Team.overlaid(stored, {"members": ("c",), "people": ("b",)}).members == ("c",)
    assert Team.overlaid(stored, {}).members == ("a",)
    assert "people" not in stored.read_shape() | stored.to_stored()


def test_every_class_checks() -> None:
    """A subclass that forgets `super().check()` loses no check."""
    with pytest.raises(UserError, match="needs members"):
        NamedTeam(motto="go").verify()
    with pytest.raises(UserError, match="not that name"):
        NamedTeam(motto="go", members="a", name="Nobody").verify()
    NamedTeam(motto="go", members="a").verify()


def test_secrets_are_kept_and_not_shown() -> None:
    """A read has no secret field, storage has its text, a representation has nothing."""
    team = Team(motto="go", key="s3cr3t-key", rules={"password": "deep"})
    assert team.read_shape() == {
        "motto": "go",
        "members": [],
        "mode": "strict",
        "ttl": 3600,
        "rules": {"password": "deep"},
        "fresh": False,
    }
    assert team.to_stored()["key"] == "s3cr3t-key"
    assert "s3cr3t" not in repr(team)
    assert "deep" not in repr(team)


def test_stored_shape_comes_back() -> None:
    """What is stored is the same model when it is loaded, digits of numbers included."""
    numbers = {"a": 5, "b": JSONNumber("5.0"), "c": JSONNumber("1e3"), "d": [True, None, 2**70]}
    team = Team(motto='"q"', members=["x,y"], key="k", rules=numbers, ttl=7)
    data = encode_object(team.to_stored())
    assert b'"b":5.0,"c":1e3,"d":[true,null,1180591620717411303424]' in data
    loaded = Team.from_stored(decode_object(data))
    assert loaded == team
    assert loaded.rules["c"].literal == "1e3"


def test_stored_shapes_of_other_versions() -> None:
    """Unknown keys are passed over and absent ones have defaults; a newer shape is refused."""
    assert Team.from_stored({"motto": "go", "gone": 1}) == Team(motto="go")
    with pytest.raises(InternalError, match="newer version"):
        Team.from_stored({"_version": 2, "motto": "go"})


@pytest.mark.parametrize("data", [b"", b"[]", b"null", b"{", b"[" * 100_000])
def test_what_is_no_object_is_refused(data: bytes) -> None:
    """Bytes that are not a JSON object are a ValueError, however broken."""
    with pytest.raises(ValueError):
        decode_object(data)


def test_what_json_cannot_express_is_not_stored() -> None:
    """Neither strange objects nor infinite numbers get into storage."""
    for value in (object(), float("inf"), b""):
        with pytest.raises(ValueError):
            encode_object({"a": value})


def test_stored_codec_can_be_replaced() -> None:
    """A model may keep another shape, such as durations in nanoseconds."""

    class Nanos(Model):
        ttl: Seconds = field(default=0)

        def to_stored(self) -> dict[str, Any]:
            return {"ttl": int(self.ttl.total_seconds()) * 10**9}

        @classmethod
        def from_stored(cls, data: Mapping[str, Any]) -> Nanos:
            return cls(ttl=data["ttl"] // 10**9)

    assert Nanos.from_stored(Nanos(ttl=5).to_stored()) == Nanos(ttl=5)


def test_wrong_declarations_fail_at_definition() -> None:
    """A field of no type, one that hides a method, an alias of nothing, a default without type."""
    with pytest.raises(TypeError, match="not a field type"):
        type("Bad", (Model,), {"__annotations__": {"x": bytes}})
    with pytest.raises(TypeError, match="hides a part of Model"):
        type("Bad", (Model,), {"__annotations__": {"check": Str}})
    with pytest.raises(TypeError, match="unknown field 'y'"):
        type("Bad", (Model,), {"__annotations__": {"x": Str}, "x": field(alias_of="y")})
    with pytest.raises(TypeError, match="repeat its annotation"):
        type("Bad", (Team,), {"mode": "loose"})


def test_class_variables_are_no_fields() -> None:
    """Only instance annotations are fields."""

    class Counted(Model):
        limit: ClassVar[int] = 3
        count: Int = 0

    assert list(Counted.schema) == ["count"]
    assert Counted().limit == 3
