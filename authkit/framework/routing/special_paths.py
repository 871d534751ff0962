"""Special paths: what a host opens to everybody, keeps for `sudo`, or limits, derived from the routes.

A host matches its patterns before a backend routes, and they are coarser than routes: `+` takes any
segment, an empty one too, and `*` any rest (Vault 1.21, vault/router.go). So each pattern is compared
with every other route, and a class whose patterns would reach further than its author said is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from authkit.framework.routing.paths import PathTemplate
from authkit.framework.routing.routes import Route
from authkit.logical import SpecialPaths

__all__ = ["derive_special_paths"]

_ANYTHING: Final = "*"
"""The name of a field in place of the unknown part of a regex."""


def derive_special_paths(routes: Sequence[Route]) -> SpecialPaths:
    """Return the request paths that hosts treat in a special way, in order of declaration.

    Raises:
        TypeError: hosts have no pattern for a path, or one that would take in another path.
    """
    root, opened, limited, snapshot = (
        dict[str, None](),
        dict[str, None](),
        dict[str, None](),
        dict[str, None](),
    )
    for position, route in enumerate(routes):
        if route.sudo and route.unauthenticated:
            raise TypeError(f"path {route.path.text!r} is open without a token and needs sudo at once")
        if route.sudo:
            root |= dict.fromkeys(_root_patterns(route, routes))
        if route.unauthenticated:
            patterns = _patterns(route, "open without a token")
            for pattern in patterns:
                _verify_opens_nothing_else(pattern, position, routes)
            opened |= dict.fromkeys(patterns)
        if route.limited:
            limited |= dict.fromkeys(_patterns(route, "limited"))
        if route.snapshot_read:
            snapshot |= dict.fromkeys(_patterns(route, "read from snapshots"))
    return SpecialPaths(
        root=tuple(root),
        unauthenticated=tuple(opened),
        limited=tuple(limited),
        allow_snapshot_read=tuple(snapshot),
    )


def _patterns(route: Route, purpose: str) -> tuple[str, ...]:
    try:
        patterns = route.path.special_patterns()
    except ValueError as error:
        raise TypeError(f"a path {purpose} needs a pattern: {error}") from error
    for pattern in patterns:
        if "*" in pattern or any("+" in part and part != "+" for part in pattern.split("/")):
            raise TypeError(f"a path {purpose} needs a pattern: {pattern!r} has wildcards as plain text")
    return patterns


def _root_patterns(route: Route, routes: Sequence[Route]) -> tuple[str, ...]:
    """Return exact paths, or everything below the fixed part of a path with fields."""
    if not route.path.names:
        return _patterns(route, "with sudo")
    prefix = route.path.prefix
    for other in routes:
        if not other.sudo and other.is_served and _may_begin_with(other.path, prefix):
            raise TypeError(
                f"path {route.path.text!r} needs sudo, for which hosts have the pattern '{prefix}*' alone; "
                f"that would take in {other.path.text!r}"
            )
    return (f"{prefix}*",)


def _may_begin_with(path: PathTemplate, prefix: str) -> bool:
    if path.variants is None or path.names:
        return path.prefix.startswith(prefix) or prefix.startswith(path.prefix)
    return any(text.startswith(prefix) for text in _texts(path))


def _verify_opens_nothing_else(pattern: str, position: int, routes: Sequence[Route]) -> None:
    wide = "+" in pattern.split("/")
    for index, other in enumerate(routes):
        if other.unauthenticated or not other.is_served:
            continue
        if _may_cover(pattern, other.path) if wide else index < position and other.path.match(pattern):
            raise TypeError(
                f"path {other.path.text!r} would be open without a token: "
                f"hosts see it as {pattern!r}, which is open"
            )


def _may_cover(pattern: str, path: PathTemplate) -> bool:
    """Whether a pattern with `+` might take in a path. In doubt it might."""
    wanted = pattern.split("/")
    return any(_segments_may_meet(wanted, text.split("/"), path) for text in _texts(path))


def _segments_may_meet(wanted: Sequence[str], segments: Sequence[str], path: PathTemplate) -> bool:
    for one, other in zip(wanted, segments, strict=False):
        if any(f"{{{name}}}" in other and path.spans_segments(name) for name in (*path.names, _ANYTHING)):
            return True
        if one not in ("+", other) and "{" not in other:
            return False
    return len(wanted) == len(segments)


def _texts(path: PathTemplate) -> list[str]:
    """Return the paths of a template as a host sees them, those of lists with a slash as well.

    A regex is taken to let a slash in, wherever in it that may be said.
    """
    if path.variants is None:
        return [f"{path.prefix}{{{_ANYTHING}}}"]
    texts = list(path.variants)
    slashed = path.optional_slash or path.sample is None
    return [*texts, *(f"{text}/" for text in texts)] if slashed else texts
