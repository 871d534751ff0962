"""The functions that a template may call.

Those of Vault's user name templates (Vault SDK 0.21, helper/template/funcs.go), the four that OpenBao adds
(OpenBao 2.6, sdk/helper/template/funcs.go), and of Go's own those that work on texts and numbers.
"""

from __future__ import annotations

import operator
import os
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from authkit.credentials.templates.errors import TemplateError, verify_length
from authkit.credentials.templates.go_time import format_time
from authkit.credentials.templates.printf import sprint, sprintf
from authkit.credentials.templates.scalars import Scalar, cut, is_true, to_lower, to_upper, type_name
from authkit.globs import matches_glob
from authkit.values import Value

__all__ = ["FUNCTIONS", "HASH_LENGTH", "Function", "call_function"]

BASE62: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_BASE62_OF_BYTES: Final = bytes(BASE62[byte % 62] for byte in range(256))
_BIASED: Final = bytes(range(256 // 62 * 62, 256))
"""Bytes that are drawn again: with them, the first characters would be more frequent."""

HASH_LENGTH: Final = 8
"""Hexadecimal digits at the end of what `truncate_sha256` has shortened."""


class Function(Value, frozen=True):
    """A function and the types of its parameters; those of `rest` may follow any number of times."""

    call: Callable[..., Scalar]
    parameters: tuple[type[Scalar] | None, ...] = ()
    """`None` takes any type."""
    is_variadic: bool = False
    """Whether more arguments of any type may follow."""


def call_function(function: Function, arguments: Sequence[Scalar]) -> Scalar:
    """Return what a function returns.

    Raises:
        TemplateError: the arguments do not fit, or the result would be too long.
    """
    wanted = len(function.parameters)
    if len(arguments) < wanted or (len(arguments) > wanted and not function.is_variadic):
        least = "at least " if function.is_variadic else ""
        raise TemplateError(f"wrong number of arguments: want {least}{wanted}, got {len(arguments)}")
    for kind, argument in zip(function.parameters, arguments, strict=False):
        if kind not in (None, type(argument)):
            got = type_name(type(argument))
            raise TemplateError(f"wrong type of argument: want {type_name(kind)}, got {got}")
    return function.call(*arguments)


def _random(length: int) -> str:
    if length < 0:
        raise TemplateError(f"length must be >= 0 but was {length}")
    verify_length(length)
    text = ""
    while len(text) < length:
        text += os.urandom(length + length // 4).translate(_BASE62_OF_BYTES, _BIASED).decode()
    return text[:length]


def _truncate(size: int, text: str) -> str:
    if size <= 0:
        raise TemplateError(f"max length must be > 0 but was {size}")
    return cut(text, size)


def _truncate_sha256(size: int, text: str) -> str:
    if size <= HASH_LENGTH:
        raise TemplateError(f"max length must be > {HASH_LENGTH} but was {size}")
    if len(text.encode()) <= size:
        return text
    kept = cut(text, size - HASH_LENGTH)
    return kept + _sha256(text[len(kept) :])[:HASH_LENGTH]


def _replace(old: str, new: str, text: str) -> str:
    verify_length(len(text) + text.count(old) * (len(new) - len(old)))
    return text.replace(old, new)


def _sha256(text: str) -> str:
    from hashlib import sha256

    return sha256(text.encode()).hexdigest()


def _base64(text: str) -> str:
    from base64 import b64encode

    verify_length(2 * len(text))
    return b64encode(text.encode()).decode()


def _decode_base64(text: str) -> str:
    from base64 import b64decode

    try:
        return _to_text(b64decode(text.replace("\r", "").replace("\n", ""), validate=True))
    except ValueError:
        raise TemplateError("the argument is not base64") from None


def _hex(text: str) -> str:
    verify_length(2 * len(text))
    return text.encode().hex()


def _decode_hex(text: str) -> str:
    from binascii import unhexlify

    try:
        return _to_text(unhexlify(text))
    except ValueError:
        raise TemplateError("the argument is not hexadecimal") from None


def _to_text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise TemplateError("the result is not UTF-8") from None


def _unix_time() -> str:
    return str(int(time.time()))


def _unix_time_millis() -> str:
    return str(time.time_ns() // 1_000_000)


def _timestamp(layout: str) -> str:
    verify_length(2 * len(layout))
    return format_time(datetime.now().astimezone(), layout)


def _uuid() -> str:
    digits = os.urandom(16).hex()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def _equal(value: Scalar, other: Scalar, *more: Scalar) -> bool:
    for each in (other, *more):
        if type(each) is not type(value):
            raise _incompatible(value, each)
        if each == value:
            return True
    return False


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Scalar, Scalar], bool]:
    def function(value: Scalar, other: Scalar) -> bool:
        if type(other) is not type(value) or isinstance(value, bool):
            raise _incompatible(value, other)
        return compare(value, other)

    return function


def _incompatible(value: Scalar, other: Scalar) -> TemplateError:
    first, second = type_name(type(value)), type_name(type(other))
    return TemplateError(f"incompatible types for comparison: {first} and {second}")


def _unequal(value: Scalar, other: Scalar) -> bool:
    return not _equal(value, other)


FUNCTIONS: Final[Mapping[str, Function]] = {
    # Vault
    "random": Function(_random, (int,)),
    "truncate": Function(_truncate, (int, str)),
    "truncate_sha256": Function(_truncate_sha256, (int, str)),
    "uppercase": Function(to_upper, (str,)),
    "lowercase": Function(to_lower, (str,)),
    "replace": Function(_replace, (str, str, str)),
    "sha256": Function(_sha256, (str,)),
    "base64": Function(_base64, (str,)),
    "unix_time": Function(_unix_time),
    "unix_time_millis": Function(_unix_time_millis),
    "timestamp": Function(_timestamp, (str,)),
    "uuid": Function(_uuid),
    # OpenBao
    "decode_base64": Function(_decode_base64, (str,)),
    "hex": Function(_hex, (str,)),
    "decode_hex": Function(_decode_hex, (str,)),
    "glob": Function(matches_glob, (str, str)),
    # Go. `and` and `or` do not evaluate all their arguments: see `template`.
    "and": Function(is_true, (None,), is_variadic=True),
    "or": Function(is_true, (None,), is_variadic=True),
    "not": Function(operator.not_, (None,)),
    "eq": Function(_equal, (None, None), is_variadic=True),
    "ne": Function(_unequal, (None, None)),
    "lt": Function(_ordered(operator.lt), (None, None)),
    "le": Function(_ordered(operator.le), (None, None)),
    "gt": Function(_ordered(operator.gt), (None, None)),
    "ge": Function(_ordered(operator.ge), (None, None)),
    "len": Function(lambda text: len(text.encode()), (str,)),
    "print": Function(sprint, is_variadic=True),
    "printf": Function(sprintf, (str,), is_variadic=True),
}
