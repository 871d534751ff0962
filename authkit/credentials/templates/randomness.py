"""How much of what a template makes is random, for given data: counted, not guessed from the template."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from authkit.credentials.templates.errors import TemplateError, verify_length
from authkit.credentials.templates.functions import FUNCTIONS, Function
from authkit.credentials.templates.scalars import Scalar
from authkit.credentials.templates.template import Template

__all__ = ["MIN_RANDOM", "count_random"]

MIN_RANDOM: Final = 8
"""Random characters by which names are distinct: 47 bits, in one case 41, of a UUID or a hash 32."""

_MARK: Final = "\x01"
"""One random character: one byte, which no function changes but those of `_MIXED`."""

_MIXED: Final = ("sha256", "truncate_sha256", "base64", "hex")
"""Functions whose result is as random as what they are given, if that is random enough."""


def count_random(template: Template, data: Mapping[str, str], *, size: int) -> int:
    """Return how many of the first `size` bytes are random characters; 0 if the template fails."""
    try:
        text = template.apply({name: text.replace(_MARK, "?") for name, text in data.items()}, _COUNTED)
    except TemplateError:
        return 0
    return text.encode()[:size].count(_MARK.encode())


def _mark(length: int) -> str:
    verify_length(length)
    return _MARK * length


def _mixed(function: Function) -> Function:
    def call(*arguments: Scalar) -> Scalar:
        result = str(function.call(*arguments))
        is_random = str(arguments[-1]).count(_MARK) >= MIN_RANDOM
        return _MARK * len(result) if is_random else result

    return Function(call, function.parameters)


_COUNTED: Final[Mapping[str, Function]] = {
    **FUNCTIONS,
    **{name: _mixed(FUNCTIONS[name]) for name in _MIXED},
    "random": Function(_mark, (int,)),
    "uuid": Function(lambda: "-".join(_MARK * size for size in (8, 4, 4, 4, 12))),
}
