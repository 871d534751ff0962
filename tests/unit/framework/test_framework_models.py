"""Models: fields by annotation, overlay, checks, stored and shown shapes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from functools import cached_property
from typing import Any, ClassVar, Literal

import pytest

from authkit.errors import FieldError, InternalError, UserError
from authkit.framework import (
    KV,
    Bool,
    CommaList,
    FieldData,
    Headers,
    Int,
    LowerStr,
    Map,
    Model,
    Seconds,
    SignedSeconds,
    Str,
    field,
    merge_patch,
)
from authkit.framework.stored.codec import decode_entry, encode_entry
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
        Team.overlaid(None, {})
    with pytest.raises(FieldError, match="mode"):
        Team.overlaid(None, {"motto": "go", "mode": "odd"})
    # What code fills wrongly is no client's fault.
    with pytest.raises(InternalError, match=r"^Team: missing motto$"):
        Team()
    with pytest.raises(InternalError, match=r"^Team\.mode: must be one of"):
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
    """Old alone sets both, both take the new value, new alone ends the use of the old."""
    stored = Team(motto="go", members=["a"])
    assert "people" not in stored.read_shape() | stored.to_stored()
    old = Team.overlaid(stored, {"people": ("b",)})
    assert old.members == old.people == ("b",)
    assert old.read_shape()["people"] == old.read_shape()["members"] == ["b"]
    both = Team.overlaid(stored, {"people": ("b",), "members": ("c",)})
    assert both.members == ("c",)
    assert both.read_shape()["people"] == ["c"]
    new = Team.overlaid(both, {"members": ("d",)})
    assert new.members == ("d",)
    assert "people" not in new.read_shape() | new.to_stored()
    assert Team.overlaid(old, {"ttl": timedelta(1)}).read_shape()["people"] == ["b"]
    assert Team.overlaid(stored, {}).members == ("a",)
    assert old.replaced(motto="x").read_shape()["people"] == ["b"]


def test_an_older_name_is_shown_while_it_has_a_value() -> None:
    """Set to nothing it is not shown, as in the SDK; nor is one of a field that is never shown."""

    class Renamed(Model):
        key: Secret = field(default="")
        size: Int = 0
        pin: Secret = field(default="", alias_of="key")
        count: Int = field(default=0, alias_of="size")

    assert Renamed(count=0).read_shape() == {"size": 0}
    renamed = Renamed(count=2, pin="s3cr3t")
    assert renamed.read_shape() == {"size": 2, "count": 2}
    assert Renamed.from_stored(renamed.to_stored()) == renamed


def test_an_older_name_in_storage() -> None:
    """Where only the older name has a value it is taken; beside a value of the field itself it loses."""
    assert Team.from_stored({"motto": "go", "people": ["a"]}).members == ("a",)
    assert Team.from_stored({"motto": "go", "people": ["a"], "members": None}).members == ("a",)
    assert Team.from_stored({"motto": "go", "people": ["a"], "members": ["b"]}).members == ("b",)
    unused = Team.from_stored({"motto": "go", "people": [], "members": ["b"]})
    assert unused == Team(motto="go", members=["b"])


def patch(team: Team, **raw: Any) -> Team:
    """Patch as a request does."""
    return team.patched(FieldData.read(Team.schema, raw, {}))


def test_a_patch_merges() -> None:
    """Fields that a patch names change, maps are merged member by member, lists are replaced."""
    team = Team(motto="go", members=["a", "b"], rules={"a": {"b": 1, "c": 2}, "d": 3}, fresh=True, ttl=5)
    patched = patch(team, members="c", rules={"a": {"c": None, "e": [None]}, "d": 4, "f": {"g": None}})
    assert patched.rules == {"a": {"b": 1, "e": (None,)}, "d": 4, "f": {}}
    assert patched.members == ("c",)
    # A patch names what changes, so `reset` does not apply.
    assert patched.fresh
    assert patched.ttl == timedelta(seconds=5)
    assert patch(team) == team
    assert team.rules["a"] == {"b": 1, "c": 2}


def test_null_in_a_patch_goes_back() -> None:
    """Null is the default again, also for durations and choices; what is required cannot be taken away."""
    team = Team(motto="go", ttl=5, mode="loose", rules={"a": 1}, key="k", members=["a"])
    assert patch(team, ttl=None, mode=None, rules=None, key=None, members=None) == Team(motto="go")
    with pytest.raises(UserError, match="missing motto"):
        patch(team, motto=None)


def test_a_patch_by_an_older_name() -> None:
    """The older name works as in a write, and null by either name takes the value away."""
    team = patch(Team(motto="go", members=["a"]), people=["b"])
    assert team.read_shape()["people"] == team.read_shape()["members"] == ["b"]
    assert "people" not in patch(team, members=["c"]).read_shape()
    assert patch(team, people=None) == patch(team, members=None) == Team(motto="go")


def test_a_patch_merges_pairs_and_headers() -> None:
    """Null removes a pair or a header; headers are the same in any case."""

    class Web(Model):
        labels: KV = field(default={}, max_length=20)
        headers: Headers = field(default={})
        extra: KV | None = None

    def patched(web: Web, **raw: Any) -> Web:
        return web.patched(FieldData.read(Web.schema, raw, {}))

    web = Web(labels={"a": "1", "b": "2"}, headers={"accept": "x", "via": ["y", "z"]})
    web = patched(web, labels={"a": None, "c": 3}, headers={"ACCEPT": None, "via": "w", "age": "1"})
    assert web.labels == {"b": "2", "c": "3"}
    assert web.headers == {"Via": ("w",), "Age": ("1",)}
    assert patched(web, extra={"a": "b"}).extra == {"a": "b"}
    assert patched(web, labels=["x=y"]).labels == {"x": "y"}
    with pytest.raises(FieldError, match="longer than 20"):
        patched(patched(web, labels={"d": "0123"}), labels={"e": "456789" * 2})


def test_merge_patch() -> None:
    """The examples of RFC 7396, appendix A."""
    for target, change, expected in [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ]:
        assert merge_patch(target, change) == expected
    deep: Any = {}
    for _ in range(1000):
        deep = {"a": deep}
    with pytest.raises(ValueError, match="nested"):
        merge_patch({}, deep)


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
    data = encode_entry(team.to_stored())
    assert b'"b":5.0,"c":1e3,"d":[true,null,1180591620717411303424]' in data
    loaded = Team.from_stored(decode_entry(data))
    assert loaded == team
    assert loaded.rules["c"].literal == "1e3"


def test_stored_shapes_of_other_versions() -> None:
    """Unknown keys are gone at the next write, absent ones have defaults; a newer shape is refused."""
    loaded = Team.from_stored({"motto": "go", "gone": 1})
    assert loaded == Team(motto="go")
    assert "gone" not in loaded.to_stored()
    for version in (2, "1", True, None):
        with pytest.raises(InternalError, match="newer version"):
            Team.from_stored({"_version": version, "motto": "go"})


def test_an_earlier_shape_is_upgraded() -> None:
    """An object that an earlier version stored is loaded in today's shape, and stored in it from then on."""

    class Timed(Model):
        """In shape 1 a list of hosts was one text, and the timeout was in minutes."""

        stored_version = 2
        hosts: CommaList = ()
        timeout: Seconds = field(default="1m")

        @classmethod
        def upgrade(cls, stored: Mapping[str, Any], version: int) -> Mapping[str, Any]:
            """Read shape 1."""
            assert version == 1
            return {"hosts": stored["host"].split(), "timeout": stored["minutes"] * 60}

    loaded = Timed.from_stored({"_version": 1, "host": "a b", "minutes": 2})
    assert loaded == Timed(hosts=["a", "b"], timeout="2m")
    assert loaded.to_stored() == {"_version": 2, "hosts": ["a", "b"], "timeout": 120}
    assert Timed.from_stored(loaded.to_stored()) == loaded


def test_records_of_a_go_plugin() -> None:
    """A record without version is upgraded from shape 0: nanoseconds, null lists, older names."""

    class Taken(Model):
        token_ttl: Seconds = field(default=0)
        leeway: SignedSeconds = field(default=0)
        claims: Map = field(default={})
        audiences: CommaList = ()
        kind: Literal["jwt", "oidc"] = "jwt"
        ttl: Seconds = field(default=0, alias_of="token_ttl")

        @classmethod
        def upgrade(cls, stored: Mapping[str, Any], version: int) -> Mapping[str, Any]:
            """Durations are nanoseconds."""
            spans = {name: stored[name] // 10**9 for name in ("token_ttl", "leeway", "ttl") if name in stored}
            return {**stored, **spans, "kind": stored.get("kind") or "jwt"}

    data = decode_entry(
        b'{"token_ttl":0,"ttl":3600000000000,"leeway":-1000000000,"audiences":null,"kind":"",'
        b'"claims":{"a":5.0},"verbose":true}\n'
    )
    loaded = Taken.from_stored(data)
    assert loaded == Taken(ttl="1h", leeway=-1, claims={"a": JSONNumber("5.0")})
    assert loaded.token_ttl == timedelta(hours=1)
    assert loaded.claims["a"].literal == "5.0"
    assert Taken.from_stored(loaded.to_stored()) == loaded
    assert Taken.from_stored(decode_entry(b'{"token_ttl":5000000000,"ttl":0}')) == Taken(token_ttl=5)


@pytest.mark.parametrize("data", [b"", b"[]", b"null", b"{", b"[" * 100_000])
def test_what_is_no_object_is_refused(data: bytes) -> None:
    """Bytes that are not a JSON object are a ValueError, however broken."""
    with pytest.raises(ValueError):
        decode_entry(data)


def test_what_json_cannot_express_is_not_stored() -> None:
    """Neither strange objects nor infinite numbers get into storage."""
    for value in (object(), float("inf"), b""):
        with pytest.raises(ValueError):
            encode_entry({"a": value})


def test_fields_of_every_base() -> None:
    """A model of two models has the fields of both, whichever comes first."""

    class Plain(Model):
        """No fields."""

    class Left(Model):
        """One field."""

        left: Str = "l"

    class Both(Plain, Left):
        """Fields by inheritance."""

    assert Both().read_shape() == {"left": "l"}


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
    with pytest.raises(TypeError, match=r"Bad\.x has no annotation: write x: Str = field"):
        type("Bad", (Model,), {"x": field(default="")})
    for name in ("_version", "_older_names", "_x"):
        with pytest.raises(TypeError, match="hides a part of Model"):
            type("Bad", (Model,), {"__annotations__": {name: str}})
    with pytest.raises(TypeError, match="hides a part of Model"):
        type("Bad", (Model,), {"__annotations__": {"check": Str}})
    with pytest.raises(TypeError, match="alias of no field: 'y'"):
        type("Bad", (Model,), {"__annotations__": {"x": Str}, "x": field(alias_of="y")})
    with pytest.raises(TypeError, match="repeat its annotation"):
        type("Bad", (Team,), {"mode": "loose"})
    with pytest.raises(TypeError, match="is an alias of an alias"):
        type("Bad", (Team,), {"__annotations__": {"x": CommaList}, "x": field(alias_of="people")})


def test_class_variables_are_no_fields() -> None:
    """Only instance annotations are fields."""

    class Counted(Model):
        limit: ClassVar[int] = 3
        count: Int = 0

    assert list(Counted.schema) == ["count"]
    assert Counted().limit == 3


class Weighed(Model):
    """A model from which something follows."""

    names: CommaList = ()

    @cached_property
    def heaviest(self) -> str:
        """Return the longest name."""
        return max(self.names, key=len, default="")


def test_what_follows_from_a_model_is_worked_out_once() -> None:
    """It is no part of the object: of its equality, its storage or what a read shows."""
    one, other = Weighed(names="a,abc"), Weighed(names="a,abc")
    assert one.heaviest is one.heaviest
    assert one == other
    assert hash(one) == hash(other)
    assert one.to_stored() == other.to_stored()
    assert one.read_shape() == {"names": ["a", "abc"]}
    assert one.replaced(names="b").heaviest == "b"
