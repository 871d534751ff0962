"""Which paths of a mount are special: the patterns of `SpecialPaths`, as a Vault server matches them."""

from __future__ import annotations

from collections.abc import Iterable

from authkit.logical import SpecialPaths

__all__ = ["CompiledPaths", "PathPatternError", "PathPatterns"]


class PathPatternError(ValueError):
    """A pattern breaks the rules; the mount must not go on."""


class PathPatterns:
    """Exact paths, prefixes (`login*`), and `+` for one whole segment (Vault 1.21, vault/router.go).

    Raises:
        PathPatternError: a pattern is invalid.
    """

    def __init__(self, patterns: Iterable[str], *, segments: bool = True) -> None:
        self._exact: set[str] = set()
        self._prefixes: list[str] = []
        self._segmented: list[tuple[list[str], bool]] = []
        for pattern in patterns:
            body, is_prefix = pattern.removesuffix("*"), pattern.endswith("*")
            if segments and "+" in body:
                _verify(pattern)
                self._segmented.append((body.split("/"), is_prefix))
            elif is_prefix:
                if segments:
                    _verify(pattern)
                self._prefixes.append(body)
            else:
                if segments:
                    _verify(pattern)
                self._exact.add(pattern)

    def match(self, path: str) -> bool:
        """Whether one of the patterns matches `path`, which is relative to the mount."""
        if path in self._exact or any(path.startswith(prefix) for prefix in self._prefixes):
            return True
        return any(_matches(parts, path.split("/"), open_end) for parts, open_end in self._segmented)


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
        """Whether the path is open to everybody, such as a login."""
        return self._unauthenticated.match(path)


def _verify(pattern: str) -> None:
    body = pattern.removesuffix("*")
    if "*" in body or "+*" in pattern or any("+" in part and part != "+" for part in body.split("/")):
        raise PathPatternError(
            f'path "{pattern}": invalid use of wildcards ("+" is a whole segment, "*" stands at the end)'
        )


def _matches(parts: list[str], segments: list[str], open_end: bool) -> bool:
    if len(segments) < len(parts) or (len(segments) > len(parts) and not open_end):
        return False
    *whole, last = parts
    if not all(part in ("+", segment) for part, segment in zip(whole, segments, strict=False)):
        return False
    rest = segments[len(whole)]
    return last == "+" or (rest.startswith(last) if open_end else rest == last)
