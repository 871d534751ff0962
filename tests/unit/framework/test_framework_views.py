"""Views of storage: keys under a prefix, scanning, clearing."""

from __future__ import annotations

import pytest

from authkit.errors import StorageError
from authkit.framework import StorageView
from authkit.framework.stored.views import MAX_SCAN_DEPTH
from authkit.logical import Storage, StorageEntry
from authkit.testing import InMemoryStorage


async def filled(*keys: str) -> InMemoryStorage:
    """Return storage with these keys."""
    storage = InMemoryStorage()
    for key in keys:
        await storage.put(StorageEntry(key, key.encode(), seal_wrap=True))
    return storage


async def test_a_view_sees_its_prefix() -> None:
    """Keys are relative to the prefix, both ways, and views nest."""
    storage = await filled("a/x", "a/b/y", "c")
    view = StorageView(storage, "a/")
    assert isinstance(view, Storage)
    assert await view.list() == ["b/", "x"]
    assert await view.list("b/") == ["y"]
    assert await view.get("x") == StorageEntry("x", b"a/x", seal_wrap=True)
    assert await view.get("c") is None
    inner = StorageView(view, "b/")
    await inner.put(StorageEntry("z", b"1"))
    assert await storage.get("a/b/z") == StorageEntry("a/b/z", b"1")
    await inner.delete("z")
    assert await storage.get("a/b/z") is None


@pytest.mark.parametrize("key", ["", "/c", "../c", "x/../../c", "x/"])
async def test_a_view_cannot_be_left(key: str) -> None:
    """No key reaches what is beside the prefix."""
    view = StorageView(await filled("c"), "a/")
    for call in (view.get(key), view.delete(key), view.put(StorageEntry(key, b""))):
        with pytest.raises(StorageError):
            await call
    with pytest.raises(StorageError):
        await view.list("../")


@pytest.mark.parametrize("prefix", ["", "a"])
def test_the_prefix_of_a_view(prefix: str) -> None:
    """A view of everything, or of part of a name, is a mistake."""
    with pytest.raises(ValueError, match="has to end with"):
        StorageView(InMemoryStorage(), prefix)


async def test_scan_goes_depth_first() -> None:
    """Each level is in order, and what is below a name comes before the next one."""
    view = StorageView(await filled("a/b/2", "a/b/1/x", "a/c", "a/a", "d"), "a/")
    assert [key async for key in view.scan()] == ["a", "b/1/x", "b/2", "c"]


async def test_scan_is_bounded() -> None:
    """Too many keys and too deep ones are an error, never a short answer."""
    view = StorageView(await filled("a/1", "a/2", "a/3"), "a/")
    assert len([key async for key in view.scan(limit=3)]) == 3
    with pytest.raises(StorageError, match="more than 2 keys"):
        [key async for key in view.scan(limit=2)]
    deep = StorageView(await filled("a/" + "x/" * (MAX_SCAN_DEPTH + 1) + "y"), "a/")
    with pytest.raises(StorageError, match="nested deeper"):
        [key async for key in deep.scan()]


async def test_clear() -> None:
    """Everything below the prefix goes, and nothing else; what is too much is left alone."""
    storage = await filled("a/1", "a/b/2", "ab", "c")
    view = StorageView(storage, "a/")
    with pytest.raises(StorageError):
        await view.clear(limit=1)
    assert await view.clear() == 2
    assert await storage.list() == ["ab", "c"]
    assert await view.clear() == 0
