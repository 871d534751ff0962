"""Handlers that raise, answer or grant nonsense: the server stands, its answer is right or a clear error."""

from __future__ import annotations

import re

import pytest
from livebed.misbehaviour import SECRET_LOOKALIKE, NaughtyMount

# --- what a handler raises, returns and grants ---------------------------------------------------

RAISES = (
    "ValueError",
    "SystemExit",
    "KeyboardInterrupt",
    "CancelledError",
    "GeneratorExit",
    "MemoryError",
    "RecursionError",
    "StopIteration",
    "BaseException",
    "RPCError",
    "StorageError",
    "MuteError",
    "unknown kind",
    "group",
)


@pytest.mark.parametrize("deed", RAISES)
def test_handler_that_raises_is_a_neutral_500(naughty: NaughtyMount, deed: str) -> None:
    """Whatever a handler raises, the caller reads a neutral text and a request id; the log has the cause."""
    mark = naughty.server.log_mark()

    response = naughty.login(deed=deed)

    assert response.status_code == 500
    text = "\n".join(response.json()["errors"])
    assert "naughty" not in text
    assert re.search(r"\(request [0-9a-f-]+\)", text), text
    naughty.assert_fine()
    if deed == "ValueError":
        naughty.server.wait_for_log(r"\[ERROR\].*ValueError: naughty cause", since=mark)
        assert SECRET_LOOKALIKE not in naughty.server.log()


NO_ANSWERS = (
    "text",
    "number",
    "true",
    "list",
    "dict",
    "object",
    "class",
    "auth alone",
    "auth beside error",
    "auth beside raw",
    "auth is text",
    "data is text",
    "data is a list",
    "data holds an object",
    "data holds NaN",
    "data holds infinity",
    "data holds itself",
    "data is deep",
    "raw without type",
    "raw status is wild",
    "raw status is huge",
)


@pytest.mark.parametrize("deed", NO_ANSWERS)
def test_answer_that_is_none_is_an_error(naughty: NaughtyMount, deed: str) -> None:
    """What no host could read is refused with 500, and above all is no token."""
    response = naughty.login(deed=deed)

    assert response.status_code == 500, response.text
    assert "auth" not in response.json()
    naughty.assert_fine()


ODD_ANSWERS = (
    "no kind",
    "surrogate",
    "huge text",
    "data holds bytes",
    "data holds a set",
    "data holds a surrogate",
    "data has other keys",
    "error is a number",
    "error is null",
    "warnings are numbers",
    "headers are numbers",
)


@pytest.mark.parametrize("deed", ODD_ANSWERS)
def test_odd_answer_grants_nothing(naughty: NaughtyMount, deed: str) -> None:
    """An odd answer arrives or is refused; either way it grants nothing and harms nobody."""
    response = naughty.login(deed=deed)

    assert response.status_code in {200, 204, 400, 500}
    assert response.status_code == 204 or not response.json().get("auth")
    naughty.assert_fine()


ODD_GRANTS = (
    "alias without name",
    "alias is text",
    "alias name is a number",
    "policies are text",
    "policies are numbers",
    "root policy",
    "metadata holds null",
    "ttl is negative",
    "ttl is a number",
    "lease is missing",
    "token type is unknown",
    "uses are negative",
    "uses are huge",
    "addresses are nonsense",
    "internal data is an object",
    "group without name",
)


@pytest.mark.parametrize("deed", ODD_GRANTS)
def test_grant_that_makes_no_sense_is_refused(naughty: NaughtyMount, deed: str) -> None:
    """A login that would grant nonsense grants nothing."""
    response = naughty.login(deed=deed)

    assert response.status_code in {400, 500}, response.text
    naughty.assert_fine()


@pytest.mark.parametrize("deed", ["ttl is endless", "internal data is missing"])
def test_odd_grant_is_what_the_host_makes_of_it(naughty: NaughtyMount, deed: str) -> None:
    """A grant that says too much or too little is cut to what the server allows anyway."""
    auth = naughty.login(deed=deed).json()["auth"]

    assert auth["policies"] == ["default"]
    assert 0 < auth["lease_duration"] <= 768 * 3600
    naughty.assert_fine()


@pytest.mark.parametrize("deed", ["good", "root policy", "dict"])
def test_only_a_login_grants(naughty: NaughtyMount, deed: str) -> None:
    """Auth in answer to anything but a login makes no token."""
    response = naughty.do(deed=deed)

    assert response.status_code == 500
    naughty.assert_fine()


# --- questions that a host asks by itself --------------------------------------------------------


@pytest.mark.parametrize(
    "resolve", [*RAISES[:4], *NO_ANSWERS[:8], "nothing", "role is a number", "role is missing"]
)
def test_login_survives_a_bad_role_answer(naughty: NaughtyMount, resolve: str) -> None:
    """Asked for the role of a login, a plugin that answers nonsense does not cost the login."""
    response = naughty.login(deed="good", resolve=resolve)

    assert response.status_code == 200, response.text
    naughty.assert_fine()


@pytest.mark.parametrize("exists", [*RAISES[:4], *NO_ANSWERS[:8]])
def test_bad_existence_check_is_a_clear_error(naughty: NaughtyMount, exists: str) -> None:
    """An existence check that fails or answers nonsense never lets a request through as a success."""
    response = naughty.do(deed="nothing", exists=exists)

    # `True` is an answer; the request itself then does nothing.
    assert response.status_code == 204 if exists == "true" else response.status_code >= 400
    naughty.assert_fine()


@pytest.mark.parametrize("help", [*RAISES[:4], *NO_ANSWERS, "nothing"])
def test_bad_help_spares_the_servers_document(naughty: NaughtyMount, help: str) -> None:
    """Whatever the root's help page turns out to be, the OpenAPI document of the whole server is there."""
    naughty.do(deed="nothing", help=help)

    document = naughty.server.client.call("GET", "sys/internal/specs/openapi")

    assert document["openapi"].startswith("3.")
    assert naughty.server.client.raw("GET", f"auth/{naughty.path}?help=1").status_code == 200
    naughty.do(deed="nothing", help="")
    naughty.assert_fine()


@pytest.mark.parametrize(
    "renew", [*RAISES[:4], *NO_ANSWERS[:11], "nothing", "lease is missing", "ttl is negative"]
)
def test_bad_renewal_renews_nothing(naughty: NaughtyMount, renew: str) -> None:
    """A renewal that fails or answers nonsense is refused; the token keeps what it had."""
    client = naughty.server.client
    token = naughty.login(deed="good", renew=renew).json()["auth"]["client_token"]

    response = client.raw("POST", "auth/token/renew", {"token": token})

    assert response.status_code >= 400, response.text
    assert client.with_token(token).read("auth/token/lookup-self")["policies"] == ["default"]
    naughty.assert_fine()
