"""Special paths: which patterns hosts get, and which classes are refused since one reaches too far."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest
from factories import Mount

from authkit.framework import (
    Backend,
    Collection,
    Declaration,
    Model,
    PathTemplate,
    Singleton,
    Str,
    list_,
    read,
    route,
    write,
)
from authkit.logical import Operation, SpecialPaths


class Item(Model):
    """Something stored."""

    text: Str = ""


class Local(Declaration):
    """Something that is kept in this cluster."""

    def local_stored(self) -> Iterable[str]:
        """Return a prefix."""
        return ["local/"]


async def _plain(self: Any) -> None: ...
async def _id(self: Any, id: Str) -> None: ...


def _define(**attributes: Any) -> type[Backend]:
    return type("Made", (Backend,), attributes)


def test_all_special_paths_are_derived() -> None:
    """Each list of a host follows from the declarations, lists with and without their slash."""
    kind = _define(
        config=Singleton(Item, "config", seal_wrap=True),
        local=Local(),
        rotate=write("rotate-root", sudo=True)(_plain),
        tidy=write("tidy/{id}", sudo=True)(_id),
        keys=list_("keys", sudo=True)(_plain),
        enter=write("enter/{id}/now", unauthenticated=True, limited=True)(_id),
        certs=list_("certs", unauthenticated=True)(_plain),
        two=read(PathTemplate.from_regex("ca(?:/pem)?"), unauthenticated=True)(_plain),
        old=read("old/{id}", snapshot_read=True)(_id),
    )
    assert Mount(kind).backend.special_paths() == SpecialPaths(
        root=("rotate-root", "tidy/*", "keys", "keys/"),
        unauthenticated=("enter/+/now", "certs", "certs/", "ca/pem", "ca"),
        local_storage=("local/",),
        seal_wrap_storage=("config",),
        limited=("enter/+/now",),
        allow_snapshot_read=("old/+",),
    )


REACH_TOO_FAR: list[tuple[dict[str, Any], str]] = [
    # The exact path comes first and is another route's, but hosts see one pattern for both.
    (
        {"a": Singleton(Item, "login/config"), "b": write("login/{id}", unauthenticated=True)(_id)},
        r"'login/config' would be open without a token: hosts see it as 'login/\+'",
    ),
    # '+' takes an empty segment as well, and so the slash of a list.
    (
        {"a": list_("login")(_plain), "b": write("login/{id}", unauthenticated=True)(_id)},
        "'login' would be open without a token",
    ),
    (
        {"a": write("x/{id}/y", unauthenticated=True)(_id), "b": read("x/all/{id}")(_id)},
        "'x/all/{id}' would be open without a token",
    ),
    (
        {"a": write("x/{id}", unauthenticated=True)(_id), "b": read("{id:path}")(_id)},
        "'{id:path}' would be open without a token",
    ),
    (
        {"a": write("x/{id}", unauthenticated=True)(_id), "b": read("x/{id:at}")(_id)},
        "'x/{id:at}' would be open without a token",
    ),
    (
        {
            "a": write("x/{id}", unauthenticated=True)(_id),
            "b": read(PathTemplate.from_regex("x/?[0-9]"))(_plain),
        },
        "would be open without a token",
    ),
    ({"a": write("x/{id:path}", unauthenticated=True)(_id)}, "segment of its own"),
    ({"a": write("x-{id}", unauthenticated=True)(_id)}, "segment of its own"),
    ({"a": write("x/{id:path}", limited=True)(_id)}, "a path limited needs a pattern"),
    ({"a": read(PathTemplate.from_regex("x.*"), unauthenticated=True)(_plain)}, "plain text"),
    ({"a": read(PathTemplate.from_regex(r"x\+y"), unauthenticated=True)(_plain)}, "wildcards as plain text"),
    ({"a": read(PathTemplate.from_regex(r"x\*"), sudo=True)(_plain)}, "wildcards as plain text"),
    # Root patterns know no '+', and '*' takes in whatever begins alike.
    (
        {"a": write("x/{id}/rotate", sudo=True)(_id), "b": read("x/{id}")(_id)},
        r"hosts have the pattern 'x/\*' alone; that would take in 'x/{id}'",
    ),
    ({"a": write("x/{id}", sudo=True)(_id), "b": list_("x")(_plain)}, "that would take in 'x'"),
    ({"a": write("{id}", sudo=True)(_id), "b": read("a/b")(_plain)}, "that would take in 'a/b'"),
    ({"a": write("x/{id}", sudo=True)(_id), "b": read("{id}/y/z")(_id)}, "that would take in"),
    ({"a": write("x/{id}", sudo=True)(_id), "b": read(PathTemplate.from_regex("[xy]"))(_plain)}, "take in"),
    (
        {"a": write("x/y", sudo=True)(_plain), "b": write("x/{id}", unauthenticated=True)(_id)},
        "'x/y' would be open without a token",
    ),
]


@pytest.mark.parametrize(("attributes", "text"), REACH_TOO_FAR)
def test_patterns_that_reach_too_far(attributes: dict[str, Any], text: str) -> None:
    """A class is refused when hosts would open, or close, more than its author said."""
    with pytest.raises(TypeError, match=text):
        _define(**attributes)


SAFE: list[Callable[[], object]] = [
    lambda: _define(a=write("x/{id}", unauthenticated=True)(_id), b=write("x/y/z", sudo=True)(_plain)),
    lambda: _define(a=write("login", unauthenticated=True)(_plain), b=Collection(Item, "role/{name}")),
    lambda: _define(a=write("x/{id}/in", unauthenticated=True)(_id), b=read("x/{id}/out")(_id)),
    lambda: _define(a=write("x/{id}", sudo=True)(_id), b=read("x")(_plain), c=read("xy/{id}")(_id)),
    lambda: _define(
        a=write("x/{id}", unauthenticated=True)(_id),
        b=read(PathTemplate.from_regex("raw/[a-z]+"))(_plain),
        c=write("rawest/{id}", sudo=True)(_id),
    ),
    lambda: _define(a=write("x/{id}", unauthenticated=True)(_id), b=read("x/{id}/more/{id2:path}")(_two)),
]


async def _two(self: Any, id: Str, id2: Str) -> None: ...


@pytest.mark.parametrize("define", SAFE)
def test_patterns_that_reach_just_far_enough(define: Callable[[], object]) -> None:
    """Paths that no pattern confuses may stand side by side."""
    assert define() is not None


def test_host_operations_are_no_hole() -> None:
    """What only hosts can ask for is not counted as a path that somebody could enter."""
    kind = _define(
        a=route("login", Operation.RESOLVE_ROLE)(_plain),
        b=write("login", unauthenticated=True)(_plain),
        c=write("{id}", unauthenticated=True)(_id),
    )
    assert kind.route_table.special.unauthenticated == ("login", "+")
