"""Declarations: what one class adds stays with it, and nothing that a base declares is lost unnoticed."""

from __future__ import annotations

from typing import Any

import pytest
from factories import Mount

from authkit.auth import AuthMethod, Identity, Renewal, Role, login, renewal
from authkit.errors import InternalError, UserError
from authkit.framework import Backend, Collection, Int, Model, Singleton, Str, Task, Write, every, read


class Limits(Model):
    """Limits."""

    size: Int = 0


class Base(Backend):
    """What the classes of this file share."""

    limits = Singleton(Limits, "config")
    items = Collection(Limits, "item/{name}")


class Strict(Base, name="strict"):
    """One that has a rule of its own."""

    @Base.limits.on_write
    def check_size(self, write: Write[Limits]) -> None:
        """Refuse."""
        if write.new.size > 5:
            raise UserError("too large")


class Loose(Base, name="loose"):
    """One that has none."""


class Stricter(Strict, name="stricter"):
    """One that adds to those of its base."""

    @Base.limits.on_write
    @Base.items.on_write
    async def check_more(self, write: Write[Limits]) -> None:
        """Refuse."""
        if write.new.size == 3:
            raise UserError(f"three {write.name}")


async def test_a_rule_runs_in_its_own_class() -> None:
    """A rule of one class does not run in its siblings, nor in its base."""
    await Mount(Loose).write("config", size=9)
    with pytest.raises(UserError, match="too large"):
        await Mount(Strict).write("config", size=9)


async def test_a_rule_runs_in_the_classes_below() -> None:
    """A subclass keeps the rules of its base and adds its own; one method can be the rule of several."""
    mount = Mount(Stricter)
    with pytest.raises(UserError, match="too large"):
        await mount.write("config", size=9)
    with pytest.raises(UserError, match="three"):
        await mount.write("config", size=3)
    with pytest.raises(UserError, match="three a"):
        await mount.write("item/a", size=3)
    await Mount(Strict).write("config", size=3)


class MoreLimits(Limits):
    """Limits of a class that extends a backend."""

    depth: Int = 0


async def test_an_object_with_a_model_that_extends_its_own() -> None:
    """Rules and handlers of the base are for it as well; the base keeps its own."""

    class Reader(Strict, name="reader"):
        @read("double")
        def double(self, config: Limits) -> dict[str, int]:
            """Show it."""
            return {"size": 2 * config.size}

    class Extended(Reader, name="extended"):
        limits = Reader.limits.with_model(MoreLimits)

    mount = Mount(Extended)
    with pytest.raises(UserError, match="too large"):
        await mount.write("config", size=9)
    await mount.write("config", size=3, depth=2)
    assert await mount.read("config") == {"size": 3, "depth": 2}
    assert await mount.read("double") == {"size": 6}
    mount.backend.objects.forget("")
    assert isinstance(await mount.backend.limits.get(), MoreLimits)
    plain = Mount(Reader)
    await plain.write("config", size=3, depth=2)
    assert await plain.read("config") == {"size": 3}


def test_a_model_that_does_not_extend_that_of_the_object() -> None:
    """Handlers of the base could not work with it."""

    class Other(Model):
        """Something else."""

    with pytest.raises(TypeError, match="Other does not extend Limits"):
        Strict.limits.with_model(Other)  # type: ignore[type-var]


async def test_a_rule_that_is_written_again_replaces_that_of_the_base() -> None:
    """A method of the same name takes its place; None takes it away."""

    class Other(Strict):
        @Base.limits.on_write
        def check_size(self, write: Write[Limits]) -> None:
            """Refuse something else."""
            if write.new.size == 1:
                raise UserError("one")

    class Nothing(Strict):
        check_size = None

    await Mount(Other).write("config", size=9)
    with pytest.raises(UserError, match="one"):
        await Mount(Other).write("config", size=1)
    await Mount(Nothing).write("config", size=9)


def test_a_rule_is_a_method_too() -> None:
    """It can be called, as it was written."""
    strict = Mount(Strict).backend
    with pytest.raises(UserError):
        strict.check_size(Write(new=Limits(size=9), stored=None, provided=frozenset(), call=None))  # type: ignore[arg-type]


def test_two_rules_of_one_name_are_refused() -> None:
    """The second method would replace the first, and nobody would see that a check is gone."""
    own = Singleton(Limits, "own")
    with pytest.raises(TypeError, match="check' would never run"):

        class Twice(Backend):
            limits = own

            @own.on_write
            def check(self, write: Write[Limits]) -> None:
                """Refuse."""

            @own.on_write  # type: ignore[no-redef]
            def check(self, write: Write[Limits]) -> None:  # noqa: F811 - this is the mistake
                """Refuse something else."""


async def test_a_rule_outside_a_class_is_refused() -> None:
    """A rule that no class has would never run: no write passes without it."""

    class Late(Backend, name="late"):
        limits = Singleton(Limits, "config")

    def check(self: Any, write: Write[Limits]) -> None:
        """Refuse."""

    mount = Mount(Late)
    Late.limits.on_write(check)
    with pytest.raises(TypeError, match="check' would never run: write it in the body of a class"):
        Late.factory()
    with pytest.raises(InternalError, match="would never run"):
        await mount.write("config", size=1)


def test_a_rule_needs_its_object() -> None:
    """A rule whose object a class replaces, or does not have, would never run."""
    with pytest.raises(TypeError, match=r"check_size is a rule for 'limits', which Replaced replaces"):

        class Replaced(Strict):
            limits = Singleton(Limits, "settings")

    with pytest.raises(TypeError, match=r"check is a rule for 'limits', which Foreign does not have"):

        class Foreign(Backend):
            @Base.limits.on_write
            def check(self, write: Write[Limits]) -> None:
                """Refuse."""


class Decided(AuthMethod):
    """A base whose renewal looks at something."""

    roles = Collection(Role, "role/{name}")

    @login("login")
    async def log_in(self, role: Role, user: Str) -> Identity:
        """Log in."""
        return Identity(name=user)

    @renewal
    def renew(self) -> Renewal:
        """Refuse."""
        raise UserError("no")

    @every("1h")
    def prune(self, task: Task) -> None:
        """Prune."""


@pytest.mark.parametrize("attribute", ["renew", "prune", "log_in", "roles"])
def test_a_method_does_not_replace_a_declaration_unnoticed(attribute: str) -> None:
    """Without its decorator the method of a subclass would end what the base declares."""

    def plain(self: Any) -> None:
        """Do something else."""

    with pytest.raises(TypeError, match=rf"Plain.{attribute} replaces a declaration of its base"):
        type("Plain", (Decided,), {attribute: plain})


def test_declarations_do_not_change() -> None:
    """A class that is made stays as it is, and none renames what another has."""
    with pytest.raises(AttributeError, match="does not change"):
        Base.limits.key = "item/x"
    with pytest.raises(AttributeError, match="does not change"):
        del Base.limits.key
    for body in ({"other": Base.limits}, {"a": (both := Singleton(Limits, "both")), "b": both}):
        with pytest.raises(TypeError, match="one declaration under two names"):
            type("Renamed", (Backend,), body)
    assert Base.limits.attribute == "limits"


async def test_every_base_counts() -> None:
    """A class serves what each of its bases declares, plain ones included, in the order of Python."""

    class Named:
        """No backend."""

        @read("who")
        def who(self) -> dict[str, str]:
            """Say who it is."""
            return {"name": "one"}

    class Sized(Backend):
        limits = Singleton(Limits, "config")

        @limits.on_write
        def check(self, write: Write[Limits]) -> None:
            """Refuse."""
            raise UserError("never")

    class Listed(Backend):
        items = Collection(Limits, "item/{name}")

    class All(Named, Listed, Sized, name="all"):
        """All of them."""

    mount = Mount(All)
    assert [route.path.text for route in All.route_table.routes] == ["config", "item", "item/{name}", "who"]
    assert await mount.read("who") == {"name": "one"}
    with pytest.raises(UserError, match="never"):
        await mount.write("config", size=1)
