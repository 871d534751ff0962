"""From the text of a template to its tokens.

Source: Go 1.26, text/template/parse/lex.go. Texts and comments are trimmed here; the parser sees only
what is left.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from authkit.credentials.templates.errors import TemplateError
from authkit.values import Value

__all__ = ["Token", "show_line", "tokenize"]

_SPACES: Final = " \t\r\n"

_OPEN: Final = re.compile(r"\{\{(-(?=[ \t\r\n]))?")
_COMMENT_END: Final = re.compile(r"\*/([ \t\r\n]-)?\}\}")

_INSIDE: Final = re.compile(
    r"""(?x)
      (?P<close>  (?P<trim>[ \t\r\n]+-)?\}\} )
    | (?P<space>  [ \t\r\n]+ )
    | (?P<string> "(?:[^"\\\n]|\\[^\n])*" | `[^`]*` )
    | (?P<number> [+-]?[0-9][\w.]* | [+-]?\.[0-9][\w.]* )
    | (?P<field>  \.\w* )
    | (?P<dollar> \$\w* )
    | (?P<word>   \w+ )
    | (?P<punctuation> [()|] )
    """
)
"""What may come next inside an action; the order decides. A space before `-}}` belongs to the marker."""


class Token(Value, frozen=True):
    """One token. Set by the lexer."""

    kind: str
    """`text`, `open`, or the name of a group of `_INSIDE`; `end` after the last one."""
    text: str
    position: int

    def __str__(self) -> str:
        return "the end of the template" if self.kind == "end" else f'"{self.text[:40]}"'


def tokenize(source: str) -> Iterator[Token]:
    """Yield the tokens of a template, spaces inside actions included, and `end` as the last one.

    Raises:
        TemplateError: something is in an action that is no token, or an action or comment has no end.
    """
    position, trim = 0, False
    while opening := _OPEN.search(source, position):
        yield from _text(source, position, opening.start(), left=trim, right=bool(opening[1]))
        position = opening.end()
        if comment := _find_comment(source, opening):
            position, trim = comment.end(), bool(comment[1])
            continue
        yield Token("open", "{{", opening.start())
        while True:
            token = _INSIDE.match(source, position)
            if token is None:
                raise TemplateError(show_line(source, position) + _complaint(source, position))
            yield Token(str(token.lastgroup), token[0], position)
            position = token.end()
            if token["close"] is not None:
                trim = bool(token["trim"])
                break
    yield from _text(source, position, len(source), left=trim, right=False)
    yield Token("end", "", len(source))


def show_line(source: str, position: int) -> str:
    """Return the beginning of an error's text: `line 3: `."""
    return f"line {source.count(chr(10), 0, position) + 1}: "


def _text(source: str, begin: int, end: int, *, left: bool, right: bool) -> Iterator[Token]:
    text = source[begin:end]
    text = text.lstrip(_SPACES) if left else text
    text = text.rstrip(_SPACES) if right else text
    if text:
        yield Token("text", text, begin)


def _find_comment(source: str, opening: re.Match[str]) -> re.Match[str] | None:
    """Return the end of the comment that begins right behind the delimiter or its trim marker, if any."""
    begin = opening.end() + bool(opening[1])
    if not source.startswith("/*", begin):
        return None
    comment = _COMMENT_END.match(source, max(source.find("*/", begin + 2), begin))
    if comment is None:
        raise TemplateError(show_line(source, begin) + "a comment has to end with */}} or */ -}}")
    return comment


def _complaint(source: str, position: int) -> str:
    rest = source[position : position + 1]
    if not rest:
        return "an action has no closing }}"
    if rest in '"`':
        return "a string has no closing quote"
    if rest == "'":
        return "character constants are not supported: write a string in double quotes"
    return f'unexpected character "{rest}" in an action'
