"""The field type of HTTP headers: several values by canonical name.

Accepted forms and their order are those of Vault SDK 0.21, framework/field_data.go, TypeHeader. Unlike
there, a name must be an HTTP token and a value free of control characters: either would end up in
somebody's request.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from authkit.errors import FieldError
from authkit.framework.fields.limits import MAX_FIELD_SIZE, verify_size
from authkit.framework.fields.merge_patch import merge_patch
from authkit.framework.fields.types import FieldType, text_of
from authkit.json_reader import JSONError, LenientReader
from authkit.logical import JSONNumber

__all__ = ["HeadersType", "canonical_header"]

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")

_READER: Final = LenientReader(number=JSONNumber)
_FORMS: Final = "an object of texts, its JSON as text or base64, or a list of key:value"


class HeadersType(FieldType[Mapping[str, tuple[str, ...]]]):
    """HTTP headers: an object with a text or a list of texts for each name, or a list of `key:value`.

    A text is the JSON of such an object, in base64 or as it is; what can be read as base64 is.
    """

    label = "header"

    @property
    def zero(self) -> Mapping[str, tuple[str, ...]]:
        """No headers."""
        return MappingProxyType({})

    def parse(self, name: str, raw: Any) -> Mapping[str, tuple[str, ...]]:
        """Return the values by canonical name, in the order given."""
        if isinstance(raw, str):
            raw = _from_json(name, raw)
        found: dict[str, tuple[str, ...]] = {}
        for key, value in _pairs(name, raw):
            if not _TOKEN.fullmatch(key):
                raise FieldError(name, "a header name is made of letters, digits and '-'")
            if _CONTROL.search(value):
                raise FieldError(name, "a header value has no control characters")
            key = canonical_header(key)
            found[key] = (*found.get(key, ()), value)
        return MappingProxyType(found)

    def merge(
        self, name: str, current: Mapping[str, tuple[str, ...]], raw: Any
    ) -> Mapping[str, tuple[str, ...]]:
        """Return the headers with those of `raw` replaced; null removes one."""
        if not isinstance(raw, Mapping):
            return self.parse(name, raw)
        removed = {canonical_header(key): None for key, value in raw.items() if value is None}
        return self.parse(name, merge_patch(current, {**self.parse(name, raw), **removed}))

    def dump(self, value: Mapping[str, tuple[str, ...]]) -> dict[str, list[str]]:
        """Return the headers as an object of lists."""
        return {key: list(values) for key, values in value.items()}


def canonical_header(name: str) -> str:
    """Return a header's name as Go writes it: `content-type` is `Content-Type`."""
    return "-".join(part[:1].upper() + part[1:].lower() for part in name.split("-"))


def _from_json(name: str, text: str) -> Any:
    try:
        # As Go's decoder, and unlike Python's, pass over line ends and nothing else.
        data = b64decode(text.replace("\n", "").replace("\r", ""), validate=True)
    except ValueError:
        data = text.encode("utf-8", "replace")
    try:
        value = _READER.read(data)
    except JSONError:
        value = None
    if not isinstance(value, Mapping):
        raise FieldError(name, f"expected {_FORMS}")
    verify_size(name, value, MAX_FIELD_SIZE)
    return value


def _pairs(name: str, raw: Any) -> Iterator[tuple[str, str]]:
    for part in raw if isinstance(raw, list | tuple) else [raw]:
        if isinstance(part, Mapping):
            for key, values in part.items():
                yield from ((key, text) for text in _texts(name, values))
        elif isinstance(part, str) and isinstance(raw, list | tuple) and ":" in part:
            key, _, value = part.partition(":")
            yield key, value
        else:
            raise FieldError(name, f"expected {_FORMS}")


def _texts(name: str, values: Any) -> Iterable[str]:
    # A patch removes a header with null; anywhere else that is a header without value.
    items = values if isinstance(values, list | tuple) else [] if values is None else [values]
    if any(isinstance(item, bool) for item in items):
        raise FieldError(name, "expected a text for each header")
    return [text_of(name, item) for item in items]
