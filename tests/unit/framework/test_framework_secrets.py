"""Secrets of stored objects: what a read shows, what a patch keeps, and where they go."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from factories import Mount

from authkit.errors import UserError
from authkit.framework import Backend, Collection, Int, Map, Model, Secret, Singleton, Str, field
from authkit.logical import Operation


class Server(Model):
    """A server that is told a password."""

    url: Str = field(default="", help="Where it is.")
    address: Str = field(default="", alias_of="url")
    note: Str = field(default="", help="Anything.")
    password: Secret = field(default="", goes_to=("url", "lookups.host"), help="Its password.")
    passphrase: Secret = field(default="", alias_of="password")
    lookups: Map = field(
        default={},
        shown_members=("kind", "host", "size"),
        kind_member="kind",
        goes_to=("url", "lookups.host"),
        help="More of it.",
    )


class Servers(Backend, name="servers"):
    """Servers."""

    config = Singleton(Server, "config")
    replaced = Singleton(Server, "replaced", replace=True)
    items = Collection(Server, "item/{name}", list_info=("url", "lookups"))


FULL = {
    "url": "https://a",
    "password": "pw-4711",
    "lookups": {"kind": "one", "host": "h", "token": "tk-4711", "size": 1},
}


@pytest.fixture
async def servers() -> Mount[Servers]:
    """A mount with one of each."""
    mount = Mount(Servers)
    for path in ("config", "replaced", "item/a"):
        await mount.write(path, FULL)
    return mount


async def stored(mount: Mount[Servers]) -> Server:
    """Return the configuration with its secrets."""
    return await mount.backend.config.get()


async def change(mount: Mount[Servers], operation: str, fields: dict[str, Any]) -> None:
    """Write or patch the configuration."""
    await mount.request(Operation.UPDATE if operation == "write" else Operation.PATCH, "config", fields)


async def patch(mount: Mount[Servers], **fields: Any) -> None:
    """Patch the configuration."""
    await change(mount, "patch", fields)


async def test_members_are_secret_unless_they_are_shown(servers: Mount[Servers]) -> None:
    """In reads and lists alike; all of them are stored."""
    shown = {"kind": "one", "host": "h", "size": 1}
    for path in ("config", "replaced", "item/a"):
        found = await servers.read(path)
        assert found is not None
        assert found["lookups"] == shown
    assert "4711" not in str(await servers.list("item/"))
    assert (await stored(servers)).lookups == FULL["lookups"]


async def test_attack_a_patch_of_the_kind_shows_the_secrets_of_another(servers: Mount[Servers]) -> None:
    """Neither is a member that this kind does not have shown, nor is it there any more."""
    await patch(servers, password=None, lookups={"kind": "two"})
    assert "4711" not in str(await servers.read("config"))
    assert (await stored(servers)).lookups == {"kind": "two"}


@pytest.mark.parametrize(
    ("change", "kept"),
    [
        ({"size": 2}, {"kind": "one", "host": "h", "token": "tk-4711", "size": 2}),
        ({"kind": "one"}, FULL["lookups"]),
        ({"kind": "two", "size": 3}, {"kind": "two", "size": 3}),
        ({"kind": None}, {}),
        ({"token": None}, {"kind": "one", "host": "h", "size": 1}),
        ({"kind": "two", "token": None}, {"kind": "two"}),
        (None, {}),
    ],
    ids=str,
)
async def test_what_a_patch_of_a_map_keeps(servers: Mount[Servers], change: Any, kept: Any) -> None:
    """Members are merged as long as the kind is the same."""
    await patch(servers, password=None, lookups=change)
    assert (await stored(servers)).lookups == kept


SENT_AGAIN = {
    "password": "must be sent again: this request changes 'url'",
    "lookups.token": "must be sent again",
}


@pytest.mark.parametrize("operation", ["write", "patch"])
@pytest.mark.parametrize(
    ("fields", "refused"),
    [
        ({"url": "https://evil"}, "password"),
        ({"address": "https://evil"}, "password"),
        ({"url": ""}, "password"),
        ({"url": "https://evil", "password": "pw-4711"}, "lookups.token"),
        ({"url": "https://evil", "password": "x", "lookups": {"kind": "one", "token": "y"}}, ""),
        ({"url": "https://evil", "passphrase": "x", "lookups": {"kind": "two"}}, ""),
        ({"url": "https://evil", "password": "x", "lookups": {}}, None),
        ({"url": "https://evil", "password": "", "lookups": [{"token": "y"}]}, ""),
        ({"url": "https://a", "note": "x"}, ""),
        ({"note": "x"}, ""),
    ],
    ids=str,
)
async def test_attack_a_changed_destination_keeps_the_secret(
    servers: Mount[Servers], operation: str, fields: dict[str, Any], refused: str | None
) -> None:
    """Whoever changes where a secret goes has to know it; a refusal changes nothing."""
    before = await stored(servers)
    if refused is None:
        # An empty map replaces the map in a write, and changes nothing in a patch.
        refused = "" if operation == "write" else "lookups.token"
    if not refused:
        await change(servers, operation, fields)
        return
    with pytest.raises(UserError, match=f"^'{refused}' {SENT_AGAIN[refused]}"):
        await change(servers, operation, fields)
    assert await stored(servers) == before


async def test_attack_a_changed_member_keeps_the_secret(servers: Mount[Servers]) -> None:
    """A member of a map may say where a secret goes as well."""
    for fields in ({"host": "evil"}, {"host": None}):
        with pytest.raises(UserError, match=r"^'password' must be sent again: this request changes 'lookups"):
            await patch(servers, lookups=fields)
        with pytest.raises(UserError, match=r"^'lookups.token' must be sent again"):
            await patch(servers, password="x", lookups=fields)
    await patch(servers, password="x", lookups={"host": "new", "token": "y"})


async def test_a_write_that_replaces_keeps_no_secret(servers: Mount[Servers]) -> None:
    """So it may name any place."""
    await servers.write("replaced", url="https://evil")
    assert (await servers.backend.replaced.get()).password == Secret("")


def test_declarations_of_secrets_that_cannot_work() -> None:
    """Only maps have members, only secrets go anywhere, and only to fields that there are."""
    wrong: list[tuple[Any, Any, str]] = [
        (Str, field(default="", shown_members=("a",)), "only maps have members"),
        (Int, field(default=0, kind_member="a"), "only maps have members"),
        (Str, field(default="", goes_to=("url",)), "goes_to is for a Secret"),
        (Secret, field(default="", goes_to=("nowhere",)), "goes_to names 'nowhere', which is not a field"),
        (Map, field(default={}, shown_members=(), goes_to=("nowhere.x",)), "goes_to names 'nowhere.x'"),
    ]
    for annotation, declared, text in wrong:
        with pytest.raises(TypeError, match=text):
            type("Bad", (Model,), {"__annotations__": {"x": Annotated[annotation, declared]}})
