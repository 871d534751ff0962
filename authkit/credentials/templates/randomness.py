"""How much of what a template makes is random, for given data: counted, not guessed from the template."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from authkit.credentials.templates.errors import TemplateError, verify_length
from authkit.credentials.templates.functions import FUNCTIONS, HASH_LENGTH, Function
from authkit.credentials.templates.template import Template

__all__ = ["MIN_RANDOM", "count_random"]

MIN_RANDOM: Final = 8
"""Random characters by which names are distinct: 47 bits, in one case 41, of a UUID or a hash 32."""

_MARK: Final = "\x01"
"""One random character: one byte, which no function changes but those of `_COUNTED`."""


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


def _sha256(text: str) -> str:
    digest = str(FUNCTIONS["sha256"].call(text))
    return _MARK * len(digest) if text.count(_MARK) >= MIN_RANDOM else digest


def _truncate_sha256(size: int, text: str) -> str:
    shortened = str(FUNCTIONS["truncate_sha256"].call(size, text))
    if shortened == text:
        return text
    kept = shortened[:-HASH_LENGTH]  # as it was; the hash is that of the rest
    return kept + _sha256(text[len(kept) :])[:HASH_LENGTH]


def _hex(text: str) -> str:
    return _encoded("hex", text, group=1, size=2)


def _base64(text: str) -> str:
    return _encoded("base64", text, group=3, size=4)


def _encoded(name: str, text: str, *, group: int, size: int) -> str:
    """Return what an encoding makes of a text: `group` bytes become `size` characters, in the same order.

    The random ones are the last of their group, so that none is counted before it is there.
    """
    encoded, data = str(FUNCTIONS[name].call(text)), text.encode()
    groups = []
    for index in range(0, len(encoded), size):
        start = index // size * group
        marks = data[start : start + group].count(_MARK.encode())
        groups.append(encoded[index : index + size - marks] + _MARK * marks)
    return "".join(groups)


_COUNTED: Final[Mapping[str, Function]] = {
    **FUNCTIONS,
    "sha256": Function(_sha256, (str,)),
    "truncate_sha256": Function(_truncate_sha256, (int, str)),
    "hex": Function(_hex, (str,)),
    "base64": Function(_base64, (str,)),
    "random": Function(_mark, (int,)),
    "uuid": Function(lambda: "-".join(_MARK * size for size in (8, 4, 4, 4, 12))),
}
