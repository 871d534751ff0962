"""Text that a terminal and a log file show as what it is: control characters become visible escapes.

Without it a stranger's newline begins a line of its own in a log, and an escape sequence or a change of
direction makes a terminal show something else than what was written. Everything that is logged, or printed
for a person, goes through here.
"""

from __future__ import annotations

import json

__all__ = ["quote", "to_printable", "to_printable_lines"]


def to_printable(text: str) -> str:
    r"""Return `text` in one line, with an escape such as `\n` or `\u202e` for all that is not printable.

    That is what Unicode calls control, format, surrogate, private or unassigned, and every separator but
    the plain blank (`str.isprintable`): C0, C1, DEL, line separators, and changes of direction among them.
    Meant for reading: a backslash in the text stays as it is.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else json.dumps(char)[1:-1] for char in text)


def to_printable_lines(text: str) -> str:
    """Return `text` with its newlines, blanks for tabs, and each line as `to_printable` makes it.

    Only for what is shown with every line marked or indented, such as a traceback: the text must not be
    able to begin a line.
    """
    return text if text.isprintable() else "\n".join(map(to_printable, text.expandtabs(4).split("\n")))


def quote(text: str) -> str:
    """Return `text` in double quotes, as Go's `%q` prints it as long as it is printable."""
    return to_printable(json.dumps(text, ensure_ascii=False))
