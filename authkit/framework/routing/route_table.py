"""All routes of a backend: the first one that matches answers.

A route that no request could reach is refused when the class is defined. Answering a request:
`authkit.framework.backend`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from authkit.framework.routing.paths import PathTemplate
from authkit.framework.routing.routes import Route, join_fields
from authkit.framework.routing.special_paths import derive_special_paths
from authkit.logical import Operation, SpecialPaths
from authkit.values import replace

__all__ = ["RouteTable"]

_OPTIONS: Final = ("unauthenticated", "sudo", "limited", "snapshot_read")


class RouteTable:
    """The routes of one backend class. Routes of the same path become one, at the first one's place.

    Raises:
        TypeError: two routes collide, a captured field is unknown, a create has no existence check, or
            hosts have no pattern for a path that is special.
    """

    def __init__(self, routes: Iterable[Route]) -> None:
        self.routes: Final = tuple(_joined(routes))
        for position, route in enumerate(self.routes):
            _verify_route(route)
            _verify_reachable(route, self.routes[:position])
        self.special: Final[SpecialPaths] = derive_special_paths(self.routes)
        self._known: Final = {path: self._search(path) for path in _plain_paths(self.routes)}

    def find(self, path: str) -> tuple[Route, Mapping[str, str]] | None:
        """Return the first route that matches, with the captured fields."""
        return self._known[path] if path in self._known else self._search(path)

    def _search(self, path: str) -> tuple[Route, Mapping[str, str]] | None:
        for route in self.routes:
            captures = route.path.match(path)
            if captures is not None:
                return route, captures
        return None


def _plain_paths(routes: Iterable[Route]) -> Iterable[str]:
    """Return the paths without fields, as logins have them: what answers them is known beforehand."""
    for route in routes:
        for text in route.path.variants or ():
            if "{" not in text:
                yield from (text, f"{text}/")


def _joined(routes: Iterable[Route]) -> Iterable[Route]:
    found: dict[tuple[str, bool], Route] = {}
    for route in routes:
        key = (route.path.text, route.path.sample is None)
        found[key] = _join(found[key], route) if key in found else route
    return found.values()


def _join(one: Route, other: Route) -> Route:
    """Return one route with the operations of both.

    Raises:
        TypeError: they contradict each other.
    """
    path = one.path.text
    twice = sorted(one.operations.keys() & other.operations.keys())
    if twice:
        raise TypeError(f"path {path!r} has two handlers for {twice[0]}: the second is never reached")
    if one.exists is not None and other.exists is not None:
        raise TypeError(f"path {path!r} has two existence checks")
    # What only hosts ask for on a path says nothing about who else may come there.
    leading = one if one.is_served else other
    for option in _OPTIONS if one.is_served and other.is_served else ():
        if getattr(one, option) != getattr(other, option):
            raise TypeError(f"path {path!r}: all its handlers, or none, have the option '{option}'")
    return replace(
        leading,
        path=one.path if one.path.optional_slash else other.path,
        operations={**one.operations, **other.operations},
        fields=join_fields(path, one.fields, other.fields),
        exists=one.exists or other.exists,
        arbitrary_input=one.arbitrary_input or other.arbitrary_input,
        synopsis=one.synopsis or other.synopsis,
        description=one.description or other.description,
        infos={**one.infos, **other.infos},
    )


def _verify_route(route: Route) -> None:
    text = route.path.text
    unknown = set(route.path.names) - route.fields.keys()
    if unknown:
        raise TypeError(f"path {text!r} captures {sorted(unknown)}, which are not fields")
    create = route.operations.get(Operation.CREATE)
    # A handler that takes both is reached as an update, so it may do without.
    if create is not None and route.exists is None and route.operations.get(Operation.UPDATE) != create:
        raise TypeError(f"path {text!r} defines a create operation but no existence check")
    if {Operation.LIST, Operation.SCAN} & route.operations.keys() and not _takes_slash(route.path):
        raise TypeError(f"path {text!r} has a list, to which hosts append a slash: let it end with '/?'")


def _takes_slash(path: PathTemplate) -> bool:
    """Whether the path accepts a trailing slash. True where this is unknown."""
    if path.optional_slash or (path.sample is None and (path.names or path.variants is None)):
        return True
    texts = [path.sample] if path.sample is not None else path.variants or ()
    return all(path.match(f"{text.rstrip('/')}/") is not None for text in texts)


def _verify_reachable(route: Route, earlier: Sequence[Route]) -> None:
    path = route.path
    plain = path.sample is None and not path.names and path.variants
    samples = [path.sample] if path.sample is not None else list(path.variants or ()) if plain else []
    for other in earlier:
        same = other.path.go_pattern == path.go_pattern
        if same or (samples and all(other.path.match(sample) is not None for sample in samples)):
            raise TypeError(f"path {path.text!r} is never reached: {other.path.text!r} comes first")
