"""Help pages: their layout, and that each path has one."""

from __future__ import annotations

from typing import Any

import pytest
from factories import Mount

from authkit.errors import UnsupportedPathError
from authkit.framework import (
    KV,
    Backend,
    Bool,
    Cidrs,
    CommaInts,
    CommaList,
    Float,
    Headers,
    Int,
    List,
    LowerStr,
    Map,
    Model,
    Name,
    PathTemplate,
    Seconds,
    Singleton,
    Str,
    Timestamp,
    field,
    read,
    write,
)
from authkit.logical import Operation


class Everything(Model):
    """Hold one field of each type."""

    a_text: Str = ""
    b_lower: LowerStr = ""
    c_name: Name = field(default="x")
    d_int: Int = 0
    e_bool: Bool = False
    f_map: Map = field(default={})
    g_pairs: KV = field(default={})
    h_seconds: Seconds = field(default=0)
    i_list: List = ()
    j_commas: CommaList = ()
    k_ints: CommaInts = ()
    l_cidrs: Cidrs = ()
    m_headers: Headers = field(default={})
    n_float: Float = 0.0
    o_time: Timestamp = field(default=0)


class Books(Backend, name="books"):  # noqa: D101 - what becomes of a class without words
    everything = Singleton(Everything, "config")

    @read("book/{id}")
    async def show(self, id: Str) -> None:
        """Show a book.

        As long as it is there.
        """

    @write("book/{id}", summary="Not the first.")
    async def keep(self, id: Str, text: Str) -> None: ...

    @read(PathTemplate.from_regex("raw|bare"))
    async def raw(self) -> None: ...


class More(Books, name="more"):
    """More books."""


async def page(path: str, kind: type[Backend] = Books) -> str:
    """The text of a help page."""
    response = await Mount(kind).request(Operation.HELP, path)
    assert response is not None
    assert response.data is not None
    text: Any = response.data["help"]
    assert isinstance(text, str)
    return text


async def test_names_of_types() -> None:
    """Each type is called what hosts' own pages call it."""
    labels = [
        line.strip().partition(" ")[2] for line in (await page("config")).splitlines() if line.endswith(")")
    ]
    assert labels == [
        "(string)",
        "(lowercase string)",
        "(name string)",
        "(int)",
        "(bool)",
        "(map)",
        "(keypair)",
        "(duration (sec))",
        "(slice)",
        "(slice)",
        "(slice)",
        "(slice)",
        "(header)",
        "(float)",
        "(time)",
    ]


async def test_page_of_a_handler() -> None:
    """The first handler of a path speaks for it; the fields of all are there."""
    assert await page("book/x") == (
        "Request:        book/x\nMatching Route: ^book/(?P<id>\\w(([\\w-.]+)?\\w)?)$\n\n"
        "Show a book.\n\n"
        "## PARAMETERS\n\n    id (string)\n\n        <no description>\n\n"
        "    text (string)\n\n        <no description>\n\n"
        "## DESCRIPTION\n\nAs long as it is there."
    )


async def test_page_of_almost_nothing() -> None:
    """A path without words of its author still has a page."""
    assert await page("bare") == (
        "Request:        bare\nMatching Route: ^(?:raw|bare)$\n\n<no synopsis>\n\n\n"
        "## DESCRIPTION\n\n<no description>"
    )


async def test_root_page_without_words() -> None:
    """A class that says nothing about itself is not described by the framework's own words."""
    assert (await page("")).startswith("## DESCRIPTION\n\n\n\n## PATHS\n\n")
    assert (await page("", More)).startswith("## DESCRIPTION\n\nMore books.\n\n## PATHS\n\n")


async def test_no_page_for_no_path() -> None:
    """A path that is none has no page either."""
    with pytest.raises(UnsupportedPathError):
        await page("nothing")
