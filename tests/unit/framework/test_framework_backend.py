"""The backend: routing, warnings, help pages, lifecycle, what a class definition refuses."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest
from factories import Mount

from authkit.errors import (
    FieldError,
    InternalError,
    ReadOnlyError,
    StorageError,
    UnsupportedOperationError,
    UnsupportedPathError,
    UserError,
)
from authkit.framework import (
    Backend,
    Call,
    Collection,
    CommaList,
    Declaration,
    Int,
    Model,
    PathTemplate,
    Route,
    Singleton,
    Str,
    Task,
    Write,
    cached,
    every,
    field,
)
from authkit.logical import (
    Auth,
    BackendConfig,
    BackendType,
    LeasedSecret,
    Operation,
    Request,
    Response,
    StorageEntry,
)
from authkit.testing import MovableClock


class Settings(Model):
    """Set everything up.

    There is much to say.
    """

    url: Str = field(default="", help="Where.")
    size: Int = field(default=1, deprecated=True)


class Item(Model):
    """One item."""

    tags: CommaList = ()


class Client:
    """Something that is dear to make."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.closed = 0

    async def close(self) -> None:
        """Close it."""
        self.closed += 1


class Shop(Backend, name="shop", version="1.2.0"):
    """A shop.

    With shelves.
    """

    settings = Singleton(Settings, "config", seal_wrap=True)
    items = Collection(Item, "item/{name}", seal_wrap=True)

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.events_seen: list[str] = []
        self.failure: Exception | None = None

    @cached
    def client(self, settings: Settings) -> Client:
        """Make a client."""
        return Client(settings.url)

    @cached
    def shelf(self, item: Item) -> Client:
        """Make a shelf of one item."""
        return Client(",".join(item.tags))

    @every("1h")
    async def prune(self, task: Task) -> None:
        """Prune."""
        self.events_seen.append(task.name)
        if self.failure is not None:
            raise self.failure

    @every("2h")
    def count(self, task: Task) -> None:
        """Count, in a thread."""
        self.events_seen.append(task.name)

    async def start(self) -> None:
        """Note it."""
        self.events_seen.append("start")

    async def stop(self) -> None:
        """Note it."""
        self.events_seen.append("stop")

    async def invalidated(self, key: str) -> None:
        """Note it."""
        self.events_seen.append(f"invalidated {key}")


class Echo(Declaration):
    """A route with a handler of its own."""

    def __init__(self, answer: Response | None = None, path: str = "echo/{name}", **options: Any) -> None:
        self.answer = answer
        self.path = path
        self.options = options

    async def handle(self, backend: Backend, call: Call) -> Response | None:
        """Answer as told."""
        if call.data.get("name") == "warn":
            call.warn("careful")
        return self.answer

    def routes(self, backend: type[Backend]) -> Iterable[Route]:
        """Return the route."""
        from authkit.framework.fields.schema import build_schema

        yield Route(
            path=PathTemplate.parse(self.path),
            operations=dict.fromkeys((Operation.READ, Operation.UPDATE), self.handle),
            fields={"name": build_schema("name", Str)},
            **self.options,
        )


def mount_of(*echoes: Echo) -> Mount[Backend]:
    """A mount with these routes."""
    return Mount(type("Echoing", (Backend,), {f"echo{i}": echo for i, echo in enumerate(echoes)}))


def test_factory() -> None:
    """A class with a name is what a plugin serves; the version is as hosts compare it."""
    factory = Shop.factory()
    assert factory.version == "v1.2.0"
    assert factory.backend_type is BackendType.LOGICAL
    assert factory.build is Shop
    with pytest.raises(TypeError, match="cannot be mounted"):
        Backend.factory()


def test_special_paths_follow_from_declarations() -> None:
    """Sealed objects name their key, sealed collections their prefix."""
    assert Mount(Shop).backend.special_paths().seal_wrap_storage == ("config", "item/")
    assert mount_of(Echo(unauthenticated=True)).backend.special_paths().unauthenticated == ("echo/+",)


async def test_unknown_paths_and_operations() -> None:
    """Each has its own error."""
    mount = Mount(Shop)
    with pytest.raises(UnsupportedPathError):
        await mount.request(Operation.READ, "nothing")
    with pytest.raises(UnsupportedPathError):
        await mount.write("nothing")
    with pytest.raises(UnsupportedOperationError):
        await mount.request(Operation.LIST, "config")
    with pytest.raises(UnsupportedOperationError):
        await mount.request(Operation.READ, "item/")
    with pytest.raises(UnsupportedOperationError):
        await mount.request(Operation.RECOVER, "item/a")


async def test_warnings_in_their_words() -> None:
    """Unknown and replaced parameters are named after the handler's own warnings."""
    mount = mount_of(Echo(Response(data={"a": 1}, warnings=["first"])))
    response = await mount.request(Operation.UPDATE, "echo/warn", {"name": "x", "b": 1, "a": 2})
    assert response is not None
    assert response.data == {"a": 1}
    first, second, ignored, replaced = response.warnings
    assert (first, second) == ("first", "careful")
    assert ignored == "Endpoint ignored these unrecognized parameters: [a b]"
    assert replaced == (
        "Endpoint replaced the value of these parameters with the values captured from the endpoint's "
        "path: [name]"
    )


async def test_empty_answers() -> None:
    """A write that answers nothing still warns; an empty read stays empty, else it would be found."""
    mount = mount_of(Echo(None))
    assert await mount.request(Operation.UPDATE, "echo/a") is None
    response = await mount.request(Operation.UPDATE, "echo/a", {"odd": 1})
    assert response is not None
    assert response.data is None
    assert len(response.warnings) == 1
    assert await mount.request(Operation.READ, "echo/warn", {"odd": 1}) is None


async def test_arbitrary_input_is_no_warning() -> None:
    """A route that takes anything ignores nothing."""
    mount = mount_of(Echo(Response(), arbitrary_input=True))
    response = await mount.request(Operation.UPDATE, "echo/a", {"odd": 1})
    assert response is not None
    assert response.warnings == ()


async def test_error_responses_get_no_warnings() -> None:
    """A third key would make a success of an error response."""
    mount = mount_of(Echo(Response.error("no")))
    response = await mount.request(Operation.UPDATE, "echo/warn", {"odd": 1})
    assert response is not None
    assert response.is_error
    assert response.warnings == ()


async def test_wrong_fields_are_named() -> None:
    """Request and existence check say which field is wrong; the handler is not called."""
    mount = Mount(Shop)
    with pytest.raises(FieldError) as caught:
        await mount.request(Operation.UPDATE, "config", {"size": "x"})
    assert str(caught.value) == 'error converting input for field "size": expected an integer'
    check = Request(operation=Operation.UPDATE, path="item/a", data={"tags": [{}]})
    with pytest.raises(FieldError) as caught:
        await mount.backend.handle_existence_check(check)
    assert str(caught.value) == 'error converting input for field "tags": expected text'


async def test_it_is_known_where_existence_is_checked() -> None:
    """On objects, and where nothing is: that is to be told by the check itself."""
    backend = Mount(Shop).backend
    known = {path: backend.has_existence_check(path) for path in ("item/a", "config", "no/such/path")}
    assert known["item/a"]
    assert known["no/such/path"]
    with pytest.raises(UnsupportedPathError):
        await backend.handle_existence_check(Request(operation=Operation.UPDATE, path="no/such/path"))
    for path, has_check in known.items():
        if not has_check:
            check = Request(operation=Operation.UPDATE, path=path)
            assert await backend.handle_existence_check(check) is None


async def test_root_help() -> None:
    """The page has the class's text and every path with its synopsis, sorted."""
    response = await Mount(Shop).request(Operation.HELP, "")
    assert response is not None
    assert response.data is not None
    assert response.data["see_also"] is None
    assert response.data["help"] == (
        "## DESCRIPTION\n\nA shop.\n\nWith shelves.\n\n## PATHS\n\n"
        "The following paths are supported by this backend. To view help for\n"
        "any of the paths below, use the help command with any route matching\n"
        "the path pattern. Note that depending on the policy of your auth token,\n"
        "you may or may not be able to access certain paths.\n\n"
        "    ^config$\n        Set everything up.\n\n"
        "    ^item/(?P<name>\\w(([\\w-.]+)?\\w)?)$\n        One item.\n\n"
        "    ^item/?$\n        List the names of every item."
    )


async def test_path_help() -> None:
    """The page has the fields in order, and says which are no longer to be used."""
    response = await Mount(Shop).request(Operation.HELP, "config", {"requestResponsePrefix": "shop"})
    assert response is not None
    assert response.data is not None
    assert response.data["help"] == (
        "Request:        config\nMatching Route: ^config$\n\nSet everything up.\n\n"
        "## PARAMETERS\n\n    size (int)\n\n        (DEPRECATED) <no description>\n\n"
        "    url (string)\n\n        Where.\n\n"
        "## DESCRIPTION\n\nThere is much to say."
    )
    empty = await Mount(Shop).request(Operation.HELP, "item")
    assert empty is not None
    assert empty.data is not None
    assert "List the names of every item.\n\n## PARAMETERS\n" in empty.data["help"]
    assert empty.data["help"].endswith("\n\n## DESCRIPTION\n\n<no description>")


async def test_lifecycle() -> None:
    """Start, invalidation and stop reach the author; the second cleanup does nothing."""
    mount = Mount(Shop)
    await mount.backend.initialize()
    await mount.backend.invalidate_key("config")
    await mount.backend.cleanup()
    await mount.backend.cleanup()
    assert mount.backend.events_seen == ["start", "invalidated config", "stop"]


async def test_what_was_not_started_is_not_stopped() -> None:
    """A host that asks what a mount is sets it up and cleans up: `stop` would miss what `start` makes."""
    mount = Mount(Shop)
    await mount.backend.cleanup()
    assert mount.backend.events_seen == []


class Slow(Backend, name="slow"):
    """Takes something at its start, after a while."""

    def __init__(self, config: BackendConfig) -> None:
        super().__init__(config)
        self.begun, self.may_end = asyncio.Event(), asyncio.Event()
        self.seen: list[str] = []

    async def start(self) -> None:
        """Wait, and note it."""
        self.begun.set()
        await self.may_end.wait()
        self.seen.append("start")

    async def stop(self) -> None:
        """Note it."""
        self.seen.append("stop")


async def test_a_mount_that_ends_during_its_start_keeps_nothing() -> None:
    """What `start` took after `stop` nobody would release: hosts end a mount that is still starting."""
    backend = Mount(Slow).backend
    starting = asyncio.create_task(backend.initialize())
    await backend.begun.wait()
    await backend.cleanup()
    backend.may_end.set()
    with pytest.raises(TimeoutError):
        await starting
    assert backend.seen == ["stop"]


async def test_a_mount_that_has_ended_does_not_start() -> None:
    """Its start may wait for the host's answer while the host ends it."""
    backend = Mount(Slow).backend
    backend.may_end.set()
    await backend.cleanup()
    with pytest.raises(InternalError, match="has ended before its start"):
        await backend.initialize()
    assert backend.seen == []


async def test_renewal_and_revocation_of_nothing() -> None:
    """A plain backend has neither tokens nor leases."""
    backend = Mount(Shop).backend
    for request, text in [
        (Request(operation=Operation.RENEW, auth=Auth()), "this auth type doesn't support renew"),
        (Request(operation=Operation.RENEW), "request has no secret"),
        (Request(operation=Operation.REVOKE), "request has no secret"),
        (Request(operation=Operation.REVOKE, secret=LeasedSecret()), "secret is unsupported by this backend"),
    ]:
        with pytest.raises(UserError) as caught:
            await backend.handle_request(request)
        assert str(caught.value) == text


async def test_tasks_run_when_due() -> None:
    """At the first tick, and then after their interval, plain functions included."""
    clock = MovableClock()
    mount = Mount(Shop, clock=clock)
    await mount.tick()
    await mount.tick()
    assert mount.backend.events_seen == ["prune", "count"]
    clock.tick(3600)
    await mount.tick()
    assert mount.backend.events_seen == ["prune", "count", "prune"]


async def test_a_failing_task_stops_no_other() -> None:
    """The tick fails by name, without the cause's text; a node that may not write is no failure."""
    mount = Mount(Shop)
    mount.backend.failure = RuntimeError("detail")
    with pytest.raises(InternalError) as caught:
        await mount.tick()
    assert str(caught.value) == "periodic tasks failed: prune"
    assert mount.backend.events_seen == ["prune", "count"]
    other = Mount(Shop)
    other.backend.failure = ReadOnlyError(ReadOnlyError.TEXT)
    await other.tick()


async def test_cached_values_follow_their_object() -> None:
    """A value stays until the object is written, here or on another node, even if it stays equal."""
    clock = MovableClock()
    mount = Mount(Shop, clock=clock)
    settings = mount.backend.settings
    values = []

    async def current() -> Client:
        value = mount.backend.client(await settings.get())
        assert mount.backend.client(await settings.get()) is value
        values.append(value)
        return value

    await mount.write("config", url="one")
    first = await current()
    await mount.write("config", url="one")
    await current()
    await mount.backend.invalidate_key("config")
    await current()
    await mount.write("config", url="two")
    assert (await current()).url == "two"
    await mount.backend.settings.put(Settings(url="two"))
    await current()
    assert len({id(value) for value in values}) == 5
    await mount.tick()
    assert first.closed == 0
    clock.tick(120)
    await mount.tick()
    await mount.backend.cleanup()
    assert [value.closed for value in values] == [1] * 5


async def test_cached_values_where_caches_are_off() -> None:
    """A value stays as long as what is stored does: what was fetched is not fetched for each request."""
    mount = Mount(Shop)

    async def caching_disabled() -> bool:
        return True

    mount.backend.system.caching_disabled = caching_disabled  # type: ignore[method-assign]
    await mount.backend.initialize()
    await mount.write("config", url="one")
    await mount.write("item/a", tags="x")
    first = mount.backend.client(await mount.backend.settings.get())
    shelf = mount.backend.shelf.each(await mount.backend.items.all())["a"]
    assert mount.backend.client(await mount.backend.settings.get()) is first
    assert mount.backend.shelf.each(await mount.backend.items.all())["a"] is shelf
    entry = await mount.storage.get("config")
    assert entry is not None
    await mount.storage.put(StorageEntry("config", entry.value.replace(b"one", b"two")))
    assert mount.backend.client(await mount.backend.settings.get()).url == "two"
    await mount.write("config", url="two")
    assert (await mount.backend.settings.get()).url == "two"


class Fetching(Backend, name="fetching"):
    """A backend whose rule fetches something."""

    settings = Singleton(Settings, "config")

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fetched: list[Client] = []

    @cached
    def client(self, settings: Settings) -> Client:
        """Make a client."""
        return Client("made")

    @settings.on_write
    async def fetch(self, write: Write[Settings]) -> None:
        """Fetch, then perhaps refuse."""
        self.fetched.append(Client(write.new.url))
        write.cache(self.client, self.fetched[-1])
        if write.new.url == "bad":
            raise UserError("bad")


async def test_values_that_a_rule_has_fetched() -> None:
    """They serve the object that was written, and no other; each is closed once."""
    clock = MovableClock()
    mount = Mount(Fetching, clock=clock)
    backend = mount.backend
    await mount.write("config", url="one")
    assert backend.client(await backend.settings.get()) is backend.fetched[0]
    with pytest.raises(UserError):
        await mount.write("config", url="bad")
    assert backend.client(await backend.settings.get()) is backend.fetched[0]
    assert backend.fetched[1].closed == 1
    await mount.write("config", url="two")
    await mount.write("config", url="three")
    assert backend.client(await backend.settings.get()) is backend.fetched[3]
    await mount.write("config", url="four")
    await backend.invalidate_key("config")
    assert backend.client(await backend.settings.get()).url == "made"
    mount.storage.failure = StorageError("no")
    with pytest.raises(StorageError):
        await mount.write("config", url="five")
    mount.storage.failure = None
    for _ in range(2):
        clock.tick(120)
        await mount.tick()
    assert [value.closed for value in backend.fetched] == [1] * 6
    await mount.write("config", url="six")
    await backend.cleanup()
    assert [value.closed for value in backend.fetched] == [1] * 7


async def test_cached_values_of_each_object() -> None:
    """A value for each; those whose object changed or is gone are replaced, the others stay."""
    clock = MovableClock()
    mount = Mount(Shop, clock=clock)
    items, shelf = mount.backend.items, mount.backend.shelf
    for name in "abc":
        await mount.write(f"item/{name}", tags=name)
    before = shelf.each(await items.all())
    assert [value.url for value in before.values()] == ["a", "b", "c"]
    assert shelf.each(await items.all()) is before
    await mount.write("item/b", tags="x")
    await mount.delete("item/c")
    after = shelf.each(await items.all())
    assert list(after) == ["a", "b"]
    assert after["a"] is before["a"]
    assert after["b"].url == "x"
    clock.tick(120)
    await mount.tick()
    assert [value.closed for value in before.values()] == [0, 1, 1]
    await mount.backend.cleanup()
    assert [after["a"].closed, after["b"].closed] == [1, 1]


def test_definitions_that_cannot_work() -> None:
    """Mistakes show when the class is defined, not when a request comes."""
    for version in ("1.2", "one", "v1.2.x"):
        with pytest.raises(TypeError, match="version"):
            type("Bad", (Backend,), {}, name="bad", version=version)
    for name in ("my method!", "a b", "-a", "a/b", "ä"):
        with pytest.raises(TypeError, match="unlike"):
            type("Bad", (Backend,), {}, name=name)
    with pytest.raises(TypeError, match="hides a part of Backend"):
        type("Bad", (Backend,), {"name": Singleton(Settings, "x")}, name="bad")
    with pytest.raises(TypeError, match="never reached"):
        mount_of(Echo(path="role/{name}"), Echo(path="role/{name}"))
    with pytest.raises(TypeError, match="never reached"):
        type("Bad", (Backend,), {"a": Collection(Item, "x/{name}"), "b": Echo(path="x/all")})
    with pytest.raises(TypeError, match="not fields"):
        mount_of(Echo(path="a/{other}"))
    with pytest.raises(TypeError, match="open without a token"):
        mount_of(Echo(path="echo/x-{name}", unauthenticated=True))
    with pytest.raises(TypeError, match="hides a part of Backend"):
        type("Bad", (Backend,), {"objects": Singleton(Settings, "x")})
    with pytest.raises(TypeError, match="plain method"):

        @cached
        async def make(self: Any, settings: Settings) -> None: ...

    for interval in ("0", "-1h", "soon"):
        with pytest.raises(ValueError):
            every(interval)


def test_specific_paths_may_come_first() -> None:
    """A fixed path before a template is reached, and so is the template."""
    kind = type("Good", (Backend,), {"a": Echo(path="x/all"), "b": Collection(Item, "x/{name}")})
    assert isinstance(kind, type)
    found = kind.route_table.find("x/all")  # type: ignore[attr-defined]
    assert found[1] == {}


def test_subclasses_inherit_and_replace() -> None:
    """A subclass serves what its base declares, and its own in place of the same attribute."""

    class Other(Shop, name="other"):
        settings = Singleton(Settings, "settings")

    paths = [route.path.text for route in Other.route_table.routes]
    assert paths == ["item", "item/{name}", "settings"]
