"""Handlers of an author's own: where their parameters come from, what they answer, what is refused."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Annotated, Any, Literal

import pytest
from factories import Mount

from authkit.errors import (
    FieldError,
    InternalError,
    ReadOnlyError,
    SystemViewError,
    UnsupportedOperationError,
    UserError,
)
from authkit.framework import (
    Answer,
    Backend,
    Bool,
    Call,
    Collection,
    Int,
    Listing,
    LowerStr,
    Model,
    PathTemplate,
    Raw,
    Redirect,
    Seconds,
    Singleton,
    Str,
    delete,
    field,
    list_,
    patch,
    read,
    route,
    write,
)
from authkit.logical import Auth, Operation, ReplicationState, Request, Response


class Settings(Model):
    """Settings."""

    greeting: Str = "hello"


class Library(Backend, name="library"):
    """A library."""

    settings = Singleton(Settings, "config", missing="no settings yet")

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.answer: Any = None
        self.kept: dict[str, str] = {}

    async def is_kept(self, id: LowerStr) -> bool:
        """Say whether there is such a book."""
        return id in self.kept

    @read("book/{id}", responses={200: "The book."})
    async def show(self, id: LowerStr, verbose: Bool = False) -> dict[str, Any] | None:
        """Show a book."""
        return {"text": self.kept[id], "verbose": verbose} if id in self.kept else None

    @write("book/{id}", exists=is_kept)
    def keep(self, call: Call, id: LowerStr, text: Annotated[Str, field(help="The text.")]) -> None:
        """Keep a book, in a thread."""
        self.kept[id] = f"{call.request.operation.value}: {text}"

    @patch("book/{id}")
    async def change(self, call: Call, id: LowerStr, text: Str = "") -> Answer:
        """Change a book."""
        return Answer({"nulls": sorted(call.data.nulls)}, warnings=["changed"])

    @delete("book/{id}")
    async def burn(self, id: LowerStr) -> None:
        """Burn a book."""
        del self.kept[id]

    @list_("book")
    async def books(self) -> Listing:
        """List the books."""
        return Listing(sorted(self.kept), {key: {"size": len(text)} for key, text in self.kept.items()})

    @read("greet")
    async def greet(self, settings: Settings) -> Settings:
        """Greet."""
        return settings

    @read("any")
    async def any(self) -> Any:
        """Answer whatever the test wants."""
        return self.answer

    @write("open", unauthenticated=True)
    async def open(self, text: Str = "") -> Any:
        """Answer whatever the test wants, to everybody."""
        return self.answer

    @route(
        PathTemplate.from_regex(r"maybe(?:/(?P<tail>.+))?"), Operation.READ, Operation.UPDATE, forward=True
    )
    async def maybe(self, call: Call, tail: Str = "default") -> dict[str, Any]:
        """Show what was captured."""
        return {"tail": tail, "operation": call.request.operation.value}

    @route("odd", Operation.HEADER, Operation.SCAN, arbitrary_input=True)
    async def odd(self) -> dict[str, Any]:
        """Serve rare operations."""
        return {"odd": True}


async def test_a_path_with_every_operation() -> None:
    """Handlers of one path share its route; each has its own fields."""
    mount = Mount(Library)
    assert await mount.read("book/a") is None
    assert await mount.write("book/A", text="x") is None
    assert mount.backend.kept == {"a": "create: x"}
    await mount.write("book/a", text="y")
    response = await mount.request(Operation.READ, "book/a", {"verbose": "true"})
    assert response is not None
    assert response.data == {"text": "update: y", "verbose": True}
    response = await mount.request(Operation.PATCH, "book/a", {"text": None})
    assert response is not None
    assert (response.data, response.warnings) == ({"nulls": ["text"]}, ("changed",))
    response = await mount.request(Operation.LIST, "book/")
    assert response is not None
    assert response.data == {"keys": ["a"], "key_info": {"a": {"size": 9}}}
    assert await mount.delete("book/a") is None
    assert await mount.list("book/") == []


async def test_fields_that_are_missing_or_wrong() -> None:
    """A field without default is needed; one that does not convert is named."""
    mount = Mount(Library)
    with pytest.raises(UserError, match="missing text"):
        await mount.write("book/a")
    with pytest.raises(FieldError):
        await mount.request(Operation.READ, "book/a", {"verbose": "perhaps"})
    assert mount.backend.kept == {}


async def test_open_paths_are_bounded() -> None:
    """What anybody may send is limited in size unless the author says otherwise."""
    with pytest.raises(FieldError, match="longer"):
        await Mount(Library).write("open", text="x" * 70_000)


async def test_objects_are_loaded() -> None:
    """A parameter of a singleton's model has the stored object; without one the request is refused."""
    mount = Mount(Library)
    with pytest.raises(UserError, match="no settings yet"):
        await mount.read("greet")
    await mount.write("config", greeting="hi")
    assert await mount.read("greet") == {"greeting": "hi"}


async def test_optional_groups_of_a_regex() -> None:
    """A group that took no part is empty and hides the body's field, with the warning of the SDK."""
    mount = Mount(Library)
    assert await mount.read("maybe/a/b") == {"tail": "a/b", "operation": "read"}
    response = await mount.request(Operation.UPDATE, "maybe", {"tail": "body"})
    assert response is not None
    assert response.data == {"tail": "", "operation": "update"}
    (warning,) = response.warnings
    assert warning == (
        "Endpoint replaced the value of these parameters with the values captured from the endpoint's "
        "path: [tail]"
    )
    response = await mount.request(Operation.UPDATE, "maybe", {"tail": None})
    assert response is not None
    assert response.warnings == ()


async def test_rare_operations() -> None:
    """HEAD and the recursive list are operations of their own; a read does not stand in for them."""
    mount = Mount(Library)
    assert await mount.request(Operation.HEADER, "odd") == Response(data={"odd": True})
    assert await mount.request(Operation.SCAN, "odd/", {"x": 1}) == Response(data={"odd": True})
    for operation, path in [(Operation.HEADER, "greet"), (Operation.READ, "odd"), (Operation.ROTATE, "odd")]:
        with pytest.raises(UnsupportedOperationError):
            await mount.request(operation, path)


FORWARDED = [
    (ReplicationState.PERFORMANCE_STANDBY, False, True),
    (ReplicationState.PERFORMANCE_STANDBY | ReplicationState.PERFORMANCE_PRIMARY, True, True),
    (ReplicationState.PERFORMANCE_SECONDARY, False, True),
    (ReplicationState.PERFORMANCE_SECONDARY, True, False),
    (ReplicationState.PERFORMANCE_PRIMARY, False, False),
    (ReplicationState.DR_SECONDARY, False, False),
]


@pytest.mark.parametrize(("state", "local", "forwarded"), FORWARDED)
async def test_forwarding(state: ReplicationState, local: bool, forwarded: bool) -> None:
    """A marked operation is refused where this node may not write, in the words that hosts look for."""
    mount = Mount(Library)

    async def replication_state() -> ReplicationState:
        return state

    async def local_mount() -> bool:
        return local

    mount.system.replication_state = replication_state  # type: ignore[method-assign]
    mount.system.local_mount = local_mount  # type: ignore[method-assign]
    if forwarded:
        with pytest.raises(ReadOnlyError, match=r"^cannot write to readonly storage$"):
            # The field is wrong as well, which nobody has looked at yet.
            await mount.request(Operation.UPDATE, "maybe", {"tail": {}})
    else:
        assert await mount.read("maybe/x") == {"tail": "x", "operation": "read"}
    assert await mount.request(Operation.SCAN, "odd/") is not None


async def test_forwarding_is_a_guess_no_more() -> None:
    """A host that cannot say gets its answer here; storage refuses by itself what must not be."""
    mount = Mount(Library)

    async def replication_state() -> ReplicationState:
        raise SystemViewError("no")

    mount.system.replication_state = replication_state  # type: ignore[method-assign]
    assert await mount.read("maybe/x") is not None


@pytest.mark.parametrize(
    ("answer", "response"),
    [
        (None, None),
        ({}, Response(data={})),
        ({"error": None}, Response(data={"error": None})),
        ({"error": "x", "more": 1}, Response(data={"error": "x", "more": 1})),
        (Listing([]), None),
        (Listing(["b", "a"]), Response(data={"keys": ["b", "a"]})),
        (Listing(["a"], {"b": 1}), Response(data={"keys": ["a"]})),
        (Redirect("https://a.test/x?y=z"), Response(redirect="https://a.test/x?y=z")),
        (Redirect("/ui/x"), Response(redirect="/ui/x")),
        (Answer(), Response()),
        (Answer(Settings(greeting="x")), Response(data={"greeting": "x"})),
        (
            Answer(headers={"X-A": "1", "X-B": ["2", "3"]}),
            Response(headers={"X-A": ("1",), "X-B": ("2", "3")}),
        ),
        (Response(data={"a": 1}, warnings=["w"]), Response(data={"a": 1}, warnings=["w"])),
        (Response.error("told so"), Response.error("told so")),
    ],
)
async def test_answers(answer: Any, response: Response | None) -> None:
    """Each form of an answer is what hosts make the same thing of."""
    mount = Mount(Library)
    mount.backend.answer = answer
    assert await mount.request(Operation.READ, "any") == response


async def test_raw_and_wrapped_answers() -> None:
    """A raw answer has no data and gets no warnings; a wrapped one says how long."""
    mount = Mount(Library)
    mount.backend.answer = Raw(
        "é", "text/plain", 201, cache_control="no-store", www_authenticate="x", headers={"X-A": "1"}
    )
    response = await mount.request(Operation.READ, "any", {"odd": 1})
    assert response is not None
    assert response.raw is not None
    assert (response.raw.body, response.raw.status) == ("é".encode(), 201)
    assert (response.raw.content_type, response.raw.cache_control) == ("text/plain", "no-store")
    assert (response.headers, response.warnings, response.data) == ({"X-A": ("1",)}, (), None)
    mount.backend.answer = Answer({"a": 1}, wrap_ttl=timedelta(minutes=5))
    response = await mount.request(Operation.READ, "any")
    assert response is not None
    assert response.wrap_info is not None
    assert response.wrap_info.ttl == timedelta(minutes=5)
    mount.backend.answer = Redirect("/x")
    assert await mount.request(Operation.READ, "any", {"odd": 1}) == Response(redirect="/x")


@pytest.mark.parametrize(
    "answer", [1, "text", ["a"], object(), True, b"x", {"error": "x"}, Answer({"error": "x", "data": 1})]
)
async def test_what_is_no_answer(answer: Any) -> None:
    """Something else, and data that would arrive as an error, is a fault with a neutral text."""
    mount = Mount(Library)
    mount.backend.answer = answer
    with pytest.raises(InternalError) as caught:
        await mount.request(Operation.READ, "any")
    assert "Library" not in str(caught.value)


async def test_only_open_paths_grant() -> None:
    """A grant from a path that needs a token is a fault here, before the host sees it."""
    mount = Mount(Library)
    mount.backend.answer = Response(auth=Auth())
    with pytest.raises(InternalError):
        await mount.request(Operation.READ, "any")
    assert await mount.request(Operation.UPDATE, "open") == Response(auth=Auth())


MISTAKES: list[Callable[[], object]] = [
    lambda: Listing([1]),  # type: ignore[list-item]
    lambda: Raw("x", status=99),
    lambda: Raw("x", status=204),
    lambda: Raw("x", ""),
    lambda: Raw("x", "text/plain\r\nX: y"),
    lambda: Raw("x", pragma="a\nb"),
    lambda: Raw("x", headers={"X Y": "1"}),
    lambda: Answer(headers={"X": "1\n2"}),
    lambda: Answer(wrap_ttl=timedelta(0)),
    lambda: Redirect(""),
    lambda: Redirect("//evil.test"),
    lambda: Redirect("/\\evil.test"),
    lambda: Redirect("javascript:alert(1)"),
    lambda: Redirect("https:///x"),
    lambda: Redirect("https://a.test/\r\nX: y"),
    lambda: Redirect("relative"),
]


@pytest.mark.parametrize("mistake", MISTAKES)
def test_answers_that_no_host_could_send(mistake: Callable[[], object]) -> None:
    """They are refused where they are made."""
    with pytest.raises(ValueError):
        mistake()


async def test_existence_checks() -> None:
    """A check says yes or no; anything else is a fault. A path without one is never created."""

    class Careless(Backend):
        async def is_there(self, id: Str) -> Any:
            """Say nothing."""

        @write("x/{id}", exists=is_there)
        async def put(self, id: Str) -> None:
            """Put."""

    check = Request(operation=Operation.UPDATE, path="x/a")
    with pytest.raises(InternalError):
        await Mount(Careless).backend.handle_existence_check(check)
    assert (
        await Mount(Library).backend.handle_existence_check(Request(operation=Operation.UPDATE, path="any"))
        is None
    )


def test_handlers_stay_methods() -> None:
    """Called on an instance, a decorated method is the method."""
    backend = Mount(Library).backend
    backend.keep(Call(request=Request(operation=Operation.CREATE)), "a", "x")
    assert backend.kept == {"a": "create: x"}


class Unknown:
    """A class that stands for nothing."""


class Sekret:
    """A class of the author's own whose name is nearly that of a field type."""


def _define(handler: Any, path: str | PathTemplate = "x/{id}", **options: Any) -> type[Backend]:
    return type("Bad", (Backend,), {"handler": read(path, **options)(handler)})


async def _no_annotation(self: Any, id) -> None: ...  # type: ignore[no-untyped-def]
async def _nothing_known(self: Any, id: Unknown) -> None: ...
async def _dictionary(self: Any, id: dict[str, str]) -> None: ...
async def _list(self: Any, id: list[str]) -> None: ...
async def _bytes(self: Any, id: bytes) -> None: ...
async def _helped(self: Any, id: Annotated[bytes, field(help="A name.")]) -> None: ...
async def _day(self: Any, id: date) -> None: ...
async def _two_types(self: Any, id: int | str) -> None: ...
async def _numbers(self: Any, id: Literal[1]) -> None: ...
async def _similar(self: Any, id: Sekret) -> None: ...
async def _misspelt(self: Any, id: Secnds) -> None: ...  # type: ignore[name-defined]  # noqa: F821
async def _no_capture(self: Any) -> None: ...
async def _many(self: Any, *id: Str) -> None: ...
async def _keywords(self: Any, id: Str, **more: Str) -> None: ...
async def _two_calls(self: Any, a: Call, b: Call, id: Str) -> None: ...
async def _bad_default(self: Any, id: Str, ttl: Seconds = "soon") -> None: ...  # type: ignore[assignment]
async def _no_object(self: Any, id: Str, settings: Settings) -> None: ...
async def _no_self() -> None: ...


@pytest.mark.parametrize(
    ("handler", "text"),
    [
        (_no_annotation, "_no_annotation: parameter 'id' has no annotation"),
        (
            _nothing_known,
            "'id' has an unknown annotation, Unknown: it takes a Call, the model of a Singleton or",
        ),
        (
            _nothing_known,
            r"or a field type\. Field types: Secret, .*CommaList, .*, a Literal of texts, a StrEnum",
        ),
        (_dictionary, r"annotation, dict.str, str.: .* a field type; did you mean Map, or KV for texts\?"),
        (_list, r"annotation, list.str.: .* a field type; did you mean CommaList, or StrList where"),
        (_bytes, r"annotation, bytes: .* a field type; did you mean Str or Secret\?"),
        (_helped, r"annotation, bytes: .* a field type; did you mean Str or Secret\?"),
        (_day, r"annotation, date: .* a field type; did you mean Timestamp\?"),
        (_two_types, r"int \| str: .* a field has one type, or one and None"),
        (_numbers, r"Literal\[1\]: .* a Literal has texts alone"),
        (_similar, r"annotation, Sekret: .*; did you mean 'Secret'\?"),
        (_misspelt, "name 'Secnds' is not defined; did you mean 'Seconds'?"),
        (_no_capture, "_no_capture has no parameter 'id', which the path 'x/{id}' captures"),
        (_many, r"_many: '\*id.*' is not a parameter"),
        (_keywords, r"_keywords: '\*\*more.*' is not a parameter"),
        (_two_calls, "_two_calls: parameter 'b' is a second call"),
        (_bad_default, "_bad_default: parameter 'ttl': .*default does not fit"),
        (_no_object, "_no_object: .* one singleton of Settings for parameter 'settings', it has 0"),
        (_no_self, "_no_self has no 'self'"),
        (Unknown, "is not a plain method"),
    ],
)
def test_signatures_that_cannot_work(handler: Any, text: str) -> None:
    """Class, method and parameter are named when the class is defined."""
    with pytest.raises(TypeError, match=f"^Bad.*{text}"):
        _define(handler)


async def _id(self: Any, id: Str) -> None: ...
async def _other_type(self: Any, id: Int) -> None: ...
async def _plain(self: Any) -> None: ...


def _class(**attributes: Any) -> Callable[[], object]:
    return lambda: type("Bad", (Backend,), attributes)


CONFLICTS: list[tuple[Callable[[], object], str]] = [
    (_class(a=read("x/{id}")(_id), b=read("x/{id}")(_id)), "two handlers for read"),
    (_class(a=field(help="x")), "Bad.a would have no effect: field\\(\\) is for a model"),
    (_class(a=read("x/{id}")(_id), b=write("x/{id}")(_other_type)), "'id' is of two types"),
    (
        _class(a=read("x/{id}")(_id), b=read("x/all")(_plain)),
        "'x/all' is never reached: 'x/{id}' comes first",
    ),
    (_class(a=read("x/{id:path}")(_id), b=read("x/a/b")(_plain)), "never reached"),
    (
        _class(a=read("x/{id}")(_id), b=read(PathTemplate.from_regex("x/(?:a|b)"))(_plain)),
        "never reached",
    ),
    (_class(a=read("x", sudo=True)(_plain), b=write("x")(_plain)), "or none, have the option 'sudo'"),
    (
        _class(a=read("x", unauthenticated=True)(_plain), b=delete("x")(_plain)),
        "the option 'unauthenticated'",
    ),
    (_class(a=route("x", Operation.CREATE)(_plain)), "defines a create operation but no existence check"),
    (
        _class(a=route("x", Operation.CREATE)(_plain), b=write("x")(_plain)),
        "defines a create operation but no existence check",
    ),
    (
        _class(a=list_(PathTemplate.from_regex("x/all"))(_plain)),
        "a list, to which hosts append a slash",
    ),
    (
        _class(a=write("x", exists=_plain)(_plain), b=route("x", Operation.READ, exists=_plain)(_plain)),
        "two existence checks",
    ),
    (_class(a=Collection(Settings, "x/{name}"), b=read("x/{id}")(_id)), "never reached"),
    (_class(a=Collection(Settings, "x/{name}"), b=list_("x")(_plain)), "two handlers for list"),
    (lambda: route("x")(_plain), "needs operations"),
    (lambda: route("x", Operation.RENEW)(_plain), "needs operations"),
    (lambda: route("x", Operation.HELP)(_plain), "needs operations"),
    (lambda: read("x", sudo=True, unauthenticated=True)(_plain), "not both"),
    (lambda: read("x", sudoo=True)(_plain), "no option 'sudoo'"),  # type: ignore[call-arg]
    (lambda: read("x", responses={1: "x"})(_plain), "not an HTTP status"),
]


@pytest.mark.parametrize(("define", "text"), CONFLICTS)
def test_declarations_that_contradict_each_other(define: Callable[[], object], text: str) -> None:
    """They are found when the class is defined, and say which path is at fault."""
    with pytest.raises(TypeError, match=text):
        define()


def test_a_list_and_an_object_of_one_name() -> None:
    """An object and the list below it share a path; hosts tell them apart by the slash."""

    class Both(Backend):
        items = Collection(Settings, "x/{name}")
        read_x = read("x")(_plain)

    (listing, _) = Both.route_table.routes
    assert listing.operations.keys() == {Operation.LIST, Operation.READ}
    assert listing.path.optional_slash


# --- fields of a model -------------------------------------------------------------------------


class BookFields(Model):
    """What somebody writes of a book."""

    id: Str = ""
    title: Str = field(missing="a book needs a title")
    pages: Int = 0


class Shelf(Backend, name="shelf"):
    """A shelf."""

    @write("books", fields=BookFields)
    async def add(self, call: Call) -> dict[str, Any]:
        """Add a book."""
        return dict(call.data.values)

    @write("books/{id}", fields=BookFields)
    async def change(self, call: Call, shout: Bool = False) -> dict[str, Any]:
        """Change a book."""
        return {**call.data.values, "shout": shout}


async def test_several_handlers_take_the_fields_of_one_model() -> None:
    """Those that the request set are in `call.data`, converted; the path's own win."""
    mount = Mount(Shelf)
    added = await mount.write("books", title="Faust", pages="12", unknown=1)
    assert added.data == {"title": "Faust", "pages": 12}
    assert "unknown" in added.warnings[0]
    changed = await mount.write("books/a", title="Faust", shout=True)
    assert changed.data == {"id": "a", "title": "Faust", "shout": True}


async def test_required_fields_of_a_model_are_needed() -> None:
    """As a parameter's would be."""
    with pytest.raises(UserError, match="a book needs a title"):
        await Mount(Shelf).write("books", pages=1)


async def test_documents_have_the_fields_of_a_model() -> None:
    """On the page, and for clients."""
    route, _ = Shelf.route_table.find("books/a") or pytest.fail("no such path")
    assert route.fields.keys() == {"id", "title", "pages", "shout"}
    assert (route.info(Operation.UPDATE).fields or {}).keys() == route.fields.keys()


class LibraryCall(Call, frozen=True, kw_only=True):
    """A call that knows the reader."""

    @property
    def reader(self) -> str:
        """Who reads."""
        return self.request.display_name


class Branch(Backend, name="branch"):
    """A branch of the library."""

    call_type = LibraryCall
    warns_without_answer = False
    grants_to_callers = True

    @read("card/id/{id}", "card/name/{name}")
    async def card(self, call: LibraryCall, id: Str = "", name: Str = "") -> dict[str, Any]:
        """Show a card."""
        return {"id": id, "name": name, "reader": call.reader}

    @write("shelve")
    async def shelve(self, call: Call, loud: Bool = False) -> None:
        """Shelve a book."""
        if loud:
            call.warn("not so loud")

    @write("join")
    async def join(self) -> Response:
        """Join."""
        return Response(auth=Auth(display_name="reader"))


async def test_one_handler_on_several_paths() -> None:
    """Each path is a route of its own; what it does not capture comes from the request."""
    mount = Mount(Branch)
    assert await mount.read("card/id/7") == {"id": "7", "name": "", "reader": ""}
    assert await mount.read("card/name/ann") == {"id": "", "name": "ann", "reader": ""}
    assert [route.path.text for route in Branch.route_table.routes][:2] == [
        "card/id/{id}",
        "card/name/{name}",
    ]
    with pytest.raises(TypeError, match="a handler needs a path"):
        read()


async def test_a_backend_with_calls_of_its_own() -> None:
    """Its handlers get them; a handler that asks for another kind of call is refused."""
    request = Request(operation=Operation.READ, path="card/id/7", display_name="ann")
    answer = await Mount(Branch).backend.handle_request(request)
    assert answer is not None
    assert answer.data == {"id": "7", "name": "", "reader": "ann"}
    with pytest.raises(TypeError, match="unknown annotation"):

        class Stray(Backend, name="stray"):
            @read("x")
            async def show(self, call: LibraryCall) -> None:
                """Show."""


async def test_warnings_without_an_answer() -> None:
    """A class can do without those of the framework; what its handlers say is always told."""
    mount = Mount(Branch)
    assert await mount.write("shelve", unknown=1) is None
    assert (await mount.write("shelve", loud=True)).warnings == ("not so loud",)


async def test_a_backend_that_may_grant_to_callers() -> None:
    """As a host's own backend of tokens does."""
    assert (await Mount(Branch).write("join")).auth == Auth(display_name="reader")
