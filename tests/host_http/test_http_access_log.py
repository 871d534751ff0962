"""The access log: one line for each request, and no secret in it."""

from __future__ import annotations

import asyncio
import logging
import re
from typing import Any

import pytest
from http_fakes import FakeCore, Served, served
from starlette.types import Message

from authkit.host.http.access_log import MAX_SHOWN, AccessLog
from authkit.host.messages import HostResponse
from authkit.masking import Secret

LOGGER = "authkit.host.http.access_log"
TOKEN = "hvs.CAESIJ0aUyPuZ2rUYmdHfF3lkqV0"
LINE = re.compile(r"(?P<method>\S+) (?P<path>\S+) (?P<status>\S+) \d+ ms from (?P<client>\S+)")


@pytest.fixture(autouse=True)
def shown(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Its lines, which are informational."""
    caplog.set_level(logging.INFO, LOGGER)
    return caplog


def line_of(log: pytest.LogCaptureFixture) -> dict[str, str]:
    """The parts of its one line."""
    (record,) = [record for record in log.records if record.name == LOGGER]
    found = LINE.fullmatch(record.getMessage())
    assert found is not None, record.getMessage()
    return found.groupdict()


async def test_a_request_is_one_line(shown: pytest.LogCaptureFixture) -> None:
    """Method, path, status, milliseconds, client; neither body nor query nor headers."""
    async with served(FakeCore(HostResponse(status=403)), log=True) as server:
        await ask(server, "POST", "/v1/auth/x/login?code=query-4711", json={"pin": "body-4711"})
    assert line_of(shown) == {
        "method": "POST",
        "path": "/v1/auth/x/login",
        "status": "403",
        "client": "127.0.0.1",
    }
    assert "4711" not in shown.text


@pytest.mark.parametrize(
    "path",
    [
        f"/v1/auth/token/revoke/{TOKEN}",
        f"/v1/auth/token/revoke/{TOKEN.replace('.', '%2e')}",
        f"/v1/x/{'eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJl'}",
        "/v1/auth/token/revoke/the-token-of-this-request",
        "/v1/x/a-value-that-lives-in-this-process",
    ],
)
async def test_secrets_in_a_path_are_masked(path: str, shown: pytest.LogCaptureFixture) -> None:
    """What looks like one, escaped or not; the request's own token; what the process holds as a `Secret`."""
    kept = Secret("a-value-that-lives-in-this-process")
    async with served(log=True) as server:
        await ask(server, "POST", path, headers={"X-Vault-Token": "the-token-of-this-request"})
    assert line_of(shown)["path"].endswith("/[masked]")
    assert kept


async def test_a_path_is_one_field_of_one_line(shown: pytest.LogCaptureFixture) -> None:
    """Blanks and line ends are as they were sent, and a long path is cut."""
    path = "/v1/x%20200%201%20ms%20from%2010.0.0.1%0D%0APOST" + "/y" * MAX_SHOWN
    async with served(log=True) as server:
        await ask(server, "GET", path)
    assert line_of(shown)["path"] == f"{path[:MAX_SHOWN]}..."


async def test_a_client_that_leaves_is_logged(shown: pytest.LogCaptureFixture) -> None:
    """There was no status for it."""

    async def leave(*_: Any) -> None:
        raise asyncio.CancelledError

    async def send(message: Message) -> None: ...

    scope = {"type": "http", "method": "GET", "raw_path": b"/v1/x", "headers": [], "client": ("::1", 1)}
    with pytest.raises(asyncio.CancelledError):
        await AccessLog(leave)(scope, leave, send)
    assert line_of(shown) == {"method": "GET", "path": "/v1/x", "status": "-", "client": "::1"}


async def ask(server: Served, method: str, path: str, **options: Any) -> None:
    """Send a request, and take the answer."""
    await server.http.request(method, path, **options)
