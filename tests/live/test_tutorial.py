"""What `make tutorial` does with a page: every step, up to the first that is not as the page says."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from livebed.tutorial.page import Check, Commands, File, PageError, Shown, read_page
from livebed.tutorial.reader import Reader, StepError
from livebed.tutorial.shown import has_appeared, is_as_shown
from livebed.tutorial.terminal import Terminal, TerminalError

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES = ("quickstart", "tutorial-engine", "tutorial-database")
SECONDS = 30.0
SERVER = """\
import signal, sys
signal.signal(signal.SIGINT, lambda *_: sys.exit())
print("on port 1234", flush=True)
print("ready", flush=True)
while True:
    signal.pause()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder that a reader begins in."""
    made = tmp_path / "reader"
    made.mkdir()
    return made


@pytest.fixture
def checked() -> list[str]:
    """What was checked."""
    return []


@pytest.fixture
def reader(folder: Path, checked: list[str]) -> Iterator[Reader]:
    """A reader with the check `a look`."""
    with Reader(folder, {"PATH": os.environ["PATH"]}, {"a look": lambda: checked.append("looked")}) as reader:
        yield reader


def do(reader: Reader, folder: Path, page: str) -> None:
    """Take all steps of a page."""
    file = folder.parent / "page.md"
    file.write_text(page)
    for step in read_page(file, {"/path/to/checkout": "/somewhere"}):
        reader.take(step)


def test_a_page_is_done_in_one_shell(reader: Reader, folder: Path, checked: list[str]) -> None:
    """Folder and variables stay; files go where the shell is; what the page shows is there."""
    page = """\
Text, and `code`.

```sh
mkdir project
cd project && export NAME=ann
echo "made   $NAME" \\
    in /path/to/checkout
```

It prints:

```text
made ann in /somewhere
```

```python title="hello.py"
print("hello")
print("4711 times")
```

<!-- check: a look -->

```sh
python3 hello.py
```

```text
hello
... times
```
"""
    do(reader, folder, page)
    assert (folder / "project" / "hello.py").exists()
    assert checked == ["looked"]


@pytest.mark.parametrize(
    ("page", "said"),
    [
        ("```sh\ntrue\nfalse\ntrue\n```\n", "exit status 1"),
        ("```sh\nsh -c 'echo why >&2; exit 3'\n```\n", "why"),
        ("```sh\necho one\n```\n\n```text\ntwo\n```\n", "one"),
        ("```sh\necho one\necho two\n```\n\n```text\none\n```\n", "two"),
        ('```python title="nowhere/a.py"\npass\n```\n', "nowhere/a.py can't be written"),
        ('```sh title="Refused"\ntrue\n```\n', "it was not refused"),
        ('```sh title="Refused"\nfalse\nfalse\n```\n', "exit status 1"),
        ('```sh title="Second terminal"\necho over\n```\n\n```text\nready\n```\n', "it has ended"),
    ],
)
def test_what_is_not_as_the_page_says_stops(reader: Reader, folder: Path, page: str, said: str) -> None:
    """With what was there."""
    with pytest.raises(StepError, match=said):
        do(reader, folder, page)


def test_a_server_runs_beside_the_first_terminal(reader: Reader, folder: Path) -> None:
    """Until the next block of its terminal, or the end of the page."""
    page = f"""\
```python title="server.py"
{SERVER}```

```sh title="Second terminal"
python3 server.py
```

```text
on port ...
```

```sh
echo meanwhile
```

```text title="Second terminal"
ready
```

```sh title="Second terminal"
echo again
python3 server.py
```

```text
on port 1234
ready
```
"""
    do(reader, folder, page)


def test_a_server_that_stays_silent_is_reported(folder: Path) -> None:
    """With what it has printed instead."""
    terminal = Terminal(folder, {"PATH": os.environ["PATH"]})
    try:
        terminal.start("echo starting; tail -f /dev/null")
        with pytest.raises(TerminalError, match="starting"):
            terminal.wait_for(lambda output: has_appeared("ready", output), 0.5)
    finally:
        terminal.close()


@pytest.mark.parametrize(
    "block",
    [
        "```text\nof nothing\n```\n",
        "```python\nwithout_a_name()\n```\n",
        '```sh title="Fourth terminal"\ntrue\n```\n',
        "```sh\ntrue\n```\n\n```text\nonce\n```\n\n```text\ntwice\n```\n",
    ],
)
def test_a_block_that_is_no_step_is_an_error(tmp_path: Path, block: str) -> None:
    """Nothing on a page is passed over."""
    page = tmp_path / "page.md"
    page.write_text(f"A line.\n\n{block}")
    with pytest.raises(PageError, match=r"page\.md:\d+: "):
        read_page(page)


@pytest.mark.parametrize(
    ("shown", "output", "expected"),
    [
        ("a b\n", "\n  a    b\n", True),
        ("a\n", "a\nb\n", False),
        ("a\n...\n", "a\nb\nc\n", True),
        ("a\n...\n", "a\n", True),
        ("...\nz\n", "a\nz\nz\n", True),
        ("in ... s\n", "in 3.4 s\n", True),
        ("in ... s\n", "in 3\ns\n", False),
        ("a.c\n", "abc\n", False),
    ],
)
def test_outputs_are_compared(shown: str, output: str, expected: bool) -> None:
    """Blanks and empty lines do not count; `...` is what varies."""
    assert is_as_shown(shown, output) is expected


def test_what_has_appeared_is_counted() -> None:
    """So that the next look is at what comes after."""
    assert has_appeared("b\n", "a\n\nb\nc\n") == 3
    assert has_appeared("d\n", "a\nb\n") == 0


@pytest.mark.parametrize("name", PAGES)
def test_the_pages_are_whole(name: str) -> None:
    """Each writes files and tests, runs servers, packages, installs, and shows refusals."""
    steps = read_page(DOCS / f"{name}.md")
    commands = [step for step in steps if isinstance(step, Commands)]
    typed = "\n".join(line for step in commands for line in step.lines)
    for command in (
        "authkit new",
        "python -m pytest",
        "authkit dev",
        "authkit build",
        "vault server",
        "authkit install",
    ):
        assert command in typed
    assert any(step.is_refused for step in commands)
    assert any(isinstance(step, File) and step.name.startswith("tests/test_") for step in steps)
    assert {step.name for step in steps if isinstance(step, Check)} <= {"first login", "the page"}
    assert all(step.shown for step in commands if step.is_server)
    assert any(isinstance(step, Shown) for step in steps) or name == "tutorial-database"
