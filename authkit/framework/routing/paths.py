"""Path templates: `role/{name}`, and what they match.

A template yields the matcher in Python and the pattern in Go's spelling, which help pages and
OpenAPI documents show. The traps between both regex dialects (ASCII words, `$` before a newline,
`[\\w-.]`) are settled here once. The routes of a backend: `authkit.framework.routing.routes`.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from os.path import commonprefix
from types import MappingProxyType
from typing import Final

from authkit.framework.routing.patterns import expand_pattern, has_alternatives
from authkit.values import Value

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
_FIELD: Final = re.compile(r"\{[A-Za-z_]\w*\}")
_LITERAL_BEGINNING: Final = re.compile(r"(?:[A-Za-z0-9_/-](?![?*+{]))*")
_LITERAL: Final = re.compile(r"[A-Za-z0-9_./-]*")


class PathTemplate(Value, frozen=True):
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
    variants: tuple[str, ...] | None
    """The paths as documents show them, `{x}` for a field; `None` when a regex has no such form."""
    optional_slash: bool = False
    """Whether all paths may end with a slash, as hosts write those of lists."""

    @classmethod
    def parse(cls, text: str, *, optional_slash: bool = False) -> PathTemplate:
        """Read a template.

        `{x}` is a name (ASCII word characters, `-` and `.` inside), `{x:at}` may have `@` inside as
        well, `{x:path}` is anything, slashes included. `optional_slash` takes a trailing slash too:
        hosts append one to the paths of lists.

        Raises:
            ValueError: the text is not a template.
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
            variants=(_PLACEHOLDER.sub(r"{\1}", text),),
            optional_slash=optional_slash,
        )

    @classmethod
    def from_regex(cls, pattern: str) -> PathTemplate:
        """Take a regex of Python's dialect. The whole path must match it, in ASCII.

        A group that takes no part in a match is an empty field and, as in the SDK, hides a field of
        that name in the body. For a list let it end with `/?`: hosts append a slash.

        Raises:
            ValueError: it is empty, begins with a slash or is not a regex; two groups have the same name.
        """
        try:
            with warnings.catch_warnings():
                # Go's [[:alpha:]] is another thing in Python, which only warns.
                warnings.simplefilter("error", FutureWarning)
                regex = re.compile(pattern, re.ASCII)
        except (re.error, FutureWarning, ValueError) as error:
            raise ValueError(f"pattern {pattern!r}: {error}") from error
        bare = _without_anchors(pattern)
        if not bare:
            raise ValueError("Routing pattern cannot be blank")
        if bare.startswith("/") and not bare.startswith("/?"):
            raise ValueError(f"pattern {pattern!r}: no path begins with '/'")
        variants = expand_pattern(pattern)
        texts = variants or (_beginning(bare),)
        return cls(
            text=pattern,
            regex=regex,
            go_pattern=f"^{bare}$",
            names=tuple(regex.groupindex),
            sample=None,
            prefix=commonprefix([text.partition("{")[0] for text in texts]),  # noqa: RUF071 - characters are meant
            variants=variants,
            optional_slash=bare.endswith("/?"),
        )

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

    def with_optional_slash(self) -> PathTemplate:
        """Return the same template for a list, whose paths end with a slash."""
        if self.optional_slash or self.sample is None:
            return self
        return self.parse(self.text, optional_slash=True)

    def spans_segments(self, name: str) -> bool:
        """Whether the field may hold slashes. True where this is unknown."""
        return self.sample is None or f"{{{name}:path}}" in self.text

    def special_patterns(self) -> tuple[str, ...]:
        """Return the patterns for a list of special paths: `+` for each field.

        Raises:
            ValueError: hosts have no pattern for it; a field must be a whole segment.
        """
        if self.variants is None or (self.sample is None and self.names):
            raise ValueError(f"a regex cannot be a special path unless it is plain text: {self.text!r}")
        if ":path}" in self.text:
            raise ValueError(f"path {self.text!r}: each field must be a segment of its own")
        patterns = []
        for variant in self.variants:
            segments = ["+" if _FIELD.fullmatch(part) else part for part in variant.split("/")]
            if any("{" in segment for segment in segments):
                raise ValueError(f"path {self.text!r}: each field must be a segment of its own")
            pattern = "/".join(segments)
            patterns += [pattern, f"{pattern}/"] if self.optional_slash else [pattern]
        return tuple(patterns)


def _without_anchors(pattern: str) -> str:
    """Return the pattern without `^` and `$` around it; alternatives are held together by a group.

    Without the group an anchor would belong to one alternative alone, as it does in the SDK, where
    `a|b` lets everything in that begins with a.
    """
    if has_alternatives(pattern):
        return f"(?:{pattern})"
    bare = pattern.removeprefix("^")
    return bare[:-1] if bare.endswith("$") and not bare.endswith("\\$") else bare


def _beginning(bare: str) -> str:
    """Return the plain text with which everything that a regex matches begins."""
    text = _LITERAL_BEGINNING.match(bare)
    assert text is not None
    return text[0]


def _literal(text: str, part: str) -> str:
    if _LITERAL.fullmatch(part) is None:
        raise ValueError(f"path {text!r}: {part!r} is not allowed in a template")
    return part


def _go_literal(part: str) -> str:
    return part.replace(".", r"\.")
