"""How much a peer may make us do for nothing: one budget for each connection, new every second."""

from __future__ import annotations

from authkit.rpc.http2.frames import ConnectionFailure, ErrorCode

__all__ = ["ANSWER_EARNS", "FREE_FIELDS", "RESET_COST", "STREAMS_A_UNIT", "Budget"]

UNITS_A_SECOND = 20_000
"""Frames a second that bring nothing: PING, SETTINGS, PRIORITY, RST_STREAM, WINDOW_UPDATE, CONTINUATION,
GOAWAY, empty DATA, and frames of closed streams and unknown types. Floods of them are CVE-2019-9511 to
9518, CVE-2023-44487, CVE-2024-27316 and CVE-2025-8671."""

RESET_COST = 5
"""Units of a stream that is opened and then reset or refused: what was begun for it is in vain. A thousand
calls whose deadlines end together are 5,000."""

STREAMS_A_UNIT = 8
"""A frame that touches all streams costs a unit more for each eight of them."""

FREE_FIELDS = 64
"""Fields of a header block that cost nothing; each further one costs a unit. A host's calls have 10."""

ANSWER_EARNS = 10
"""Units that a complete message stream of ours earns, and each KiB of data one: the peer has to open windows
for it. Envoy allows as many WINDOW_UPDATE frames for a DATA frame (Http2ProtocolOptions)."""


class Budget:
    """What is left of this second's units."""

    __slots__ = ("_left", "_since")

    def __init__(self) -> None:
        self._left = UNITS_A_SECOND
        self._since = 0.0

    def begin(self, now: float) -> None:
        """Begin a new second if the last one is over. `now` in seconds, never backwards."""
        if now - self._since >= 1:
            self._since, self._left = now, UNITS_A_SECOND

    def spend(self, units: int = 1) -> None:
        """Take units.

        Raises:
            ConnectionFailure: none are left.
        """
        self._left -= units
        if self._left < 0:
            raise ConnectionFailure(ErrorCode.ENHANCE_YOUR_CALM, "too many frames that bring nothing")

    def earn(self, units: int) -> None:
        """Give units back for something useful that was done."""
        self._left += units
