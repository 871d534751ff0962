"""What the list of a collection shows: names, page by page, and what is told of each object."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Annotated, Any, Final, TypeVar

from authkit.errors import InternalError
from authkit.framework.fields.annotations import Int, Str
from authkit.framework.fields.schema import FieldSchema, build_schema, field
from authkit.framework.models import Model
from authkit.framework.objects.accessors import CollectionPlace
from authkit.framework.routing.calls import Call
from authkit.framework.routing.declarations import MountContext
from authkit.globs import matches_glob
from authkit.logical import Response

__all__ = ["LIST_FIELDS", "ListInfo", "list_objects", "read_list_info"]

M = TypeVar("M", bound=Model)

ListInfo = Sequence[str] | Callable[[M], Mapping[str, Any]]
"""Names of fields to show, or a function that says what to show."""

MAX_DESCRIBED: Final = 1_000
"""Objects that one list tells about: each may cost a read from storage. The names are all there."""

MAX_GLOB_LENGTH: Final = 256

_AFTER: Final = Annotated[
    Str, field(default="", query=True, help="List only names that sort after this one.")
]
_LIMIT: Final = Annotated[
    Int, field(default=-1, query=True, help="List at most this many names. Zero and less mean all.")
]
_FILTER: Final = Annotated[
    Str,
    field(
        default="",
        query=True,
        max_length=MAX_GLOB_LENGTH,
        help="List only names that match this pattern; '*' matches any text.",
    ),
]

LIST_FIELDS: Final[Mapping[str, FieldSchema]] = MappingProxyType(
    {
        "after": build_schema("after", _AFTER),
        "limit": build_schema("limit", _LIMIT),
        "filter": build_schema("filter", _FILTER),
    }
)
"""`after` and `limit` as on OpenBao (2.0 and later), where lists have pages; on every host here."""


def read_list_info(model: type[M], info: ListInfo[M]) -> Callable[[M], Mapping[str, Any]] | None:
    """Return what describes an object, `None` when nothing does.

    Raises:
        TypeError: a name is not a field, or a field that is never shown.
    """
    if callable(info):
        return info
    names = tuple(info)
    for name in names:
        if name not in model.schema or model.schema[name].sensitive:
            raise TypeError(f"a list cannot show {name!r} of {model.__name__}")
    if not names:
        return None

    def describe(found: M) -> Mapping[str, Any]:
        shown = found.read_shape()
        return {name: shown[name] for name in names if name in shown}

    return describe


async def list_objects(
    place: CollectionPlace[M],
    mount: MountContext,
    call: Call,
    describe: Callable[[M], Mapping[str, Any]] | None,
) -> Response | None:
    """Answer a list: `keys`, and `key_info` of what `describe` says. `None` when there is nothing."""
    names = await mount.objects.names(place.prefix)
    names = _page(names, call, lower=place.lower_names)
    if not names:
        return None
    if describe is None:
        return Response(data={"keys": names})
    if len(names) > MAX_DESCRIBED:
        call.warn(
            f"key_info has the first {MAX_DESCRIBED} names only; use 'limit' and 'after' for the others"
        )
    info = {}
    for name in names[:MAX_DESCRIBED]:
        found = await _find(place, mount, name)
        if found is not None:
            info[name] = dict(describe(found))
    return Response(data={"keys": names, "key_info": info})


async def _find(place: CollectionPlace[M], mount: MountContext, name: str) -> M | None:
    try:
        return await mount.objects.find(place.prefix + name, place.model)
    except InternalError:
        # One object that cannot be read must not hide the others.
        mount.log.warning("%s %s cannot be read", place.noun, name)
        return None


def _page(names: Iterable[str], call: Call, *, lower: bool) -> list[str]:
    after, pattern = call.data.get("after", ""), call.data.get("filter", "")
    if lower:
        after, pattern = after.lower(), pattern.lower()
    found = [name for name in names if name > after and (not pattern or matches_glob(pattern, name))]
    limit = call.data.get("limit", -1)
    return found[:limit] if limit > 0 else found
