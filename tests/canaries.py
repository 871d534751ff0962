"""Secrets of tests that are recognised wherever they turn up, and the search for them after a run.

`canary(name)` makes a secret. Its mark is of this run, so that nothing is found that an earlier run has left,
and stands at both ends, so that half of a secret is found as well. Searched are all log lines as a server
reads them, what tests print, the logs of servers, and the files that tests leave.
"""

from __future__ import annotations

import base64
import logging
import os
import secrets
from collections.abc import Iterable, Iterator

import pytest

from authkit.plugin.logs import HCLogFormatter

__all__ = ["CanarySearch", "canary", "find_canary", "find_leaks"]

MARK = os.environ.setdefault("AUTHKIT_CANARY", f"cnry{secrets.token_hex(4)}")
"""In the environment, so that the processes of one run agree."""
FORMS = (
    MARK,
    MARK.encode().hex(),
    # As in a header of HTTP basic authentication: where a mark begins among three bytes decides how it reads.
    *(base64.b64encode(b"-" * at + MARK.encode())[4 if at else 0 : -4].decode() for at in range(3)),
)
"""What a mark looks like."""
STORAGE = "dev.sqlite"
"""The file in which a development server keeps everything, unsealed; those beside it begin alike."""
SHOWN = 100
"""Characters before and after a mark in a report."""


def canary(name: str) -> str:
    """Return a secret, the same in all of a run."""
    return f"{MARK}-{name}-{MARK}"


def find_canary(text: str) -> str:
    """Return where in a text a secret is, empty if there is none."""
    at = next((text.find(form) for form in FORMS if form in text), -1)
    return "" if at < 0 else text[max(at - SHOWN, 0) : at + SHOWN]


def find_leaks(text: str, known: Iterable[str]) -> list[str]:
    """Return the secrets in a text, of those that a client has had, and where a canary is."""
    found = find_canary(text)
    return [secret for secret in set(known) if secret in text] + ([found] if found else [])


class CanarySearch(logging.Handler):
    """Searches what a run writes. A plugin of pytest, and a handler of all that is logged."""

    def __init__(self) -> None:
        super().__init__(logging.NOTSET)
        self.setFormatter(HCLogFormatter())
        self._logged: list[str] = []
        self._left: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Search a record as a server reads it."""
        found = find_canary(self.format(record))
        if found:
            self._logged.append(found)

    @pytest.fixture(autouse=True)
    def no_secret_is_logged(self) -> Iterator[None]:
        """Fail a test in which a secret was logged."""
        yield
        logged, self._logged = self._logged, []
        assert not logged, f"a secret is in the log: {logged[0]}"

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Search what a test has printed. Its log is searched by the record, with masks."""
        # The last report of a test has what all three phases have printed.
        for name, text in report.sections if report.when == "teardown" else ():
            if "log" not in name and find_canary(text):
                self._left.append(f"{report.nodeid}, {name}: {find_canary(text)}")

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Search the files that are left, and fail the run if there is a secret anywhere."""
        if hasattr(session.config, "workerinput"):
            return  # the process that began the run looks at all files
        self._left += self._logged  # by fixtures that ended after the last test
        factory = session.config._tmp_path_factory  # type: ignore[attr-defined]
        for path in factory.getbasetemp().rglob("*"):
            is_own = path.is_file() and not path.is_symlink() and not path.name.startswith(STORAGE)
            if is_own and find_canary(path.read_bytes().decode("latin-1")):
                self._left.append(f"file {path}")
        if self._left:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say where secrets were found."""
        for each in self._left:
            terminalreporter.write_line(f"a secret was left: {each}", red=True)
