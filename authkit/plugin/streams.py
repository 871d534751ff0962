"""The process's standard streams: taken over at once, so that nobody can harm the protocol with them.

Standard output carries the handshake line and nothing else; standard error carries log lines. Both
originals move to private descriptors. What the author's code, its libraries or its child processes
print goes into pipes of our own and is handed on line by line, secrets masked and control characters escaped:
as log records, and to the host's listener (go-plugin's stdio service).

A child process never holds the host's pipes: a host waits for their end before it takes the plugin
for ended (go-plugin 1.8, client.go, Start), so a stray child would keep it waiting for ever.
"""

from __future__ import annotations

import contextlib
import faulthandler
import logging
import os
import re
import selectors
import sys
import threading
from collections.abc import Callable, Iterator
from enum import IntEnum

from authkit.masking import mask_logged
from authkit.printable import to_printable

__all__ = ["CapturedStream", "StandardStreams"]

log = logging.getLogger("authkit.output")

_READ_BYTES = 16 * 1024
_MAX_LINE = 8 * 1024
"""A printed line is handed on in pieces of this size."""

MAX_KEPT_LINE = 64 * 1024
"""Bytes of a line that are kept until its end is there, since a secret is masked as a whole only: as many as
a field of a login may have. A longer line is not shown: cut anywhere, also at a blank, it could show half of
a secret, or a private key whose first line was cut."""

MAX_KEY_LINES = 400
"""Lines that a private key may span: RSA keys of 16,384 bits have 200. Then lines are handed on again, so
that one line which looks like the beginning of a key does not hide everything printed after it."""

FINISH_SECONDS = 0.2
"""How long the last printed lines may take to reach the log."""


class CapturedStream(IntEnum):
    """Where something was printed; the numbers are those of `plugin.StdioData`."""

    STDOUT = 1
    STDERR = 2


Listener = Callable[[CapturedStream, bytes], None]


class StandardStreams:
    """The originals, and the pipes that stand in for them.

    There is one per process; making it rearranges file descriptors 0, 1 and 2.
    """

    def __init__(self) -> None:
        self._handshake = _private_copy(1)
        self.log_descriptor = _private_copy(2)
        """Where log lines go: the host's end of standard error."""
        self._listener: Listener | None = None
        _replace_stdin()
        readers = {stream: _replace_with_pipe(stream) for stream in CapturedStream}
        faulthandler.enable(self.log_descriptor)
        os.register_at_fork(after_in_child=self._forget)
        self._thread = threading.Thread(
            target=self._pump, args=(readers,), name="authkit-output", daemon=True
        )
        self._thread.start()

    def listen(self, listener: Listener | None) -> None:
        """Hand what is printed to `listener` as well. It is called from another thread."""
        self._listener = listener

    def announce(self, line: bytes) -> None:
        """Write the handshake line and close standard output. May be called once.

        Raises:
            OSError: the host is gone.
        """
        while line:
            line = line[os.write(self._handshake, line) :]
        os.close(self._handshake)
        self._handshake = -1

    def finish(self) -> None:
        """Hand on what was printed last. The process ends after this."""
        null = os.open(os.devnull, os.O_RDWR)
        for stream in CapturedStream:
            getattr(sys, stream.name.lower()).flush()
            os.dup2(null, stream.value)
        # Without end when a child process still holds the pipes.
        self._thread.join(FINISH_SECONDS)

    def _forget(self) -> None:
        """Let go of the host's pipes in a forked child."""
        # Replaced, not closed: the numbers must not come to mean something else.
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in (self._handshake, self.log_descriptor):
            if descriptor >= 0:
                os.dup2(null, descriptor, inheritable=False)
        os.close(null)

    def _pump(self, readers: dict[CapturedStream, int]) -> None:
        lines = {stream: _Lines() for stream in CapturedStream}
        with selectors.DefaultSelector() as selector:
            for stream, descriptor in readers.items():
                selector.register(descriptor, selectors.EVENT_READ, stream)
            while selector.get_map():
                for key, _ in selector.select():
                    data = os.read(key.fd, _READ_BYTES)
                    if not data:
                        selector.unregister(key.fd)
                    for text in lines[key.data].feed(data):
                        self._deliver(key.data, text)

    def _deliver(self, stream: CapturedStream, text: str) -> None:
        listener = self._listener
        if listener is not None:
            with contextlib.suppress(Exception):
                listener(stream, text.encode(errors="replace") + b"\n")
        level = logging.INFO if stream is CapturedStream.STDOUT else logging.WARNING
        if text.strip():
            log.log(level, "%s", text.rstrip(), extra={"kv": {"stream": stream.name.lower()}})


class _Lines:
    """Cuts what was printed into masked lines; a private key that spans lines disappears whole."""

    def __init__(self) -> None:
        self._rest = b""
        self._is_too_long = False
        """Within a line that is not shown: of it `_rest` is the end alone."""
        self._key_lines = 0
        """How many more lines may belong to a private key."""

    def feed(self, data: bytes) -> Iterator[str]:
        """Yield the lines that `data` completes; no data is the end of the stream."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if self._rest and not data:
            lines, self._rest = [*lines, self._rest], b""
        for line in lines:
            is_too_long = self._is_too_long or len(line) > MAX_KEPT_LINE
            self._is_too_long = False
            yield from self._masked(line.decode(errors="replace"), is_too_long=is_too_long)
        if len(self._rest) > MAX_KEPT_LINE:
            self._is_too_long, self._rest = True, self._rest[-_MAX_KEY_BEGIN:]

    def _masked(self, line: str, *, is_too_long: bool) -> Iterator[str]:
        if self._key_lines:
            self._key_lines = 0 if "-----END" in line else self._key_lines - 1
            return
        if _KEY_BEGINS.search(line) and "-----END" not in line:
            self._key_lines = MAX_KEY_LINES
        text = _TOO_LONG if is_too_long else to_printable(mask_logged(line))
        yield from (text[start : start + _MAX_LINE] for start in range(0, len(text) or 1, _MAX_LINE))


_TOO_LONG = "[a line that is too long to be shown]"
_MAX_KEY_BEGIN = 256
"""Bytes at the end of a line in which a private key may begin."""
_KEY_BEGINS = re.compile("-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----")


def _private_copy(descriptor: int) -> int:
    """Duplicate a descriptor for this process alone: `os.dup` makes it close on exec."""
    try:
        return os.dup(descriptor)
    except OSError:  # started with the stream closed
        return os.open(os.devnull, os.O_RDWR)


def _replace_stdin() -> None:
    # The host's own standard input is inherited: reading it would take input from the server's terminal.
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)


def _replace_with_pipe(stream: CapturedStream) -> int:
    reader, writer = os.pipe()
    os.dup2(writer, stream.value, inheritable=True)
    os.close(writer)
    name = stream.name.lower()
    text = open(stream.value, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
    setattr(sys, name, text)
    setattr(sys, f"__{name}__", text)
    return reader
