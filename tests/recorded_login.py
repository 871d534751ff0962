"""The messages of one warm login as a server sends them, to be sent again: to count and to measure."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from authkit.host.supervisor.in_process.channel import InProcessChannel
from authkit.rpc.interface import CallContext

__all__ = ["RecordedLogin", "record"]


class RecordedLogin:
    """What went over the channels between host and plugin."""

    def __init__(self) -> None:
        self.messages: list[tuple[Any, bytes, CallContext]] = []
        """The plugin's handler, and what it is called with."""
        self.asked: list[str] = []
        """What the plugin has called at its host."""

    def note(self, channel: InProcessChannel, path: str, request: bytes, metadata: Sequence[Any]) -> None:
        """Note a call, in whichever direction."""
        if path.startswith("/pb.Backend/"):
            handler: Any = channel._methods[path].handler
            values = {key: [value] for key, value in metadata}
            self.messages.append((handler, request, CallContext(path, values, None)))
        else:
            self.asked.append(path)

    async def send(self) -> None:
        """Send the messages, without a host around them."""
        for handler, request, call in self.messages:
            reply = handler(request, call)
            if inspect.isawaitable(reply):
                await reply

    async def count_calls(self) -> int:
        """Return how many Python functions are called for them."""
        calls = 0

        def note(frame: object, event: str, argument: object) -> None:
            nonlocal calls
            calls += event == "call"

        sys.setprofile(note)
        try:
            await self.send()
        finally:
            sys.setprofile(None)
        return calls

    def renamed(self, name: str, other: str) -> RecordedLogin:
        """Return the same login with another role, whose name has as many characters."""
        assert len(name) == len(other), "the messages say how long it is"
        copy = RecordedLogin()
        copy.messages = [
            (handler, request.replace(name.encode(), other.encode()), call)
            for handler, request, call in self.messages
        ]
        return copy


@contextmanager
def record() -> Iterator[RecordedLogin]:
    """Record what happens within: one request, unless the test wants more."""
    login, call = RecordedLogin(), InProcessChannel.call

    async def noting(channel: InProcessChannel, path: str, request: bytes, **options: Any) -> bytes:
        login.note(channel, path, request, options.get("metadata", ()))
        return await call(channel, path, request, **options)

    with patch.object(InProcessChannel, "call", noting):
        yield login
