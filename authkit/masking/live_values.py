"""The values of live secrets, and where they occur in a text, at a cost that their number does not change.

Each value is filed under one of its windows, `WINDOW` characters in a row. A text is searched by looking
each of its windows up once, and only where one is found are the few values filed there compared whole.
Most secrets live for one request: a new value is filed only when `MAX_RECENT` others are alive that are not
filed either. Which texts are searched is decided by `authkit.masking`.
"""

from __future__ import annotations

import itertools
import threading
from collections import deque

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["WINDOW", "LiveValues"]

WINDOW = 16
"""Shorter values are not searched for: people choose them, and then the log would confirm a guess to
someone who can cause log lines and read them. Generated secrets are longer: 16 hexadecimal digits are
64 bits. Only a whole value is ever found, so a longer one cannot be guessed piece by piece."""

MAX_RECENT = 64
"""Values that are not filed yet, each of which is compared with every text; and those that have ended but
are filed still."""

MAX_SHARED = 8
"""Values filed under one window, all of which are compared where it occurs. Strangers choose some of the
values, and could choose thousands that are alike."""

PLACES = 4
"""Windows tried for a value before it is not searched for. They follow from its hash, which nobody outside
the process can compute; all are full only if the value consists of what many others have too."""


class _Filed:
    __slots__ = ("owners", "place", "value", "window")

    def __init__(self, window: str, place: int, value: str) -> None:
        self.window = window
        self.place = place
        """Where the window is in the value."""
        self.value = value
        self.owners = 0


class LiveValues:
    """Values that are searched for as long as their owners live.

    Safe to use from several threads and from the garbage collector, which may call any method within any
    other, in the same thread: no method waits for a lock.
    """

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._recent: dict[int, str] = {}
        self._filed: dict[int, _Filed] = {}
        self._by_window: dict[str, list[_Filed]] = {}
        self._ended: deque[int] = deque()
        """Numbers of filed values whose owner has ended."""
        self._settling = threading.Lock()

    def add(self, value: str) -> int:
        """Search for a value until `end` is called with the number returned; 0 for one that is too short."""
        if len(value) < WINDOW:
            return 0
        number = next(self._numbers)
        self._recent[number] = value
        if len(self._recent) > MAX_RECENT:
            self._settle()
        return number

    def end(self, number: int) -> None:
        """End the search for one value; an equal one of another owner goes on."""
        if self._recent.pop(number, None) is None:
            self._ended.append(number)
            if len(self._ended) > MAX_RECENT:
                self._settle()

    def find(self, text: str) -> Iterator[tuple[int, int]]:
        """Yield begin and end of every value in `text`, in any order. They may overlap."""
        for value in set(self._recent.copy().values()):
            begin = text.find(value)
            while begin >= 0:
                yield begin, begin + len(value)
                begin = text.find(value, begin + len(value))
        by_window = self._by_window
        if not by_window:
            return
        for start in range(len(text) - WINDOW + 1):
            window = text[start : start + WINDOW]
            if window in by_window:
                for filed in tuple(by_window.get(window, ())):
                    begin = start - filed.place
                    if begin >= 0 and text.startswith(filed.value, begin):
                        yield begin, begin + len(filed.value)

    def _settle(self) -> None:
        """File what is recent and remove what has ended, unless somebody is doing so already."""
        if not self._settling.acquire(blocking=False):
            return
        try:
            for number, value in self._recent.copy().items():
                self._file(number, value)
                # In this order a search finds it at any time.
                if self._recent.pop(number, None) is None:
                    self._remove(number)  # it has ended meanwhile
            while self._ended:
                self._remove(self._ended.popleft())
        finally:
            self._settling.release()

    def _file(self, number: int, value: str) -> None:
        code = hash(value)
        for _ in range(PLACES):
            place = code % (len(value) - WINDOW + 1)
            window = value[place : place + WINDOW]
            shared = self._by_window.setdefault(window, [])
            filed = next((each for each in shared if each.value == value and each.place == place), None)
            if filed is None and len(shared) < MAX_SHARED:
                filed = _Filed(window, place, value)
                shared.append(filed)
            if filed is not None:
                filed.owners += 1
                self._filed[number] = filed
                return
            code >>= 11

    def _remove(self, number: int) -> None:
        filed = self._filed.pop(number, None)
        if filed is None:
            return
        filed.owners -= 1
        if not filed.owners:
            shared = self._by_window[filed.window]
            shared.remove(filed)
            if not shared:
                del self._by_window[filed.window]
