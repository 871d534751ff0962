"""What is kept in memory cannot be changed by a request, and what looks filled is not empty."""

from __future__ import annotations

import copy
import json
import pickle
import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

import msgspec
import pytest
from factories import Mount, mount_config

from authkit.auth import AuthMethod, Identity, LegacyTokenNames, Role, login
from authkit.errors import FieldError, LoginError, UserError
from authkit.framework import (
    KV,
    Backend,
    Bool,
    Cidrs,
    Collection,
    CommaInts,
    CommaList,
    FieldType,
    Float,
    Headers,
    Int,
    List,
    LowerStr,
    Map,
    Model,
    Secret,
    Singleton,
    Str,
    StrList,
    field,
    read,
)
from authkit.framework.fields.frozen import FrozenDict, freeze, is_same
from authkit.framework.fields.schema import FieldSchema, build_schema
from authkit.values import replace


def shown(value: object) -> str:
    """Return the same text in every run, for names of test cases."""
    return re.sub(r" object at 0x[0-9a-f]+", "", repr(value))


class Rules(Role):
    """A role with rules."""

    rules: Map = {}


class Careless(AuthMethod, name="careless"):
    """One whose handler changes what it works with."""

    roles = Collection(Rules, "role/{name}")

    @login("login")
    async def log_in(self, role: Rules, user: Str) -> Identity:
        """Log in, once the user is among those of the role."""
        allowed = user in role.rules["users"]
        role.rules["users"] += [user]
        if not allowed:
            raise LoginError("not in the role")
        return Identity(name=user)


async def test_a_request_grants_nothing_to_the_next() -> None:
    """A handler that adds to a list of a role would add to the role of all later logins."""
    mount = Mount(Careless)
    await mount.write("role/dev", rules={"users": ["ann"]})
    for _ in range(2):
        with pytest.raises((TypeError, LoginError)):
            await mount.login(role="dev", user="mallory")
    role = await mount.backend.roles.get("dev")
    assert "mallory" not in role.rules["users"]


class Kept(FieldType[Any]):
    """A type of an author's own that keeps what it gets."""

    @property
    def zero(self) -> Any:
        """One list for all."""
        return ZERO

    def parse(self, name: str, raw: Any) -> Any:
        """Return it as it is."""
        return raw


ZERO: list[Any] = [["shared"]]
Own = Annotated[Any, Kept()]
GIVEN: dict[str, Any] = {"a": [{"b": ["c", {"d": [1]}]}], "e": {"f": []}}


class Everything(Model):
    """Every type that holds several values."""

    map: Map = {}
    list: List = ()
    texts: CommaList = ()
    pairs: KV = {}
    headers: Headers = {}
    own: Own = field(required=False)
    defaulted: Map = field(default=GIVEN)


def changes_of(value: Any) -> list[Any]:
    """Return the parts of a value that can be changed."""
    if isinstance(value, dict | list | set | bytearray) and not isinstance(value, FrozenDict):
        return [value]
    if isinstance(value, Mapping):
        return [part for member in value.values() for part in changes_of(member)]
    return [part for member in value for part in changes_of(member)] if isinstance(value, tuple) else []


async def test_values_are_frozen_at_every_level() -> None:
    """As they are read from a request, made by code, loaded from storage, patched, replaced, defaulted."""

    class Holder(Backend, name="holder"):
        everything = Singleton(Everything, "config")

        @read("default")
        def default(self, given: Map = GIVEN) -> dict[str, Any]:
            """Tell what can be changed."""
            return {"found": len(changes_of(given))}

    mount = Mount(Holder)
    body = dict.fromkeys(("map", "own"), GIVEN) | {"list": [GIVEN], "texts": ["a"], "pairs": {"a": "b"}}
    await mount.write("config", body)
    found = await mount.backend.everything.get()
    patched = found.replaced(map={"x": [[1]]})
    for model in (
        found,
        patched,
        Everything(),
        Everything(**body),
        Everything.from_stored(found.to_stored()),
    ):
        for name in Everything.schema:
            assert changes_of(getattr(model, name)) == [], name
    assert GIVEN == {"a": [{"b": ["c", {"d": [1]}]}], "e": {"f": []}}
    assert (await mount.read("default")) == {"found": 0}


async def test_reads_are_the_readers_own() -> None:
    """What a read shows is plain JSON, and changing it changes nothing."""
    model = Everything(map=GIVEN, list=[GIVEN], own=GIVEN)
    shown = model.read_shape()
    assert shown["map"] == shown["list"][0] == shown["own"] == GIVEN
    assert json.loads(json.dumps(shown)) == shown
    shown["map"]["a"].append("x")
    shown["own"]["e"]["f"].append("x")
    assert model.read_shape()["map"] == model.read_shape()["own"] == GIVEN
    assert Everything.from_stored(model.to_stored()) == model
    assert hash(model) == hash(Everything.from_stored(model.to_stored()))


CHANGES: list[Callable[[Any], Any]] = [
    lambda value: value.update(x=1),
    lambda value: value.clear(),
    lambda value: value.pop("a"),
    lambda value: value.popitem(),
    lambda value: value.setdefault("x", 1),
    lambda value: value.__setitem__("x", 1),
    lambda value: value.__delitem__("a"),
    lambda value: value.__ior__({"x": 1}),
    lambda value: value["a"].append(1),
    lambda value: value["e"].update(x=1),
]


@pytest.mark.parametrize("change", CHANGES)
def test_objects_refuse_every_change(change: Callable[[Any], Any]) -> None:
    """Nothing that changes a dictionary or a list in place works on a value of a model."""
    model = Everything(map=GIVEN)
    with pytest.raises((TypeError, AttributeError)):
        change(model.map)
    assert model == Everything(map=GIVEN)


def test_frozen_objects_are_dictionaries_to_everybody_else() -> None:
    """They are encoded, compared, copied and merged like any other; a copy can be changed."""
    value = Everything(map={"a": {"b": 1}}).map
    assert json.dumps(value) == '{"a": {"b": 1}}'
    assert msgspec.json.encode(value) == b'{"a":{"b":1}}'
    assert value == {"a": {"b": 1}} == pickle.loads(pickle.dumps(value)) == copy.deepcopy(value)
    merged = value | {"x": 1}
    merged["y"] = 2
    assert value == {"a": {"b": 1}}
    assert all(isinstance(each, FrozenDict) for each in (copy.copy(value), copy.deepcopy(value)["a"]))


def test_the_options_of_a_mount_do_not_change() -> None:
    """They are those of every request."""
    backend = type("Optional", (Backend,), {}, name="optional")(mount_config(colour="red"))
    with pytest.raises(TypeError):
        backend.options["colour"] = "blue"


# --- values that are nothing -------------------------------------------------------------------

BLANK: list[tuple[Any, Any]] = [
    (Str, ""), (Str, " "), (Str, "\t\n"), (Str, "\u00a0\u2003"), (Str, None), (LowerStr, " "),
    (Secret, ""), (Secret, "  "), (Secret, None),
    (CommaList, ""), (CommaList, ","), (CommaList, " "), (CommaList, " , ,"), (CommaList, []),
    (CommaList, [""]), (CommaList, [None]), (CommaList, [" ", None]), (CommaList, {}), (CommaList, None),
    (StrList, ""), (StrList, " "), (StrList, [None]), (StrList, ["", " "]),
    (CommaInts, ""), (CommaInts, ","), (CommaInts, " "), (CommaInts, [None]), (CommaInts, ["", " "]),
    (List, []), (List, [[]]), (List, [None]), (List, [""]), (List, [{}]), (List, [[[" "], {"a": None}]]),
    (List, ""), (List, None),
    (Map, {}), (Map, {"a": None}), (Map, {"a": ""}), (Map, {"a": [" "], "b": {}}), (Map, []), (Map, [None]),
    (KV, {}), (KV, {"a": ""}), (KV, ["a="]), (KV, {"a": None}), (KV, None),
    (Headers, {}), (Headers, {"a": []}), (Headers, {"a": [""]}), (Headers, {"a": None}),
    (Cidrs, ""), (Cidrs, []),
    (Str | None, None), (Str | None, " "), (CommaList | None, ","), (Literal["", "a"], ""),
]  # fmt: skip

SOMETHING: list[tuple[Any, Any]] = [
    (Str, "0"), (Str, 0), (Str, False), (Secret, " x"), (CommaList, ",a"), (CommaList, [None, "a"]),
    (CommaInts, "0"), (CommaInts, [0]), (List, [0]), (List, [False]), (List, [[{"a": 0}]]),
    (Map, {"a": 0}), (Map, {"a": False}), (KV, {"a": "b"}), (Headers, {"a": "b"}), (Int, 0), (Bool, False),
    (Float, 0.0), (Cidrs, "10.0.0.0/8"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "raw"), BLANK, ids=shown)
def test_required_fields_need_something(kind: Any, raw: Any) -> None:
    """A bound that is there and binds nothing is none: blanks, and lists and maps of nothing else."""
    made = type(
        "Made", (Model,), {"__annotations__": {"x": kind}, "x": field(required=True), "__module__": "m"}
    )
    with pytest.raises(UserError, match="missing x"):
        made.overlaid(None, {"x": raw})
    schema = build_schema("x", kind, field(required=True))
    assert schema.is_missing(schema.convert(raw))


@pytest.mark.parametrize(("kind", "raw"), SOMETHING, ids=shown)
def test_zero_and_false_are_something(kind: Any, raw: Any) -> None:
    """A required field takes them."""
    schema = build_schema("x", kind, field(required=True))
    assert not schema.is_missing(schema.convert(raw))


async def test_a_role_needs_what_it_requires_after_a_patch_too() -> None:
    """Neither a write nor a patch empties a required list."""

    class Bound(Model):
        users: CommaList = field()

    mount = Mount(type("Binding", (Backend,), {"bound": Singleton(Bound, "config")}, name="binding"))
    await mount.write("config", users="ann")
    for raw in (",", " ", [None], [""], [], None):
        with pytest.raises(UserError, match="missing users"):
            await mount.write("config", users=raw)
    assert await mount.read("config") == {"users": ["ann"]}


# --- values that are allowed -------------------------------------------------------------------


def schema_of(kind: Any, **options: Any) -> FieldSchema:
    """Return the schema of a field."""
    return build_schema("x", kind, field(**options))


@pytest.mark.parametrize("required", [True, False])
@pytest.mark.parametrize(
    ("kind", "allowed", "raw"),
    [
        (Int, (1, 2, 3), 0), (Int, (1, 2, 3), ""), (Int, (1, 2, 3), False), (Int, (1, 2, 3), "0x0"),
        (Str, ("a", "b"), ""), (Str, ("a", "b"), " "), (Str, ("a", "b"), "A"),
        (CommaList, ("a", "b"), ","), (CommaList, ("a", "b"), [None]), (CommaList, ("a",), "a,"),
        (CommaInts, (1, 2), "1,0"), (CommaInts, (1, 2), [1, ""]),
        (Float, (1.5,), 0), (Float, (1.5,), ""), (Bool, (True,), False), (Bool, (True,), ""),
        (List, (1, 0), [True]), (List, (True,), [1]), (List, ("a",), [""]), (List, ("a",), [None]),
    ],
    ids=shown,
)  # fmt: skip
def test_only_allowed_values_are_allowed(
    kind: Any, allowed: tuple[Any, ...], raw: Any, required: bool
) -> None:
    """Zero, the empty text and what Python calls equal are no exceptions."""
    with pytest.raises(FieldError, match="must be one of"):
        schema_of(kind, allowed=allowed, required=required).convert(raw)


@pytest.mark.parametrize(
    ("kind", "allowed"), [(Int, (1, 2)), (Str, ("a",)), (Float, (1.5,)), (Bool, (True,))]
)
def test_null_is_absent_where_empty_is_not_allowed(kind: Any, allowed: tuple[Any, ...]) -> None:
    """So a required field is missing, and any other has its default."""
    schema = schema_of(kind, allowed=allowed)
    assert schema.is_missing(schema.convert(None))
    assert schema_of(kind, allowed=(*allowed, schema.type.zero)).convert(None) == schema.type.zero


def test_the_default_is_allowed() -> None:
    """It says what the field is while nobody has set it."""
    assert schema_of(Int, allowed=(1, 2), default=0).convert(0) == 0
    with pytest.raises(FieldError):
        schema_of(Int, allowed=(1, 2), default=1).convert(0)


def test_what_nobody_has_set_comes_back_from_storage() -> None:
    """A field that is neither required nor defaulted is stored as zero."""

    class Mode(Model):
        size: Int = field(required=False, allowed=(1, 2))

    assert Mode.from_stored(Mode().to_stored()) == Mode()
    with pytest.raises(FieldError):
        Mode.from_stored({"size": 3})


def test_a_length_is_at_least_one() -> None:
    """Zero would mean that there is no bound."""
    for length in (0, -1):
        with pytest.raises(TypeError, match="max_length is at least 1"):
            schema_of(Str, max_length=length)


def test_an_older_name_is_no_way_around_a_length() -> None:
    """It has the bound of the field that it stands for."""

    class Aliased(Model):
        names: CommaList = field(default=(), max_length=5)
        old: CommaList = field(alias_of="names")
        short: CommaList = field(alias_of="names", max_length=2)

    with pytest.raises(FieldError, match="longer than 5"):
        Aliased.schema["old"].convert("too long")
    with pytest.raises(FieldError, match="longer than 2"):
        Aliased.schema["short"].convert("abc")
    assert LegacyTokenNames.schema["policies"].max_length is None
    assert replace(Aliased.schema["old"], name="x").max_length == 5


def test_one_and_true_differ_at_every_level() -> None:
    """Python calls them equal; JSON does not."""
    for one, other in (([1], [True]), ({"a": 1}, {"a": True}), ({1}, {True}), (1, True)):
        assert not is_same(freeze(one), freeze(other))
        assert is_same(freeze(one), freeze(one))
