"""Storage keys: nothing that is written as one thing is read as another."""

from __future__ import annotations

import pytest

from authkit.auth import AuthMethod, Identity, Role, login
from authkit.framework import Backend, Collection, Model, Singleton, Str
from authkit.framework.stored.storage_keys import KeyRange, Span


class Conf(Model):
    """A configuration."""

    url: Str = ""


def define(*declared: object) -> type[Backend]:
    """Define a backend of these declarations."""
    return type("Kept", (Backend,), {f"part_{index}": each for index, each in enumerate(declared)})


def test_a_configuration_does_not_become_a_role() -> None:
    """A login as the role `config` would be granted where a configuration is kept among the roles."""
    with pytest.raises(TypeError, match=r"'roles' and 'config' would share the storage key 'role/'"):

        class Bad(AuthMethod, name="bad"):
            config = Singleton(Conf, "role/config")
            roles = Collection(Role, "role/{name}")

            @login("login")
            async def log_in(self, role: Role, user: Str) -> Identity:
                """Log in."""
                return Identity(name=user)


@pytest.mark.parametrize(
    "declared",
    [
        (Singleton(Conf, "x/all"), Collection(Conf, "x/{name}")),
        (Singleton(Conf, "X/All"), Collection(Conf, "x/{name}")),
        (Singleton(Conf, "x/all"), Collection(Conf, "X/{name}", lower_names=False)),
        (Collection(Conf, "x/{name}"), Collection(Conf, "X/{id}")),
        (Singleton(Conf, "config"), Singleton(Conf, "Config")),
        (Singleton(Conf, "wal/x"),),
        (Singleton(Conf, "WAL/x/y"),),
        (Collection(Conf, "wal/{name}"),),
        (Collection(Conf, "wal/x/{name}"),),
        (Singleton(Conf, "authkit-probe"),),
    ],
    ids=lambda each: " ".join(part.template.text for part in each),
)
def test_shared_keys_are_refused(declared: tuple[object, ...]) -> None:
    """Two declarations, or one and the library, whose keys may be the same; case does not count."""
    with pytest.raises(TypeError, match="would share the storage key"):
        define(*declared)


@pytest.mark.parametrize(
    "declared",
    [
        (Singleton(Conf, "config"), Collection(Conf, "role/x/{name}"), Collection(Conf, "role/{name}")),
        (Singleton(Conf, "role"), Collection(Conf, "role/{name}"), Singleton(Conf, "roles/x")),
        (Singleton(Conf, "role/a/b"), Collection(Conf, "role/{name}")),
        (Singleton(Conf, "role/-"), Collection(Conf, "role/{name}")),
        (Singleton(Conf, "wal"), Singleton(Conf, "walk/x"), Singleton(Conf, "authkit-probe/x")),
    ],
    ids=lambda each: " ".join(part.template.text for part in each),
)
def test_keys_that_only_look_alike_are_taken(declared: tuple[object, ...]) -> None:
    """No name has a slash in it, and a prefix ends with one."""
    define(*declared)


def test_meeting_is_mutual() -> None:
    """Whichever is asked, the answer is the same, and it is right for a key of each kind."""
    every = [
        KeyRange("a"), KeyRange("a/b"), KeyRange("A/B"), KeyRange("a/b/c"),
        KeyRange("a/", Span.NAME), KeyRange("a/b/", Span.NAME),
        KeyRange("a/", Span.ANYTHING), KeyRange("a/b/", Span.ANYTHING),
    ]  # fmt: skip
    keys = {
        each: {each.start.lower()} if each.span is Span.NOTHING
        else {each.start + "b", each.start + "c"} if each.span is Span.NAME
        else {each.start + rest for rest in ("b", "c", "b/b", "b/c")}
        for each in every
    }  # fmt: skip
    for one in every:
        for two in every:
            assert one.meets(two) is two.meets(one) is bool(keys[one] & keys[two]), (one, two)
