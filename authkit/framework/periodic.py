"""Periodic tasks: `@every("1h")`, run by the host's rollback ticks, about one each minute."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from authkit.errors import InternalError, ReadOnlyError
from authkit.framework.calls import invoke
from authkit.framework.durations import parse_duration
from authkit.framework.routes import Declaration
from authkit.logical import Request

if TYPE_CHECKING:
    from authkit.framework.backend import Backend

__all__ = ["Periodic", "Scheduler", "Task", "every"]

H = TypeVar("H", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One run of a periodic task."""

    name: str
    request: Request
    """The host's tick. It has about 90 s (Vault 1.21)."""


class Periodic(Declaration, Generic[H]):
    """A method that runs from time to time. Made by `every`."""

    def __init__(self, handler: H, interval: timedelta) -> None:
        self.handler = handler
        self.interval = interval

    @overload
    def __get__(self, backend: None, owner: type[Any]) -> Periodic[H]: ...

    @overload
    def __get__(self, backend: Backend, owner: type[Any]) -> Callable[..., Any]: ...

    def __get__(self, backend: Backend | None, owner: type[Any]) -> Periodic[H] | Callable[..., Any]:
        return self if backend is None else self.handler.__get__(backend, owner)


def every(interval: str) -> Callable[[H], Periodic[H]]:
    """Run a method at the first tick, and then whenever `interval` has passed since its last start.

    The method takes a `Task`. No run starts before the last one has ended. After a failure it is
    tried again one interval later. On a node that may not write, storage raises `ReadOnlyError`,
    which is no failure.

    Raises:
        ValueError: `interval` is no positive duration.
    """
    duration = parse_duration(interval)
    if duration <= timedelta(0):
        raise ValueError("the interval of a task must be positive")
    return lambda handler: Periodic(handler, duration)


class Scheduler:
    """Which tasks of one mount are due."""

    def __init__(self, tasks: Iterable[Periodic[Any]], clock: Callable[[], float]) -> None:
        self._tasks = tuple(tasks)
        self._clock = clock
        self._started: dict[str, float] = {}
        self._running: set[str] = set()

    async def tick(self, backend: Backend, request: Request) -> None:
        """Run every task that is due, one after the other. One that fails stops no other.

        Raises:
            InternalError: tasks have failed; the first one is the cause.
        """
        failed: dict[str, Exception] = {}
        for task in self._tasks:
            if not self._is_due(task):
                continue
            try:
                await self._run(task, backend, request)
            except ReadOnlyError:
                backend.log.debug("periodic task %s: this node may not write", task.attribute)
            except Exception as error:
                backend.log.exception("periodic task %s failed", task.attribute)
                failed[task.attribute] = error
        if failed:
            first = next(iter(failed.values()))
            raise InternalError(f"periodic tasks failed: {', '.join(failed)}") from first

    def _is_due(self, task: Periodic[Any]) -> bool:
        if task.attribute in self._running:
            return False
        started = self._started.get(task.attribute)
        return started is None or self._clock() - started >= task.interval.total_seconds()

    async def _run(self, task: Periodic[Any], backend: Backend, request: Request) -> None:
        self._running.add(task.attribute)
        self._started[task.attribute] = self._clock()
        try:
            await invoke(task.handler, backend, Task(name=task.attribute, request=request))
        finally:
            self._running.discard(task.attribute)
