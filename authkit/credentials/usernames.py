"""Names of the users that an engine makes: an operator's template, checked when it is written.

A template has two fields, as on a server: `.DisplayName`, which the token of the request has, and
`.RoleName`. Strangers choose what they hold: they are data, whatever is in them, and never template. The
name that comes out holds what they held. Where it is put into a statement as text, clean them before
(`authkit.credentials.replace_unsafe`) or refuse it afterwards (`verify_safe`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, Literal

from authkit.credentials.templates import MIN_RANDOM, MISSING, Template, TemplateError, count_random
from authkit.errors import InternalError, UserError

__all__ = ["UsernameTemplate", "make_default_template"]

COMPARED: Final = 63
"""Bytes of a name that tell users apart: PostgreSQL cuts longer ones (documentation, 4.1.1, NAMEDATALEN)."""

_RANDOM_LENGTH: Final = 20
_SURROGATES: Final = re.compile("[\ud800-\udfff]")


class UsernameTemplate:
    """A template that makes names of users, parsed and tried once.

    ::

        names = UsernameTemplate('{{printf "v-%s-%s" (.RoleName | truncate 8) (random 20)}}')
        name = names.make(display_name="token", role_name="app")

    Names are distinct by their random part alone: a template without one makes the same name again, and so
    may one that cuts it off. Warn an operator whose template is not `is_unique`. May be used by several
    threads at once.

    Raises:
        UserError: the template is wrong, or a trial with empty fields fails, as on a server, or shows that
            `printf` lacks an argument. The texts begin as the server's do: `unable to initialize username
            template: ` and `invalid username template: `.
    """

    def __init__(self, text: str) -> None:
        try:
            self._template = Template(text, fields=("DisplayName", "RoleName"))
        except TemplateError as error:
            raise UserError(f"unable to initialize username template: {error}") from None
        try:
            name = self._apply("", "")
        except TemplateError as error:
            raise UserError(f"invalid username template: {error}") from None
        if MISSING in name:
            raise UserError("invalid username template: printf has fewer arguments than its format has verbs")

    @property
    def text(self) -> str:
        """The template as the operator wrote it."""
        return self._template.source

    def is_unique(self, *, display_name: str = "", role_name: str = "") -> bool:
        """Return whether a name that is made for these fields is most likely nobody else's.

        It has `MIN_RANDOM` random characters or more within its first 63 bytes. A long field may push them
        out: then whoever chooses the field chooses the name.
        """
        fields = {"DisplayName": display_name, "RoleName": role_name}
        return count_random(self._template, _readable(fields), size=COMPARED) >= MIN_RANDOM

    def make(self, *, display_name: str = "", role_name: str = "") -> str:
        """Return a name: Unicode text, not empty, without NUL.

        Raises:
            InternalError: the template fails on these fields, or gives no name. The text shows neither.
        """
        try:
            name = self._apply(display_name, role_name)
        except TemplateError as error:
            raise InternalError(f"unable to generate username: {error}") from None
        if not name or "\0" in name:
            fault = "is empty" if not name else "has a NUL"
            raise InternalError(f"unable to generate username: the name that the template gives {fault}")
        return name

    def _apply(self, display_name: str, role_name: str) -> str:
        return self._template.apply(_readable({"DisplayName": display_name, "RoleName": role_name}))


def _readable(fields: Mapping[str, str]) -> dict[str, str]:
    # Half a surrogate pair is what JSON can hold and UTF-8 cannot; Go reads it so.
    return {name: _SURROGATES.sub("\ufffd", text) for name, text in fields.items()}


def make_default_template(
    *,
    max_length: int,
    display_name: int = 8,
    role_name: int = 8,
    separator: str = "-",
    case: Literal["", "lower", "upper"] = "",
) -> str:
    """Return a template as the official database plugins have by default.

    `v`, display name, role name, 20 random characters and the Unix time, separated, and cut at the end.
    For PostgreSQL: `make_default_template(max_length=63)`.

    Args:
        max_length: bytes of a name that the database takes.
        display_name: bytes of the display name that are kept; 0 leaves it out.
        role_name: the same for the role's name.
        separator: between the parts; takes the place of each `-` in them as well.
        case: of all letters, where the database changes them.

    Raises:
        ValueError: beside long names fewer than `MIN_RANDOM` random characters would be left, or the
            separator is not made of `-`, `_` and `.`.
    """
    if separator.strip("-_."):
        raise ValueError("a separator is made of -, _ and .")
    kept = [(field, size) for field, size in (("DisplayName", display_name), ("RoleName", role_name)) if size]
    before = len("v") + sum(len(separator) + size for _, size in kept) + len(separator)
    if max_length - before < MIN_RANDOM:
        raise ValueError(f"{max_length} bytes leave fewer than {MIN_RANDOM} random characters")
    arguments = "".join(f" (.{field} | truncate {size})" for field, size in kept)
    form = separator.join(["v", *["%s"] * (len(kept) + 2)])
    change = f"{case}case | " if case else ""
    if separator != "-":
        change = f'replace "-" "{separator}" | {change}'
    parts = f'printf "{form}"{arguments} (random {_RANDOM_LENGTH}) (unix_time)'
    return f"{{{{ {parts} | {change}truncate {max_length} }}}}"
