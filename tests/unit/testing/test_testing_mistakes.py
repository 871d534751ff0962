"""Mistakes of authors at a login: the log names their handler or line, and clients read a reference alone."""

from __future__ import annotations

from typing import Any

import pytest

from authkit import AuthMethod, Identity, Str, login
from authkit.testing import RefusedError, Simulator


class Careless(AuthMethod, name="careless"):
    """Log in with a mistake."""

    @login("login/{mistake}")
    async def log_in(self, mistake: Str) -> Identity:
        """Make one."""
        made: Any = None
        match mistake:
            case "metadata":
                made = Identity(name="ann", metadata={"level": 3})  # type: ignore[dict-item]  # the line
            case "alias_metadata":
                made = Identity(name="ann", alias_metadata={"pin": b"4711"})  # type: ignore[dict-item]  # the line
            case "await":
                made = self.look_up()
        return made  # type: ignore[no-any-return]

    async def look_up(self) -> Identity:
        """Find somebody."""
        return Identity(name="ann")


@pytest.mark.parametrize(
    ("mistake", "told", "line"),
    [
        ("metadata", "metadata['level'] is of type int, and has to be a text (str)", True),
        ("alias_metadata", "alias_metadata['pin'] is of type bytes, and has to be a text (str)", True),
        ("await", "Careless.log_in returned coroutine, not an Identity: is an 'await' missing?", False),
        ("return", "Careless.log_in returned NoneType, not an Identity: is a 'return' missing?", False),
    ],
)
async def test_the_log_says_what_an_author_has_to_mend(
    mistake: str, told: str, line: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Which key of what, or which handler; where the author made a value, that line too, and no value."""
    async with Simulator(Careless) as vault:
        with pytest.raises(RefusedError) as refused:
            await vault.write(f"login/{mistake}")
    assert "internal error (request " in str(refused.value)
    assert not any(word in str(refused.value) for word in ("Careless", "metadata", "level", "Identity"))
    assert told in caplog.text
    assert (f'{__file__}", line ' in caplog.text) is line
    assert ("# the line" in caplog.text) is line
