"""Values as JSON and back: the form in which the host keeps its own state.

Which records there are, and under which keys, is left to their modules. A reader ignores fields that
it does not know and takes the default for those that are missing, so that shapes can grow.
"""

from __future__ import annotations

import json
import types
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import Enum
from functools import cache
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from authkit.values import Value

__all__ = ["dump", "load"]

T = TypeVar("T")


def dump(record: Any) -> bytes:
    """Return a value as JSON."""
    return json.dumps(_plain(record), separators=(",", ":")).encode()


def load(kind: type[T], data: bytes) -> T:
    """Return the instance of `kind` that `dump` has written.

    Raises:
        ValueError: `data` is something else.
    """
    value: T = _reader(cast("Any", kind))(json.loads(data))
    return value


def _plain(value: Any) -> Any:
    if value is None or (isinstance(value, str | bool | int | float) and not isinstance(value, Enum)):
        return value
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return {name: _plain(getattr(value, name)) for name in value.__struct_fields__}


@cache
def _reader(kind: Any) -> Callable[[Any], Any]:
    """Return what turns plain JSON into a value of `kind`, an annotation of one of our records."""
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        (inner,) = (each for each in get_args(kind) if each is not type(None))
        read = _reader(inner)
        return lambda value: None if value is None else read(value)
    if origin is tuple:
        read = _reader(get_args(kind)[0])
        return lambda value: tuple(map(read, value))
    if origin is not None and issubclass(origin, Mapping):
        read = _reader(get_args(kind)[1])
        return lambda value: {key: read(each) for key, each in value.items()}
    if origin is not None and issubclass(origin, Sequence):
        read = _reader(get_args(kind)[0])
        return lambda value: tuple(map(read, value))
    if kind is timedelta:
        return lambda value: timedelta(seconds=value)
    if kind is datetime:
        return datetime.fromisoformat
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind
    if isinstance(kind, type) and issubclass(kind, Value):
        return _record_reader(kind)
    return lambda value: value


def _record_reader(kind: Any) -> Callable[[Any], Any]:
    hints = get_type_hints(kind)

    def read(value: Any) -> Any:
        if not isinstance(value, dict):
            raise ValueError(f"no stored {kind.__name__}")
        names = [name for name in kind.__struct_fields__ if name in value]
        return kind(**{name: _reader(hints[name])(value[name]) for name in names})

    return read
