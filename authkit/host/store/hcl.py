"""The little of HCL that policies are written in: blocks, attributes, lists, comments. JSON as well.

What the blocks mean: `authkit.host.store.policies`.
"""

from __future__ import annotations

import json
import re
from typing import Any

from authkit.values import Value, field

__all__ = ["Block", "HCLError", "parse_hcl"]

MAX_TEXT = 1024 * 1024
"""Characters; no policy that a person wrote is longer."""

MAX_DEPTH = 32

NAME = "name"
"""What a policy may have at the top beside blocks, without a meaning."""

_BOOLEANS = {"true": True, "false": False}

_TOKEN = re.compile(
    r"""(?P<blank>[\s,]+|\#[^\n]*|//[^\n]*|/\*.*?\*/)
    |(?P<string>"(?:[^"\\\n]|\\.)*")
    |(?P<heredoc><<-?(?P<tag>\w+)\n.*?\n[ \t]*(?P=tag)(?=\n|\Z))
    |(?P<number>-?\d+(?:\.\d+)?)
    |(?P<name>[A-Za-z_][\w.-]*)
    |(?P<sign>[{}\[\]=:])""",
    re.VERBOSE | re.DOTALL,
)


class HCLError(ValueError):
    """The text is not a policy."""


class Block(Value, frozen=True):
    """`kind "label" { ... }`."""

    kind: str
    label: str
    attributes: dict[str, Any] = field(default_factory=dict)


def parse_hcl(text: str) -> list[Block]:
    """Return the blocks of a policy.

    Raises:
        HCLError: it is not a policy. The message says near which line.
    """
    if len(text) > MAX_TEXT:
        raise HCLError("the policy is too long")
    if text.lstrip().startswith("{"):
        return _from_json(text)
    return _Parser(text).blocks()


def _from_json(text: str) -> list[Block]:
    try:
        document = json.loads(text, object_pairs_hook=_unique)
        return [
            Block(kind, label, dict(attributes.items()))
            for kind, labelled in document.items()
            if kind != NAME
            for labels in (labelled if isinstance(labelled, list) else [labelled])
            for label, attributes in labels.items()
        ]
    except HCLError:
        raise
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise HCLError("the policy is not a valid JSON object of blocks") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse what is named twice: one of the two would not count, and might deny something."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise HCLError("the policy names something twice")
    return found


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = self._tokenize()
        self._next = 0

    def blocks(self) -> list[Block]:
        """Return everything up to the end of the text."""
        found: list[Block] = []
        while self._next < len(self._tokens):
            kind = self._take("name", "string")
            if kind == NAME and self._peek() == "=":
                self._next += 1
                self._value(0)
                continue
            label = self._take("string", "name") if self._peek() != "{" else ""
            found.append(Block(kind, label, self._object(0)))
        return found

    def _tokenize(self) -> list[tuple[str, str, int]]:
        tokens, position = [], 0
        while position < len(self._text):
            match = _TOKEN.match(self._text, position)
            if match is None:
                raise self._error(position)
            kind = match.lastgroup if match.lastgroup != "tag" else "heredoc"
            assert kind is not None
            if kind != "blank":
                tokens.append((kind, match[0], position))
            position = match.end()
        return tokens

    def _peek(self) -> str:
        return self._tokens[self._next][1] if self._next < len(self._tokens) else ""

    def _take(self, *kinds: str) -> str:
        if self._next >= len(self._tokens):
            raise HCLError("the policy ends in the middle")
        kind, text, position = self._tokens[self._next]
        if kind not in kinds:
            raise self._error(position)
        self._next += 1
        return _unquote(text) if kind in ("string", "heredoc") else text

    def _sign(self, sign: str) -> None:
        if self._peek() != sign:
            raise self._error(self._position())
        self._next += 1

    def _object(self, depth: int) -> dict[str, Any]:
        if depth > MAX_DEPTH:
            raise HCLError("the policy is nested too deeply")
        self._sign("{")
        attributes: dict[str, Any] = {}
        while self._peek() != "}":
            position = self._position()
            name = self._take("name", "string")
            if self._peek() in ("=", ":"):
                self._next += 1
                value = self._value(depth + 1)
            else:
                value = self._object(depth + 1)
            if name in attributes:
                raise self._error(position, f'"{name}" is set twice')
            attributes[name] = value
        self._sign("}")
        return attributes

    def _value(self, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise HCLError("the policy is nested too deeply")
        if self._peek() == "{":
            return self._object(depth)
        if self._peek() == "[":
            self._sign("[")
            items = []
            while self._peek() != "]":
                items.append(self._value(depth + 1))
            self._sign("]")
            return items
        kind = self._tokens[self._next][0] if self._next < len(self._tokens) else ""
        if kind == "name":
            if self._peek() not in _BOOLEANS:
                raise self._error(self._position())
            return _BOOLEANS[self._take("name")]
        text = self._take("string", "heredoc", "number")
        if kind == "number":
            return float(text) if "." in text else int(text)
        return text

    def _position(self) -> int:
        return self._tokens[self._next][2] if self._next < len(self._tokens) else len(self._text)

    def _error(self, position: int, reason: str = "the policy cannot be read") -> HCLError:
        line = self._text.count("\n", 0, position) + 1
        return HCLError(f"{reason} at line {line}")


def _unquote(text: str) -> str:
    if text.startswith("<<"):
        return text[text.index("\n") + 1 : text.rindex("\n") + 1]
    try:
        unquoted: str = json.loads(text, strict=False)
    except ValueError:
        raise HCLError("a string of the policy has an unknown escape") from None
    return unquoted
