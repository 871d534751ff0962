"""From tokens to the nodes of a template.

Source: Go 1.26, text/template/parse/parse.go. What is not supported, and what could only fail later in Go
(an unknown field, an argument for something that is no function), is refused here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Final, NoReturn

from authkit.credentials.templates.errors import MAX_DEPTH, TemplateError
from authkit.credentials.templates.lexer import Token, show_line, tokenize
from authkit.credentials.templates.literals import read_literal
from authkit.credentials.templates.nodes import (
    Branch,
    Call,
    Constant,
    Dot,
    Field,
    Node,
    Operand,
    Pipeline,
    Text,
)

__all__ = ["parse"]

_KEYWORDS: Final = frozenset({"if", "with", "else", "end"})
_UNSUPPORTED: Final = frozenset({"range", "define", "template", "block", "break", "continue", "nil"})
_ENDS_OF_COMMAND: Final = frozenset({"|", ")"})


def parse(source: str, *, fields: Collection[str], functions: Collection[str]) -> tuple[Node, ...]:
    """Return the nodes of a template.

    Args:
        fields: names of the data.
        functions: names that may be called.

    Raises:
        TemplateError: the template is wrong, or uses what is not supported; the text has the line.
    """
    parser = _Parser(source, fields, functions)
    nodes, closing = parser.nodes()
    if closing.kind != "end":
        parser.fail(closing, f"unexpected {{{{{closing.text}}}}}")
    return nodes


class _Parser:
    """Recursive descent with one token ahead."""

    def __init__(self, source: str, fields: Collection[str], functions: Collection[str]) -> None:
        self._source = source
        self._fields = fields
        self._functions = functions
        self._tokens = tokenize(source)
        self._token = next(self._tokens)
        self._depth = 0
        self._withs = 0

    def fail(self, token: Token, reason: str) -> NoReturn:
        """Raise TemplateError with the line of a token."""
        raise TemplateError(show_line(self._source, token.position) + reason)

    def nodes(self) -> tuple[tuple[Node, ...], Token]:
        """Return the nodes before the next `else` or `end`, and that token or the last one."""
        nodes: list[Node] = []
        while self._token.kind != "end":
            if self._token.kind == "text":
                nodes.append(Text(self._next().text))
                continue
            self._next()
            self._skip_space()
            if self._token.text in ("else", "end"):
                return tuple(nodes), self._next()
            if self._token.text in ("if", "with"):
                nodes.append(self._branch(self._next()))
            else:
                nodes.append(self._pipeline("}}"))
        return tuple(nodes), self._token

    def _branch(self, keyword: Token) -> Branch:
        """Return the branch whose keyword was read."""
        sets_dot = keyword.text == "with"
        with self._nested(keyword):
            condition = self._pipeline("}}")
            self._withs += sets_dot
            body, closing = self.nodes()
            self._withs -= sets_dot
            otherwise: tuple[Node, ...] = ()
            if closing.text == "else":
                self._skip_space()
                if self._token.text == keyword.text:
                    # `{{else if x}}` has no `{{end}}` of its own.
                    return Branch(condition, body, (self._branch(self._next()),), sets_dot)
                self._close("}}")
                otherwise, closing = self.nodes()
            if closing.text != "end":
                self.fail(closing, f"{{{{end}}}} expected for {{{{{keyword.text}}}}}, found {closing}")
            self._close("}}")
        return Branch(condition, body, otherwise, sets_dot)

    def _pipeline(self, closing: str) -> Pipeline:
        """Return the pipeline that ends with `}}` or `)`, which is read as well."""
        first = self._command()
        calls: list[Call] = []
        while self._token.text == "|":
            pipe = self._next()
            command = self._command()
            if not isinstance(command, Call):
                self.fail(pipe, "only a function can follow a |")
            calls.append(command)
        self._close(closing)
        return Pipeline(first, tuple(calls))

    def _command(self) -> Operand:
        """Return an operand, or the call of a function with what follows it."""
        self._skip_space()
        token = self._token
        operand = self._operand()
        arguments: list[Operand] = []
        while self._token.kind == "space":
            self._skip_space()
            if self._token.text not in _ENDS_OF_COMMAND and self._token.kind != "close":
                arguments.append(self._operand())
        if not arguments:
            return operand
        if not isinstance(operand, Call):
            self.fail(token, f"{token} takes no arguments")
        return Call(operand.function, tuple(arguments), operand.position)

    def _operand(self) -> Operand:
        token = self._next()
        operand = self._read_operand(token)
        if self._token.kind == "field":
            self.fail(self._token, f"{token} has no field {self._token}")
        if self._token.kind not in ("space", "close") and self._token.text not in _ENDS_OF_COMMAND:
            self.fail(self._token, f"a space is missing before {self._token}")
        return operand

    def _read_operand(self, token: Token) -> Operand:
        match token.kind:
            case "string" | "number":
                try:
                    return Constant(read_literal(token.text))
                except TemplateError as error:
                    self.fail(token, str(error))
            case "field" | "dollar":
                return self._field(token)
            case "word":
                return self._word(token)
        if token.text != "(":
            self.fail(token, f"a value is missing before {token}")
        with self._nested(token):
            return self._pipeline(")")

    def _field(self, token: Token) -> Field | Dot:
        """Return `.Name` or `$.Name`; inside `with` only the latter is the data's."""
        root = token.kind == "dollar"
        name = self._next() if token.text == "$" and self._token.kind == "field" else token
        if name.kind == "dollar":
            self.fail(token, "variables are not supported")
        if name.text == "." and not root and self._withs:
            return Dot()
        if self._withs and not root:
            self.fail(token, f"a text has no field {name}: inside {{{{with}}}} write ${name.text}")
        if name.text[1:] not in self._fields:
            known = ", ".join(f".{field}" for field in self._fields)
            self.fail(token, f"unknown field {name}: there are {known}")
        return Field(name.text[1:])

    def _word(self, token: Token) -> Constant | Call:
        if token.text in ("true", "false"):
            return Constant(token.text == "true")
        if token.text in _UNSUPPORTED:
            self.fail(token, f"{{{{{token.text}}}}} is not supported")
        if token.text in _KEYWORDS:
            self.fail(token, f"unexpected {token}")
        if token.text not in self._functions:
            self.fail(token, f"function {token} not defined; there are {', '.join(sorted(self._functions))}")
        return Call(token.text, (), token.position)

    @contextmanager
    def _nested(self, token: Token) -> Iterator[None]:
        if self._depth == MAX_DEPTH:
            self.fail(token, f"more than {MAX_DEPTH} parentheses and branches inside each other")
        self._depth += 1
        yield
        self._depth -= 1

    def _close(self, closing: str) -> None:
        self._skip_space()
        token = self._next()
        if token.text != closing and not (closing == "}}" and token.kind == "close"):
            self.fail(token, f"{closing} expected, found {token}")

    def _skip_space(self) -> None:
        if self._token.kind == "space":
            self._next()

    def _next(self) -> Token:
        token = self._token
        self._token = next(self._tokens, token)
        return token
