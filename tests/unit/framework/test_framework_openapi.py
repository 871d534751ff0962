"""OpenAPI documents: the rules of the SDK, schemas in place, and a validator's word for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import pytest
from factories import Mount
from openapi_spec_validator import OpenAPIV30SpecValidator

from authkit.errors import SystemViewError
from authkit.framework import (
    KV,
    Backend,
    Bool,
    Cidrs,
    Collection,
    CommaInts,
    CommaList,
    Float,
    Headers,
    Int,
    List,
    Listing,
    LowerStr,
    Map,
    Model,
    Name,
    PathTemplate,
    ResponseInfo,
    Seconds,
    Secret,
    SignedSeconds,
    Singleton,
    Str,
    StrList,
    Timestamp,
    delete,
    field,
    list_,
    patch,
    read,
    route,
    write,
)
from authkit.framework.documents.help_requests import HelpPages
from authkit.framework.documents.openapi import read_prefix
from authkit.framework.documents.schemas import body_schema, field_schema, response_schema
from authkit.framework.fields.schema import build_schema
from authkit.logical import BackendType, Operation, PluginEnvironment, Request


class Settings(Model):
    """Set everything
    up.
    """

    url: Str = field(help="Where\n it is.")
    key: Secret = field(default="hidden")
    token_ttl: Seconds = field(default="1h")
    ttl: Seconds = field(default=0, alias_of="token_ttl")
    mode: Literal["strict", "loose"] = "strict"


async def _is_there(self: Any, id: Str) -> bool:
    return False


class Shop(Backend, name="shop"):
    """A shop."""

    backend_type = BackendType.CREDENTIAL
    settings = Singleton(Settings, "config")
    items = Collection(Settings, "item/{name}")

    @write("enter/{id}/now", unauthenticated=True, examples=[{"pin": "1234"}, {"pin": "5678"}])
    async def enter(
        self, id: LowerStr, pin: Secret, note: Annotated[Str, field(help="A note.")] = ""
    ) -> None:
        """Enter.

        With a pin.
        """

    @read("thing/{id}", responses={200: ResponseInfo(fields=Settings.schema), 404: "Nothing there."})
    async def show(self, id: Str, verbose: Bool = False) -> None:
        """Show a thing."""

    @write("thing/{id}", exists=_is_there, deprecated=True, summary="Put a thing.", description="Anywhere.")
    async def put(self, id: Str, text: Str) -> None:
        """Not shown."""

    @patch("thing/{id}")
    async def change(self, id: Str, text: Str, size: Int = 3) -> None:
        """Change a thing."""

    @delete("thing/{id}")
    async def drop(self, id: Str) -> None:
        """Drop a thing."""

    @list_("thing", responses={200: ResponseInfo(example={"keys": ["a"]}), 404: "None."})
    async def things(self) -> Listing:
        """List things."""
        return Listing([])

    @write("rotate", sudo=True)
    async def rotate(self) -> None:
        """Rotate."""

    @write("anything", arbitrary_input=True)
    async def anything(self) -> None:
        """Take anything."""

    @read(PathTemplate.from_regex(r"creds(?:/(?P<name>\w+))?"))
    async def creds(self, name: Str = "") -> None:
        """Make credentials."""

    @read(PathTemplate.from_regex("raw/[a-z]+"))
    async def raw(self) -> None:
        """Take what no document can say."""

    @read("a-b")
    async def one(self) -> None:
        """Share an id."""

    @read("a/b")
    async def other(self) -> None:
        """Share an id."""

    @route("login", Operation.RESOLVE_ROLE, Operation.ALIAS_LOOKAHEAD)
    async def internal(self) -> None:
        """Answer hosts alone."""


async def document(
    path: str = "", *, prefix: Any = "shop", mount: Mount[Any] | None = None
) -> Mapping[str, Any]:
    """The document beside a help page."""
    mount = mount or Mount(Shop)
    response = await mount.request(Operation.HELP, path, {"requestResponsePrefix": prefix})
    assert response is not None
    assert response.data is not None
    assert response.data["see_also"] is None
    found: Mapping[str, Any] = response.data["openapi"]
    return found


async def test_the_document_is_valid() -> None:
    """The whole one and each part pass a validator, and nothing refers to anything."""
    for path in (
        "",
        "config",
        "item",
        "item/a",
        "enter/a/now",
        "thing/a",
        "rotate",
        "creds",
        "raw/a",
        "login",
    ):
        found = await document(path)
        assert [error.message for error in OpenAPIV30SpecValidator(dict(found)).iter_errors()] == []
        assert "$ref" not in repr(found)


async def test_the_frame() -> None:
    """Version, title and licence are those of hosts' own documents."""
    found = await document()
    assert found["openapi"] == "3.0.2"
    assert found["info"]["title"] == "HashiCorp Vault API"
    assert found["info"]["version"] == "1.21.1"
    assert found["info"]["license"]["name"] == "Mozilla Public License 2.0"
    assert found["components"] == {"schemas": {}}
    assert list(found["paths"]) == [
        "/config",
        "/item/",
        "/item/{name}",
        "/enter/{id}/now",
        "/thing/{id}",
        "/thing/",
        "/rotate",
        "/anything",
        "/creds/{name}",
        "/creds",
        "/^raw/[a-z]+$",
        "/a-b",
        "/a/b",
        "/login",
    ]


async def test_a_path_with_every_operation() -> None:
    """Create and update are one POST; fields outside the path are body or query, each with its own."""
    paths = (await document("thing/x"))["paths"]
    assert list(paths) == ["/thing/{id}"]
    item = paths["/thing/{id}"]
    assert item["description"] == "Show a thing."
    assert item["x-vault-createSupported"] is True
    assert item["parameters"] == [
        {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}
    ]
    assert item["get"]["operationId"] == "shop-read-thing-id"
    assert item["get"]["tags"] == ["auth"]
    assert item["get"]["parameters"] == [
        {"name": "verbose", "in": "query", "schema": {"type": "boolean", "default": False}}
    ]
    assert item["get"]["responses"]["404"] == {"description": "Nothing there."}
    shown = item["get"]["responses"]["200"]["content"]["application/json"]["schema"]["properties"]
    assert shown["token_ttl"] == {"type": "integer"}
    assert shown.keys() == {"url", "token_ttl", "mode"}
    assert item["post"]["operationId"] == "shop-write-thing-id"
    assert (item["post"]["summary"], item["post"]["description"]) == ("Put a thing.", "Anywhere.")
    assert item["post"]["deprecated"] is True
    assert item["post"]["requestBody"] == {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "properties": {"text": {"type": "string"}},
                    "required": ["text"],
                }
            }
        },
    }
    # A patch needs nothing and resets nothing.
    assert item["patch"]["requestBody"]["content"]["application/merge-patch+json"]["schema"] == {
        "type": "object",
        "properties": {"size": {"type": "integer"}, "text": {"type": "string"}},
    }
    assert item["delete"]["responses"] == {"204": {"description": "empty body"}}


async def test_lists() -> None:
    """A list has a path of its own, and a parameter that makes it one."""
    item = (await document("item"))["paths"]["/item/"]
    assert item.keys() == {"description", "get"}
    assert item["get"]["operationId"] == "shop-list-item"
    assert item["get"]["parameters"][0] == {
        "name": "list",
        "in": "query",
        "description": "Must be set to `true`",
        "required": True,
        "schema": {"type": "string", "enum": ["true"]},
    }
    schema = item["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert schema["properties"]["keys"] == {"type": "array", "items": {"type": "string"}}
    declared = (await document("thing"))["paths"]["/thing/"]["get"]["responses"]
    assert declared["200"]["content"] == {"application/json": {"schema": {"example": {"keys": ["a"]}}}}
    assert declared["404"] == {"description": "None."}


async def test_special_paths_show() -> None:
    """A reader sees which path needs sudo, and which needs no token."""
    paths = (await document())["paths"]
    assert paths["/rotate"]["x-vault-sudo"] is True
    assert "requestBody" not in paths["/rotate"]["post"]
    assert paths["/enter/{id}/now"]["x-vault-unauthenticated"] is True
    assert "x-vault-unauthenticated" not in paths["/rotate"]


async def test_bodies() -> None:
    """Secrets are marked, the first example is the example, anything goes where anything does."""
    paths = (await document())["paths"]
    schema = paths["/enter/{id}/now"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert schema["properties"]["pin"] == {
        "type": "string",
        "x-vault-displayAttrs": {"sensitive": True},
    }
    assert schema["properties"]["note"] == {"type": "string", "description": "A note.", "default": ""}
    assert schema["required"] == ["pin"]
    assert schema["example"] == {"pin": "1234"}
    schema = paths["/anything"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert schema == {"type": "object", "additionalProperties": True}


async def test_stored_objects() -> None:
    """Every field of a model is in the body: defaults, choices, older names, the group of token settings."""
    item = (await document("config"))["paths"]["/config"]
    assert item["description"] == "Set everything"
    assert "parameters" not in item["get"]
    schema = item["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert schema["required"] == ["url"]
    fields = schema["properties"]
    assert fields["url"] == {"type": "string", "description": "Where it is."}
    assert fields["key"] == {"type": "string", "x-vault-displayAttrs": {"sensitive": True}}
    assert fields["token_ttl"] == {
        "type": "string",
        "format": "duration",
        "default": "3600s",
        "x-vault-displayAttrs": {"group": "Tokens"},
    }
    assert fields["ttl"]["deprecated"] is True
    assert "default" not in fields["ttl"]
    assert fields["mode"] == {"type": "string", "enum": ["strict", "loose"], "default": "strict"}


async def test_variants_of_a_regex() -> None:
    """Each path that a regex stands for is described; a capture is no field where it is absent."""
    paths = (await document())["paths"]
    assert [each["name"] for each in paths["/creds/{name}"]["parameters"]] == ["name"]
    assert "parameters" not in paths["/creds"]
    assert "parameters" not in paths["/creds"]["get"]
    assert paths["/creds"]["get"]["operationId"] == "shop-read-creds"
    assert paths["/creds/{name}"]["get"]["operationId"] == "shop-read-creds-name"
    assert paths["/^raw/[a-z]+$"] == {"description": "Take what no document can say."}
    assert paths["/login"] == {"description": "Answer hosts alone."}


async def test_operation_ids_are_unique() -> None:
    """Two paths whose words are alike still have two ids."""
    paths = (await document())["paths"]
    ids = [
        each["operationId"]
        for item in paths.values()
        for each in item.values()
        if isinstance(each, dict) and "operationId" in each
    ]
    assert len(ids) == len(set(ids))
    assert paths["/a/b"]["get"]["operationId"] == "shop-read-a-b-2"


@pytest.mark.parametrize("prefix", [None, 1, "", "x" * 129, "a b", "é", ["a"], "{}"])
async def test_odd_prefixes_are_none(prefix: object) -> None:
    """What a client may put there instead of a mount's type has no effect."""
    assert read_prefix(prefix) == ""
    found = await document("rotate", prefix=prefix)
    assert found["paths"]["/rotate"]["post"]["operationId"] == "write-rotate"


TYPES: list[tuple[Any, dict[str, Any]]] = [
    (Str, {"type": "string"}),
    (str, {"type": "string"}),
    (Headers, {"type": "string"}),
    (Name, {"type": "string", "pattern": r"\w([\w.-]*\w)?"}),
    (LowerStr, {"type": "string", "format": "lowercase"}),
    (Int, {"type": "integer"}),
    (Int | None, {"type": "integer"}),
    (Float, {"type": "number", "format": "float"}),
    (Bool, {"type": "boolean"}),
    (Seconds, {"type": "string", "format": "duration"}),
    (SignedSeconds, {"type": "string", "format": "duration"}),
    (Timestamp, {"type": "string", "format": "date-time"}),
    (Map, {"type": "object", "format": "map"}),
    (KV, {"type": "object", "format": "kvpairs"}),
    (List, {"type": "array", "items": {"type": "object"}}),
    (StrList, {"type": "array", "items": {"type": "string"}}),
    (CommaList, {"type": "array", "items": {"type": "string"}}),
    (Cidrs, {"type": "array", "items": {"type": "string"}}),
    (CommaInts, {"type": "array", "items": {"type": "integer"}}),
    (Literal["a", "b"], {"type": "string", "enum": ["a", "b"]}),
    (Secret, {"type": "string", "x-vault-displayAttrs": {"sensitive": True}}),
]


@pytest.mark.parametrize(("annotation", "schema"), TYPES)
def test_types(annotation: Any, schema: dict[str, Any]) -> None:
    """Each field type is what the SDK calls it."""
    assert field_schema(build_schema("x", annotation)) == schema


def test_fields_keep_the_order_of_their_declaration() -> None:
    """Forms are made of it. What is required is sorted, as by the SDK."""
    fields = [
        build_schema("zeta", Str, field(required=True)),
        build_schema("mid", Int, 0),
        build_schema("alpha", Str, field(required=True)),
    ]
    schema = body_schema(fields)
    assert schema is not None
    assert list(schema["properties"]) == ["zeta", "mid", "alpha"]
    assert schema["required"] == ["alpha", "zeta"]


def test_durations_are_shown_in_seconds() -> None:
    """What a request says as text is a number in an answer; what is never shown is not described."""
    fields = [build_schema("b", Seconds), build_schema("a", Secret), build_schema("c", Str)]
    properties = response_schema(fields)["properties"]
    assert properties == {"b": {"type": "integer"}, "c": {"type": "string"}}


async def test_a_host_that_tells_no_version() -> None:
    """The page is there all the same: with an error, without an answer, with an empty one."""
    mount = Mount(Shop)
    request = Request(operation=Operation.HELP)

    async def refuse() -> PluginEnvironment:
        raise SystemViewError("no")

    async def hang() -> PluginEnvironment:
        import asyncio

        await asyncio.Event().wait()
        raise AssertionError

    async def be_empty() -> PluginEnvironment:
        return PluginEnvironment()

    manual = HelpPages("", Shop.route_table, BackendType.CREDENTIAL, version_timeout=0.001)
    for answer in (refuse, hang, be_empty):
        mount.system.plugin_env = answer  # type: ignore[method-assign]
        response = await manual.explain_all(mount.system, request)
        assert response.data is not None
        assert response.data["openapi"]["info"]["version"] == "unknown"


async def test_documents_are_made_once_for_each_prefix() -> None:
    """What is static is kept, for a bounded number of prefixes, and never mixed up."""
    mount = Mount(Shop)
    first = await document(mount=mount)
    mount.system.version = "2.0.0"
    second = await document(mount=mount)
    assert second["info"]["version"] == "2.0.0"
    assert second["paths"] == first["paths"]
    assert second["paths"]["/config"] is first["paths"]["/config"]
    for number in range(20):
        other = await document(prefix=f"p{number}")
        assert other["paths"]["/rotate"]["post"]["operationId"] == f"p{number}-write-rotate"


async def test_an_answer_that_is_not_json() -> None:
    """Its media type is in the document without a schema: a page for a browser."""

    class Pages(Backend, name="pages"):
        """Shows a page."""

        @read("page", responses={200: ResponseInfo(description="A page.", media_type="text/html")})
        async def page(self) -> None:
            """Show it."""

    found = await document(mount=Mount(Pages))
    OpenAPIV30SpecValidator(found).validate()
    answer = found["paths"]["/page"]["get"]["responses"]["200"]
    assert answer == {"description": "A page.", "content": {"text/html": {"schema": {}}}}
