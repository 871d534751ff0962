"""The paths that a regex matches, written as in OpenAPI: `creds(?:/(?P<name>\\w+))?` is two of them.

The rules are those of Vault SDK 0.21, framework/openapi.go, expandPattern. Matching:
`authkit.framework.routing.paths`.
"""

from __future__ import annotations

from typing import Final

from authkit.values import Value

__all__ = ["MAX_VARIANTS", "expand_pattern", "has_alternatives"]

MAX_VARIANTS: Final = 64
"""A pattern with more optional parts than this describes nothing that anybody would read."""

_ANCHORS: Final = frozenset("AZz")
_UNTRANSLATABLE: Final = frozenset("[].*+{")


class _UntranslatableError(Exception):
    """The pattern has a part, outside its named groups, that is not plain text."""


class _Variant(Value, frozen=True):
    text: str
    optional_slash: bool = False
    """Whether the text ends with a slash that may be left out."""

    def __add__(self, other: _Variant) -> _Variant:
        if not other.text:
            return self
        return _Variant(self.text + other.text, other.optional_slash)


def expand_pattern(pattern: str) -> tuple[str, ...] | None:
    """Return every path that a regex matches, with `{x}` for a group named x, in the regex's order.

    `None` means that it has no such form: something outside its named groups is not plain text. A path
    that ends with a slash which may be left out is given without it.
    """
    try:
        variants = _Reader(pattern).read()
    except _UntranslatableError:
        return None
    return tuple(dict.fromkeys(variant.text for variant in variants if not variant.optional_slash))


def has_alternatives(pattern: str) -> bool:
    """Whether a regex, which is known to compile, is a choice as a whole: `a|b`, but not `(?:a|b)`."""
    return _Reader(pattern).find_alternative()


class _Reader:
    """A recursive descent over one regex, which is known to compile."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._position = 0

    def read(self) -> list[_Variant]:
        """Return the variants of the whole pattern."""
        variants = self._alternatives()
        if self._position < len(self._pattern):
            raise _UntranslatableError
        return variants

    def find_alternative(self) -> bool:
        """Return whether there is a `|` outside all groups and classes."""
        while character := self._next():
            self._position += 1
            match character:
                case "|":
                    return True
                case "\\":
                    self._position += 1
                case "[":
                    self._skip_class()
                case "(":
                    self._skip_group()
        return False

    def _next(self, length: int = 1) -> str:
        return self._pattern[self._position : self._position + length]

    def _alternatives(self) -> list[_Variant]:
        variants = self._sequence()
        while self._next() == "|":
            self._position += 1
            variants = [*variants, *self._sequence()]
        return variants

    def _sequence(self) -> list[_Variant]:
        variants = [_Variant("")]
        while self._next() and self._next() not in "|)":
            following = self._repeated(self._atom())
            variants = [before + after for before in variants for after in following]
            if len(variants) > MAX_VARIANTS:
                raise _UntranslatableError
        return variants

    def _repeated(self, atom: list[_Variant]) -> list[_Variant]:
        if self._next() != "?":
            if self._next() and self._next() in "*+{":
                raise _UntranslatableError
            return atom
        self._position += 2 if self._next(2) == "??" else 1
        if self._next() == "+":
            raise _UntranslatableError
        return [_Variant(each.text, each.text == "/") for each in atom] + [_Variant("")]

    def _atom(self) -> list[_Variant]:
        character = self._next()
        self._position += 1
        if character == "(":
            return self._group()
        if character == "\\":
            character = self._next()
            self._position += 1
            if character in _ANCHORS:
                return [_Variant("")]
            if character.isalnum() or character in "{}":
                raise _UntranslatableError
            return [_Variant(character)]
        if character in _UNTRANSLATABLE:
            raise _UntranslatableError
        return [_Variant("" if character in "^$" else character)]

    def _group(self) -> list[_Variant]:
        if self._next(3) == "?P<":
            end = self._pattern.index(">", self._position)
            name = self._pattern[self._position + 3 : end]
            self._position = end + 1
            self._skip_group()
            return [_Variant(f"{{{name}}}")]
        if self._next(2) == "?:":
            self._position += 2
        elif self._next() == "?":
            raise _UntranslatableError
        variants = self._alternatives()
        self._position += 1
        return variants

    def _skip_group(self) -> None:
        """Go on behind the end of the group that has begun; what it holds does not matter."""
        depth = 1
        while depth:
            character = self._next()
            self._position += 1
            if character == "\\":
                self._position += 1
            elif character == "[":
                self._skip_class()
            elif character == "(":
                depth += 1
            elif character == ")":
                depth -= 1

    def _skip_class(self) -> None:
        # A closing bracket that comes first belongs to the class.
        self._position += 2 if self._next(2) == "^]" else 1 if self._next() == "]" else 0
        while self._next() != "]":
            self._position += 2 if self._next() == "\\" else 1
        self._position += 1
