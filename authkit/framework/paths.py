"""Path templates: `role/{name}`, and what they match.

A template yields the matcher in Python and the pattern in Go's spelling, which help pages and
OpenAPI documents show. The traps between both regex dialects (ASCII words, `$` before a newline,
`[\\w-.]`) are settled here once. Which routes a backend has is left to `authkit.framework.routes`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

__all__ = ["PathTemplate"]

_CONVERTERS: Final[Mapping[str, tuple[str, str, str]]] = MappingProxyType(
    {
        # kind: (Python, Go, a sample). The Go forms are those of framework/path.go (Vault SDK 0.21).
        "name": (r"\w(?:[\w.-]*\w)?", r"\w(([\w-.]+)?\w)?", "x0"),
        "at": (r"\w(?:[\w.@-]*\w)?", r"\w(([\w-.@]+)?\w)?", "x0@x0"),
        "path": (r".+", r".+", "x0/x0"),
    }
)
_PLACEHOLDER: Final = re.compile(r"\{([a-z_][a-z0-9_]*)(?::([a-z]+))?\}")
_LITERAL: Final = re.compile(r"[A-Za-z0-9_./-]*")


@dataclass(frozen=True, slots=True)
class PathTemplate:
    """A set of paths, relative to the mount. Make one with `parse` or `from_regex`."""

    text: str
    """As the author wrote it."""
    regex: re.Pattern[str]
    go_pattern: str
    """For help pages and documents; anchored."""
    names: tuple[str, ...]
    """The captured fields."""
    sample: str | None
    """A path that it matches; `None` for a regex of the author's own."""
    prefix: str
    """What all paths have in common at their beginning."""

    @classmethod
    def parse(cls, text: str, *, optional_slash: bool = False) -> PathTemplate:
        """Read a template.

        `{x}` is a name (ASCII word characters, `-` and `.` inside), `{x:at}` may have `@` inside as
        well, `{x:path}` is anything, slashes included. `optional_slash` takes a trailing slash too:
        hosts append one to the paths of lists.

        Raises:
            ValueError: the text is no template.
        """
        if not text or text.startswith("/") or text.endswith("/"):
            raise ValueError(f"path {text!r} must not be empty, nor begin or end with '/'")
        python, go, sample, names, position = "", "", "", list[str](), 0
        for match in _PLACEHOLDER.finditer(text):
            literal = _literal(text, text[position : match.start()])
            name, kind = match[1], match[2] or "name"
            if kind not in _CONVERTERS or name in names:
                raise ValueError(f"path {text!r}: {match[0]} is unknown or repeated")
            forms = _CONVERTERS[kind]
            python += f"{re.escape(literal)}(?P<{name}>{forms[0]})"
            go += f"{_go_literal(literal)}(?P<{name}>{forms[1]})"
            sample += literal + forms[2]
            names.append(name)
            position = match.end()
        rest = _literal(text, text[position:])
        ending = "/?" if optional_slash else ""
        return cls(
            text=text,
            regex=re.compile(python + re.escape(rest) + ending, re.ASCII),
            go_pattern=f"^{go}{_go_literal(rest)}{ending}$",
            names=tuple(names),
            sample=sample + rest,
            prefix=text.partition("{")[0],
        )

    @classmethod
    def from_regex(cls, pattern: str) -> PathTemplate:
        """Take a regex of Python's dialect as it is. The whole path must match it.

        Raises:
            ValueError: it is empty or no regex.
        """
        if not pattern:
            raise ValueError("Routing pattern cannot be blank")
        try:
            regex = re.compile(pattern, re.ASCII)
        except re.error as error:
            raise ValueError(f"pattern {pattern!r}: {error}") from error
        anchored = f"^{pattern.removeprefix('^').removesuffix('$')}$"
        return cls(pattern, regex, anchored, tuple(regex.groupindex), None, "")

    def match(self, path: str) -> dict[str, str] | None:
        """Return the captured fields, `None` when the path does not match.

        A group that took no part counts as empty, as it does in Go.
        """
        match = self.regex.fullmatch(path)
        return None if match is None else match.groupdict(default="")

    def fill(self, name: str) -> str | None:
        """Return the path with `name` in place of its only field, `None` if that does not match."""
        path = _PLACEHOLDER.sub(lambda _: name, self.text)
        found = self.match(path)
        return path if found is not None and list(found.values()) == [name] else None

    def special_pattern(self) -> str:
        """Return the pattern for a list of special paths: `+` for each field.

        Raises:
            ValueError: hosts have no pattern for it; a field must be a whole segment.
        """
        if self.sample is None:
            raise ValueError(f"a regex cannot be a special path: {self.text!r}")
        segments = _PLACEHOLDER.sub("+", self.text).split("/")
        if ":path}" in self.text or any("+" in segment and segment != "+" for segment in segments):
            raise ValueError(f"path {self.text!r}: each field must be a segment of its own")
        return "/".join(segments)


def _literal(text: str, part: str) -> str:
    if _LITERAL.fullmatch(part) is None:
        raise ValueError(f"path {text!r}: {part!r} is not allowed in a template")
    return part


def _go_literal(part: str) -> str:
    return part.replace(".", r"\.")
