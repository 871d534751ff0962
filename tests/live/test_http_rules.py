"""HTTP itself, at the development server and at a real one: the same statuses, texts and headers.

What docs/hosts.md lists as different is not asked here. The development server keeps to Vault 1.21, so the
server of OpenBao is not asked: it does not look at a body twice and has texts of its own.
"""

from __future__ import annotations

import http.client
import json
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

import pytest
from livebed.devserver import DevServer
from livebed.server import Server

CREATE = "/v1/auth/token/create"
SELF = "/v1/auth/token/lookup-self"
POLICIES = "/v1/sys/policies/acl"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
MERGE = {"Content-Type": "application/merge-patch+json"}
MFA = 'failed to parse X-Vault-MFA header: invalid data in header "X-Vault-MFA"; missing method '
NOT_SUPPORTED = "1 error occurred:\n\t* unsupported operation\n\n"

Any_ = DevServer | Server


@pytest.fixture(autouse=True)
def _rules_of_vault(request: pytest.FixtureRequest) -> None:
    """Skip OpenBao's server, whose HTTP rules the development server does not follow."""
    if "any_server" in request.fixturenames:
        at = request.getfixturevalue("any_server")
        if isinstance(at, Server) and at.program.is_bao:
            pytest.skip("the development server follows the HTTP rules of Vault")


def ask(
    at: Any_, method: str, path: str, body: bytes | str | None = None, **headers: str
) -> http.client.HTTPResponse:
    """Send a request exactly as it stands; no client library corrects it."""
    client = at.client
    given = {"X-Vault-Token": client.token} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    content = body.encode() if isinstance(body, str) else body
    address = urlsplit(client.address).netloc
    with closing(http.client.HTTPConnection(address, timeout=30)) as connection:
        connection.request(method, path, content, {name: value for name, value in given.items() if value})
        response = connection.getresponse()
        response.content = response.read()  # type: ignore[attr-defined]
        return response


def answered(response: http.client.HTTPResponse) -> tuple[int, Any]:
    """Return status and errors; `None` for an answer without."""
    content = response.content  # type: ignore[attr-defined]
    decoded = json.loads(content) if content else {}
    return response.status, decoded.get("errors") if isinstance(decoded, dict) else decoded


@pytest.mark.parametrize(
    ("body", "status", "errors"),
    [
        ("", 200, None),
        (" \n", 200, None),
        ("null", 200, None),
        ('  {"ttl":"1h"}', 200, None),
        ('{"a":"\\u00e9"}', 200, None),
        (b'{"a":"\xff"}', 200, None),
        ('{"a":' + "[" * 250 + "]" * 250 + "}", 200, None),
    ],
    ids=lambda value: str(value)[:40],
)
def test_bodies(any_server: Any_, body: str | bytes, status: int, errors: list[str] | None) -> None:
    """Of a write, without a word about their type."""
    assert answered(ask(any_server, "POST", CREATE, body)) == (status, errors)


@pytest.mark.parametrize(
    "body",
    [
        *("bad", "ttl=1h", "[1]", '"x"', "12", "{bad", "{} x", '{"a":1,}', '{"a" 1}'),
        *('{"a":tru}', '{"a":', '{"a":"x', '{"a":NaN}', '{"a":1e400}'),
        *('{"a":' + "[" * 301 + "]" * 301 + "}", json.dumps({"a": [[1] * 9000] * 30})),
    ],
    ids=lambda value: str(value)[:40],
)
def test_broken_bodies(any_server: Any_, body: str) -> None:
    """Are refused with one text. Vault takes broken objects and lists for faults of its own: HTTP 500."""
    status, errors = answered(ask(any_server, "POST", CREATE, body))
    assert status == 400 or (isinstance(any_server, Server) and status == 500)
    assert len(errors) == 1


@pytest.mark.parametrize(
    ("body", "status", "errors"),
    [
        ("ttl=1h", 200, None),
        ("", 200, None),
        ('{"ttl":"1h"}', 200, None),
        ("ttl=%zz", 400, ["error parsing form data"]),
        ("ttl=1h;b=2", 400, ["error parsing form data"]),
    ],
)
def test_forms(any_server: Any_, body: str, status: int, errors: list[str] | None) -> None:
    """A form is one by its type, unless it begins like JSON."""
    assert answered(ask(any_server, "POST", CREATE, body, **FORM)) == (status, errors)


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "status", "errors"),
    [
        ("HEAD", "/v1/sys/health", None, {}, 200, None),
        ("GET", "/v1/sys/health?activecode=299", None, {}, 299, None),
        ("PUT", "/v1/sys/health", None, {}, 405, []),
        ("HEAD", SELF, None, {}, 405, None),
        ("FOO", SELF, None, {}, 405, []),
        ("TRACE", SELF, None, {}, 405, []),
        ("list", POLICIES, None, {}, 405, []),
        ("OPTIONS", SELF, None, {}, 405, [NOT_SUPPORTED]),
        ("PUT", CREATE, "{}", {}, 200, None),
        ("GET", "/v1/nothing/x", None, {}, 404, ['no handler for route "nothing/x". route entry not found.']),
        ("GET", "/v1/", None, {}, 404, ['no handler for route "". route entry not found.']),
        ("LIST", POLICIES, None, {}, 200, None),
        ("GET", POLICIES + "?list=true", None, {}, 200, None),
        ("GET", POLICIES + "/?list=1", None, {}, 200, None),
        ("GET", POLICIES + "?list=foo", None, {}, 400, []),
        ("GET", POLICIES + "?list=false", None, {}, 405, [NOT_SUPPORTED]),
        ("GET", POLICIES + "?a;b&list=true", None, {}, 200, None),
        ("DELETE", POLICIES + "/none", "[1]", {}, 204, None),
        ("PATCH", POLICIES + "/x", "{}", {}, 400, ["mime: no media type"]),
        ("PATCH", POLICIES + "/x", "{}", MERGE, 405, [NOT_SUPPORTED]),
        (
            "PATCH",
            POLICIES + "/x",
            "{}",
            {"Content-Type": "application/json"},
            415,
            ["PATCH requires Content-Type of application/merge-patch+json, provided application/json"],
        ),
        ("GET", SELF, None, {"X-Vault-Token": ""}, 403, ["permission denied"]),
        (
            "GET",
            SELF,
            None,
            {"X-Vault-Token": "bad"},
            403,
            ["2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n"],
        ),
        ("GET", SELF, None, {"X-Vault-Token": "", "Authorization": "Bearer root"}, 200, None),
        (
            "GET",
            SELF,
            None,
            {"X-Vault-Token": "", "Authorization": "bearer root"},
            403,
            ["permission denied"],
        ),
        ("GET", SELF, None, {"Authorization": "Bearer bad"}, 200, None),
        ("GET", SELF, None, {"X-Vault-Request": "false"}, 200, None),
        ("GET", SELF, None, {"X-Vault-Namespace": "foo"}, 200, None),
        ("GET", SELF, None, {"X-Vault-Wrap-TTL": "0"}, 200, None),
        ("GET", SELF, None, {"X-Vault-Wrap-TTL": "1d"}, 200, None),
        (
            "GET",
            SELF,
            None,
            {"X-Vault-Wrap-TTL": "-5s"},
            400,
            ["error parsing X-Vault-Wrap-TTL header: requested wrap ttl cannot be negative"],
        ),
        (
            "GET",
            SELF,
            None,
            {"X-Vault-Forward": "active-node"},
            400,
            ["forwarding via header X-Vault-Forward disabled in configuration"],
        ),
        (
            "GET",
            SELF,
            None,
            {"X-Vault-MFA": ":x"},
            400,
            [MFA + "name or ID"],
        ),
        ("GET", "/v1/auth/token/lookup%2Dself", None, {}, 200, None),
        ("GET", "/v1/auth%2Ftoken/lookup-self", None, {}, 200, None),
        ("GET", SELF + "/", None, {}, 404, ["1 error occurred:\n\t* unsupported path\n\n"]),
        ("GET", "/v1/auth/token/lookup-self%00", None, {}, 400, None),
        ("GET", "/v1/.well-known/../../.well-known/x", None, {}, 307, None),
    ],
    ids=lambda value: str(value)[:40] if not isinstance(value, dict) else "",
)
def test_requests(
    any_server: Any_,
    method: str,
    path: str,
    body: str | None,
    headers: dict[str, str],
    status: int,
    errors: list[str] | None,
) -> None:
    """Methods, queries, tokens, headers, paths."""
    response = ask(any_server, method, path, body, **headers)
    if 300 <= response.status < 400:
        assert response.status == status
    else:
        assert answered(response) == (status, errors)


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("/v1", "/v1/"),
        ("/v1//auth/x", "/v1/auth/x"),
        ("/v1/auth/./x?a=1", "/v1/auth/x?a=1"),
        ("/v1/auth/y/../x/", "/v1/auth/x/"),
        ("/ui", "/ui/"),
        ("/", "/ui/"),
    ],
)
def test_redirections(any_server: Any_, path: str, location: str) -> None:
    """Paths that lead around, and those that lead nowhere."""
    response = ask(any_server, "GET", path)
    assert (response.status, response.getheader("Location")) == (307, location)


def test_headers_of_answers(any_server: Any_) -> None:
    """What a client or a proxy looks at."""
    response = ask(any_server, "GET", SELF, X_Vault_Namespace="foo")
    assert response.getheader("Cache-Control") == "no-store"
    assert response.getheader("Content-Type") == "application/json"
    assert response.getheader("X-Vault-Namespace") == "foo"
    empty = ask(any_server, "DELETE", POLICIES + "/none")
    assert (empty.status, empty.getheader("Content-Length")) == (204, None)
    refused = ask(any_server, "GET", SELF, X_Vault_Token="")
    assert refused.getheader("Cache-Control") == "no-store"


def test_a_body_that_is_too_large(any_server: Any_) -> None:
    """More than 32 MiB: 413, or the end of the connection before a client has sent it all."""
    text = json.dumps("x" * 1_000_000)
    body = '{"a":[' + ",".join([text] * 34) + "]}"
    try:
        response = ask(any_server, "POST", CREATE, body)
    except ConnectionError:
        return
    assert answered(response) == (413, ["http: request body too large"])


def test_an_answer_is_escaped(any_server: Any_) -> None:
    """JSON that a browser took for HTML would hold no tag."""
    response = ask(any_server, "GET", "/v1/%3Cb%3E&x")
    content: bytes = response.content  # type: ignore[attr-defined]
    assert b"\\u003cb\\u003e\\u0026x" in content
    assert b"<" not in content
