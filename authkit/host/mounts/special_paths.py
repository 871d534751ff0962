"""Which paths of a mount are special: the patterns of `SpecialPaths`, as a Vault server matches them."""

from __future__ import annotations

from collections.abc import Iterable

from authkit.host.store.path_patterns import path_regex
from authkit.logical import SpecialPaths

__all__ = ["CompiledPaths", "PathPatternError", "PathPatterns"]


class PathPatternError(ValueError):
    """A pattern breaks the rules; the mount must not go on."""


class PathPatterns:
    """Exact paths, prefixes (`login*`), and with `segments` also `+` for one whole segment.

    Raises:
        PathPatternError: with `segments`, a pattern is invalid.
    """

    def __init__(self, patterns: Iterable[str], *, segments: bool = True) -> None:
        patterns = list(patterns)
        for pattern in patterns if segments else ():
            _verify(pattern)
        self._regexes = [path_regex(pattern, segments=segments) for pattern in patterns]

    def match(self, path: str) -> bool:
        """Whether one of the patterns matches `path`, which is relative to the mount."""
        return any(regex.fullmatch(path) for regex in self._regexes)


class CompiledPaths:
    """The special paths of one backend, ready to be asked.

    Raises:
        PathPatternError: a pattern of paths without a token is invalid.
    """

    def __init__(self, paths: SpecialPaths) -> None:
        self._root = PathPatterns(paths.root, segments=False)
        self._unauthenticated = PathPatterns(paths.unauthenticated)

    def needs_sudo(self, path: str) -> bool:
        """Whether the path is for callers with `sudo` only."""
        return self._root.match(path)

    def needs_no_token(self, path: str) -> bool:
        """Whether the path is open without a token, such as a login."""
        return self._unauthenticated.match(path)


def _verify(pattern: str) -> None:
    body = pattern.removesuffix("*")
    if "*" in body or "+*" in pattern or any("+" in part and part != "+" for part in body.split("/")):
        raise PathPatternError(
            f'path "{pattern}": invalid use of wildcards ("+" is a whole segment, "*" stands at the end)'
        )
