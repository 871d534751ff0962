"""What goes wrong in the engine."""

from __future__ import annotations

from authkit.errors import CodedError

__all__ = ["EngineError"]


class EngineError(CodedError):
    """A failure of a plugin or its database: HTTP 500 with the text, as a server answers.

    Unlike an internal error it is no fault of the engine, and leaves no traceback in the log.
    """

    def __init__(self, text: str) -> None:
        super().__init__(500, text)
