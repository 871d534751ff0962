"""Periodic tasks: `@every("1h")`, run by the host's rollback ticks, about one each minute."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, runtime_checkable

from authkit.errors import AuthKitError, InternalError, ReadOnlyError
from authkit.framework.fields.durations import parse_duration
from authkit.framework.handler_threads import Exclusive, invoke
from authkit.framework.routing.declarations import MethodDeclaration, MountContext
from authkit.logical import Request
from authkit.values import Value

__all__ = ["Periodic", "Scheduler", "Task", "every", "find_tasks"]

P = ParamSpec("P")
R = TypeVar("R")


class Task(Value, frozen=True, kw_only=True):
    """One run of a periodic task."""

    name: str
    request: Request
    """The host's tick. It has about 90 s (Vault 1.21)."""
    can_write: bool = False
    """Whether this node may write, as `Node.can_write` said before the run. Always true with `writes`."""


class Periodic(MethodDeclaration[P, R]):
    """A method that runs from time to time. Made by `every`."""

    def __init__(
        self, handler: Callable[Concatenate[Any, P], R], interval: timedelta, *, writes: bool
    ) -> None:
        super().__init__(handler)
        self.interval = interval
        self.writes = writes

    def tasks(self) -> Iterable[Periodic[..., Any]]:
        """Return itself."""
        return [self]


@runtime_checkable
class HasTasks(Protocol):
    """A declaration that has something to do from time to time."""

    def tasks(self) -> Iterable[Periodic[..., Any]]:
        """Return what is to be done; each has a name in `attribute`."""
        ...


def find_tasks(backend: type[MountContext]) -> list[Periodic[..., Any]]:
    """Return what the declarations of a class have to do from time to time."""
    declared = backend.declarations.values()
    return [each for one in declared if isinstance(one, HasTasks) for each in one.tasks()]


class PeriodicDecorator(Protocol):
    """Declares a method, and keeps its parameters for type checkers."""

    def __call__(self, handler: Callable[Concatenate[Any, P], R], /) -> Periodic[P, R]:
        """Return the declaration."""
        ...


def every(interval: str | float | timedelta, *, writes: bool = False) -> PeriodicDecorator:
    """Run a method at the first tick, and then whenever `interval` has passed since its last start.

    The method takes a `Task`. No run starts before the last one has ended, its thread included where the
    method is a plain `def`; a skipped run is logged. After a failure it is tried again one interval later.

    With `writes` it runs only on a node that may write; on any other it stays due, and runs at the first
    tick after the node may. Without, it runs on every node, and `ReadOnlyError` from storage does not count
    as a failure.

    Args:
        interval: such as `"1h"`; a number counts seconds.

    Raises:
        TypeError: `interval` is nothing of the kind; at the method, it does not take one parameter.
        ValueError: `interval` is not a positive duration.
    """
    duration = _read_interval(interval)
    if duration <= timedelta(0):
        raise ValueError("the interval of a task must be positive")

    def declare(handler: Callable[Concatenate[Any, P], R], /) -> Periodic[P, R]:
        parameters = list(inspect.signature(handler).parameters.values())
        if len(parameters) != 2 or not all(each.kind in _POSITIONAL for each in parameters):
            name = handler.__name__
            raise TypeError(
                f"{handler.__qualname__}: a periodic task takes a Task and nothing else: "
                f"async def {name}(self, task: Task)"
            )
        return Periodic(handler, duration, writes=writes)

    return declare


_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def _read_interval(interval: object) -> timedelta:
    if isinstance(interval, timedelta):
        return interval
    if isinstance(interval, str):
        return parse_duration(interval)
    if isinstance(interval, int | float) and not isinstance(interval, bool):
        return timedelta(seconds=interval)
    hint = "with parentheses" if callable(interval) else f"not with {interval!r}"
    raise TypeError(f"write @every('1h'), @every(60) or @every(timedelta(minutes=1)), {hint}")


class Scheduler:
    """Which tasks of one mount are due. `mount` is its stable id."""

    def __init__(
        self, tasks: Iterable[Periodic[..., Any]], clock: Callable[[], float], *, mount: str = ""
    ) -> None:
        self._tasks = tuple(tasks)
        self._clock = clock
        self._started: dict[str, float] = {}
        names = [task.attribute for task in self._tasks]
        self._runs = {name: Exclusive.of(mount, f"periodic task {name}") for name in names}
        self._reported: set[str] = set()

    async def tick(self, backend: MountContext, request: Request) -> None:
        """Run every task that is due, one after the other. One that fails stops no other.

        Raises:
            InternalError: tasks have failed; the first one is the cause.
            ReadOnlyError: nothing failed but that a task with `writes` could not write after all. The
                text is the host's own, which it looks for.
        """
        if not any(map(self._is_due, self._tasks)):
            return
        failed: dict[str, Exception] = {}
        can_write = await self._can_write(backend, failed)
        for task in self._tasks:
            # Asked again: while another one ran, a second tick may have started this one.
            if not self._is_due(task) or (task.writes and not can_write):
                continue
            try:
                await self._run(task, backend, request, can_write=can_write)
            except ReadOnlyError as error:
                self._report(task, backend, error)
                if task.writes:
                    failed[task.attribute] = error
            except Exception as error:
                backend.log.exception("periodic task %s failed", task.attribute)
                failed[task.attribute] = error
        _raise_failures(failed)

    async def _can_write(self, backend: MountContext, failed: dict[str, Exception]) -> bool:
        try:
            return await backend.node.can_write()
        except AuthKitError as error:
            backend.log.warning("cannot tell whether this node may write: %s", error)
            failed |= {task.attribute: error for task in self._tasks if task.writes and self._is_due(task)}
            return False

    def _report(self, task: Periodic[..., Any], backend: MountContext, error: ReadOnlyError) -> None:
        # Once: a standby would otherwise say so for years.
        if task.attribute not in self._reported:
            self._reported.add(task.attribute)
            backend.log.warning("periodic task %s: %s", task.attribute, error)

    def _is_due(self, task: Periodic[..., Any]) -> bool:
        started = self._started.get(task.attribute)
        if started is not None and self._clock() - started < task.interval.total_seconds():
            return False
        return self._runs[task.attribute].may_begin()

    async def _run(
        self, task: Periodic[..., Any], backend: MountContext, request: Request, *, can_write: bool
    ) -> None:
        self._started[task.attribute] = self._clock()
        run = Task(name=task.attribute, request=request, can_write=can_write)
        with self._runs[task.attribute].run():
            await invoke(task.handler, backend, run)


def _raise_failures(failed: Mapping[str, Exception]) -> None:
    real = [error for error in failed.values() if not isinstance(error, ReadOnlyError)]
    if real:
        raise InternalError(f"periodic tasks failed: {', '.join(failed)}") from real[0]
    if failed:
        raise next(iter(failed.values()))
