"""What a parsed template consists of."""

from __future__ import annotations

from authkit.values import Value

__all__ = ["Branch", "Call", "Constant", "Dot", "Field", "Node", "Operand", "Pipeline", "Text"]


class Constant(Value, frozen=True):
    """A number, a string or a boolean."""

    value: str | int | bool


class Field(Value, frozen=True):
    """A field of the data: `.RoleName`."""

    name: str


class Dot(Value, frozen=True):
    """The value of the innermost `with`."""


class Call(Value, frozen=True):
    """A call of a function. In a later stage of a pipeline the value before is its last argument."""

    function: str
    arguments: tuple[Operand, ...]
    position: int


class Pipeline(Value, frozen=True):
    """A value, and the calls that it goes through."""

    first: Operand
    calls: tuple[Call, ...] = ()


Operand = Constant | Field | Dot | Call | Pipeline


class Text(Value, frozen=True):
    """Text between actions."""

    text: str


class Branch(Value, frozen=True):
    """`if` or `with`."""

    condition: Pipeline
    body: tuple[Node, ...]
    otherwise: tuple[Node, ...]
    sets_dot: bool
    """Whether it is `with`."""


Node = Text | Pipeline | Branch
