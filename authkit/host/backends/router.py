"""Route tables for `sys/` and `auth/token/`: patterns, fields, a handler for each operation."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any

from authkit.framework.fields.durations import parse_duration
from authkit.host.authorization import Caller
from authkit.host.messages import Answer, Failure, HostRequest, listed
from authkit.host.mounts.special_paths import PathPatterns
from authkit.host.store.times import whole_seconds
from authkit.logical import Operation
from authkit.values import Value, replace

__all__ = ["Call", "Route", "Routes", "duration_of", "flag_of", "integer_of", "list_of", "text_of"]


class Call(Value, frozen=True, kw_only=True):
    """One request to one of the host's own backends."""

    request: HostRequest
    request_id: str
    operation: Operation
    path: str
    """Below the mount."""
    data: Mapping[str, Any]
    """Body or query, and what the path holds."""
    caller: Caller | None
    """`None`: without a valid token, on a path that needs none."""
    wrap_ttl: timedelta = timedelta(0)

    @property
    def known_caller(self) -> Caller:
        """The caller, on a path that needs a token."""
        assert self.caller is not None
        return self.caller


Handler = Callable[[Call], Awaitable[Answer | None]]


class Route(Value, frozen=True):
    """One pattern and what answers it. Made by `Routes.add`."""

    pattern: re.Pattern[str]
    fields: frozenset[str] | None
    """`None`: any."""
    handlers: Mapping[Operation, Handler]
    is_lifted: bool


class Routes:
    """The table of one backend. The first route whose pattern matches counts, as in the SDK."""

    def __init__(self, *, root: tuple[str, ...] = (), unauthenticated: tuple[str, ...] = ()) -> None:
        self._routes: list[Route] = []
        self._root = PathPatterns(root, segments=False)
        self._unauthenticated = PathPatterns(unauthenticated)

    def add(
        self,
        pattern: str,
        fields: str = "",
        *,
        lifted: bool = False,
        any_fields: bool = False,
        **handlers: Handler,
    ) -> None:
        """Add a route: a regular expression, the names of its fields, a handler per operation."""
        by_operation = {Operation(name): handler for name, handler in handlers.items()}
        compiled = re.compile(pattern, re.ASCII)
        names = None if any_fields else frozenset(fields.split()) | compiled.groupindex.keys()
        self._routes.append(Route(compiled, names, by_operation, lifted))

    def __iter__(self) -> Iterator[Route]:
        return iter(self._routes)

    def needs_sudo(self, path: str) -> bool:
        """Whether the path is for callers with `sudo` only."""
        return self._root.match(path)

    def needs_no_token(self, path: str) -> bool:
        """Whether the path is open to everybody."""
        return self._unauthenticated.match(path)

    async def handle(self, call: Call) -> Answer | None:
        """Answer a request.

        Raises:
            Failure: it is refused.
        """
        for route in self._routes:
            match = route.pattern.fullmatch(call.path)
            if match is None:
                continue
            if call.operation is Operation.HELP:
                return Answer(bare=_help(call.path, route))
            handler = route.handlers.get(call.operation)
            if handler is None:
                raise self._refused(405, "unsupported operation", call)
            captures = {name: value or "" for name, value in match.groupdict().items()}
            ignored = [] if route.fields is None else sorted(call.data.keys() - route.fields)
            answer = await handler(replace(call, data={**call.data, **captures}))
            if answer is None:
                return None
            warnings = answer.warnings
            if ignored and answer.raw is None and answer.bare is None:
                warnings += (f"Endpoint ignored these unrecognized parameters: [{' '.join(ignored)}]",)
            return replace(answer, warnings=warnings, is_lifted=route.is_lifted)
        raise self._refused(404, "unsupported path", call)

    @staticmethod
    def _refused(status: int, text: str, call: Call) -> Failure:
        return Failure(status, listed(text) if call.caller is not None else text)


def _help(path: str, route: Route) -> dict[str, Any]:
    """Return the page of one of the host's own paths: what it takes. Vault's pages say what it means."""
    fields = "".join(f"    {name}\n\n" for name in sorted(route.fields or ()))
    text = f"Request:        {path}\nMatching Route: ^{route.pattern.pattern}$\n\n<no synopsis>"
    text += f"\n\n## PARAMETERS\n\n{fields}" if fields else ""
    return {"help": text.rstrip(), "see_also": None, "openapi": None}


# --- fields ------------------------------------------------------------------------------------


def text_of(data: Mapping[str, Any], name: str) -> str:
    """Return a text field, empty when absent."""
    value = data.get(name)
    if value is None:
        return ""
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, str | int | float):
        return str(value)
    raise Failure(400, f'Field validation failed: error converting input for field "{name}": expected text')


def flag_of(data: Mapping[str, Any], name: str, default: bool = False) -> bool:
    """Return a boolean field."""
    value = data.get(name)
    if value is None or value == "":
        return default
    if isinstance(value, bool | int | float):
        return bool(value)
    if value in ("1", "t", "T", "TRUE", "true", "True"):
        return True
    if value in ("0", "f", "F", "FALSE", "false", "False"):
        return False
    raise Failure(
        400, f'Field validation failed: error converting input for field "{name}": expected a boolean'
    )


def integer_of(data: Mapping[str, Any], name: str) -> int:
    """Return an integer field, 0 when absent."""
    value = data.get(name)
    if value is None or value == "":
        return 0
    try:
        if isinstance(value, str | int) or (isinstance(value, float) and value.is_integer()):
            return int(value)
    except ValueError:
        pass
    raise Failure(
        400, f'Field validation failed: error converting input for field "{name}": expected an integer'
    )


def duration_of(data: Mapping[str, Any], name: str, *, is_text: bool = False) -> timedelta:
    """Return a duration in whole seconds, zero when absent. `is_text`: the field is a text to its schema."""
    text = text_of(data, name)
    try:
        return timedelta(seconds=whole_seconds(parse_duration(text)))
    except ValueError:
        words = f'time: invalid duration "{text}"'
        where = "" if is_text else f'Field validation failed: error converting input for field "{name}": '
        raise Failure(400, where + words) from None


def list_of(data: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """Return a list of texts; one text is split at commas."""
    value = data.get(name)
    if value is None or value == "":
        return ()
    if isinstance(value, str):
        return tuple(each.strip() for each in value.split(","))
    if isinstance(value, list | tuple) and all(isinstance(each, str) for each in value):
        return tuple(each.strip() for each in value)
    raise Failure(
        400, f'Field validation failed: error converting input for field "{name}": expected a list of texts'
    )


def texts_of(data: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """Return a list of texts; one text is one of them, commas and all."""
    value = data.get(name)
    return (value,) if isinstance(value, str) and value else list_of(data, name)


def map_of(data: Mapping[str, Any], name: str) -> dict[str, str]:
    """Return key/value pairs; `k=v` texts are taken too."""
    value = data.get(name)
    if value is None or value == "":
        return {}
    if isinstance(value, str):
        value = [value]
    if isinstance(value, list) and all(isinstance(each, str) and "=" in each for each in value):
        return dict(each.split("=", 1) for each in value)
    if isinstance(value, Mapping) and all(isinstance(each, str | int | float) for each in value.values()):
        return {key: text_of(value, key) for key in value}
    raise Failure(400, f'Field validation failed: error converting input for field "{name}": expected pairs')
