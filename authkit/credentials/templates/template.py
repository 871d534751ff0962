"""A parsed template, and its evaluation.

Source: Go 1.26, text/template/exec.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from authkit.credentials.templates.errors import (
    MAX_TEMPLATE,
    MAX_WORK,
    TemplateError,
    verify_length,
)
from authkit.credentials.templates.functions import FUNCTIONS, Function, call_function
from authkit.credentials.templates.lexer import show_line
from authkit.credentials.templates.nodes import Branch, Call, Constant, Field, Node, Operand, Pipeline, Text
from authkit.credentials.templates.parser import parse
from authkit.credentials.templates.scalars import Scalar, is_true, show

__all__ = ["Template"]


class Template:
    """A template that was parsed once. May be applied by several threads at once.

    Args:
        source: the operator's text.
        fields: names of the data: `{{.RoleName}}` needs `RoleName`.

    Raises:
        TemplateError: the text is empty, too large, wrong, or uses what is not supported.
    """

    def __init__(self, source: str, fields: Iterable[str]) -> None:
        if not source:
            raise TemplateError("missing template")
        if len(source.encode(errors="replace")) >= MAX_TEMPLATE:
            raise TemplateError("template too large, length of template must be less than 100,000")
        self.source = source
        self._fields = tuple(fields)
        try:
            self._nodes = parse(source, fields=self._fields, functions=FUNCTIONS.keys())
        except TemplateError as error:
            raise TemplateError(f"unable to parse template: {error}") from None

    def apply(self, data: Mapping[str, str], functions: Mapping[str, Function] = FUNCTIONS) -> str:
        """Return the text for `data`, which has a value for each field. Values are data, never template.

        `functions` may replace the implementations of functions.

        Raises:
            TemplateError: a function refuses its arguments, or a limit is exceeded.
        """
        run = _Run(self.source, {name: data[name] for name in self._fields}, functions)
        try:
            text = "".join(run.walk(self._nodes, ""))
        except TemplateError as error:
            raise TemplateError(f"unable to apply template: {error}") from None
        return text


class _Run:
    """One application."""

    def __init__(self, source: str, data: Mapping[str, str], functions: Mapping[str, Function]) -> None:
        self._source = source
        self._data = data
        self._functions = functions
        self._work = 0
        self._written = 0

    def walk(self, nodes: Iterable[Node], dot: Scalar) -> Iterable[str]:
        """Yield the texts of nodes; `dot` is the value of the innermost `with`."""
        for node in nodes:
            if isinstance(node, Branch):
                value = self._evaluate(node.condition, dot)
                if is_true(value):
                    yield from self.walk(node.body, value if node.sets_dot else dot)
                else:
                    yield from self.walk(node.otherwise, dot)
                continue
            text = node.text if isinstance(node, Text) else show(self._evaluate(node, dot))
            self._written += len(text)
            verify_length(self._written)
            yield text

    def _evaluate(self, operand: Operand, dot: Scalar) -> Scalar:
        if isinstance(operand, Constant):
            return operand.value
        if isinstance(operand, Field):
            return self._data[operand.name]
        if isinstance(operand, Call):
            return self._call(operand, dot, ())
        if isinstance(operand, Pipeline):
            value = self._evaluate(operand.first, dot)
            for call in operand.calls:
                value = self._call(call, dot, (value,))
            return value
        return dot

    def _call(self, call: Call, dot: Scalar, last: tuple[Scalar, ...]) -> Scalar:
        """Call a function; `last` is the value that a pipeline brought, if any."""
        if call.function in ("and", "or"):
            return self._choose(call, dot, last)
        arguments = [*(self._evaluate(argument, dot) for argument in call.arguments), *last]
        self._spend(arguments)
        try:
            value = call_function(self._functions[call.function], arguments)
        except TemplateError as error:
            raise TemplateError(f"{show_line(self._source, call.position)}{call.function}: {error}") from None
        self._spend([value])
        return value

    def _choose(self, call: Call, dot: Scalar, last: tuple[Scalar, ...]) -> Scalar:
        """Return the first argument that decides, else the last one. Those behind it are not evaluated."""
        if not call.arguments and not last:
            where = show_line(self._source, call.position)
            raise TemplateError(f"{where}{call.function}: needs at least 1 argument")
        value: Scalar = ""
        for argument in call.arguments:
            value = self._evaluate(argument, dot)
            if is_true(value) == (call.function == "or"):
                return value
        return last[0] if last else value

    def _spend(self, values: Iterable[Scalar]) -> None:
        self._work += sum(len(value) for value in values if isinstance(value, str))
        if self._work > MAX_WORK:
            raise TemplateError(f"the functions handle more than {MAX_WORK:,} characters")
