"""What a failed installation leaves alone, and where an operator's token goes."""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from canaries import canary

from authkit.deployment import steps
from authkit.deployment.errors import DeploymentError
from authkit.deployment.release import Release, read_release
from authkit.deployment.server import Server, connect
from authkit.values import replace

TOKEN = canary("operator")
PLUGINS = Path("/opt/my plugins")
CATALOG = "sys/plugins/catalog/auth/pin"
Answer = tuple[int, Any]


class Answers(HTTPServer):
    """Answers by method and path, a list one by one; keeps what was asked with which token."""

    def __init__(self, answers: dict[str, Answer | list[Answer]]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers = answers
        self.asked: list[tuple[str, str | None]] = []
        self.bodies: dict[str, Any] = {}
        """The last one of each request that had one."""

    def connect(self) -> Server:
        """Connect as an operator."""
        return connect({"VAULT_ADDR": f"http://127.0.0.1:{self.server_port}", "VAULT_TOKEN": TOKEN})


class Handler(BaseHTTPRequestHandler):
    """One request."""

    def answer(self) -> None:
        """Answer as told; a text is where to go instead."""
        assert isinstance(self.server, Answers)
        sent = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        asked = f"{self.command} {self.path.partition('?')[0].removeprefix('/v1/')}"
        if sent:
            self.server.bodies[asked] = json.loads(sent)
        self.server.asked.append((asked, self.headers.get("X-Vault-Token")))
        answer = self.server.answers.get(asked, (404, {"errors": []}))
        status, body = answer.pop(0) if isinstance(answer, list) else answer
        content = b"" if status == 204 or isinstance(body, str) else json.dumps(body).encode()
        self.send_response(status)
        if isinstance(body, str):
            self.send_header("Location", body)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_DELETE = answer  # noqa: N815 - the names of http.server

    def log_message(self, *_: object) -> None:
        """Stay silent."""


@contextlib.contextmanager
def answering(**answers: Answer | list[Answer]) -> Iterator[Answers]:
    """Serve these answers, `METHOD path` each."""
    server = Answers(answers)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def release(tmp_path: Path) -> Release:
    """A file of a version."""
    (tmp_path / "pin-1.0.0").write_bytes(b"x")
    return read_release(tmp_path / "pin-1.0.0")


def test_a_colleague_s_mount_is_not_disabled(release: Release) -> None:
    """It was enabled after ours was looked for: the server refuses ours, and nothing is undone."""
    told: list[str] = []
    refused = (400, {"errors": ["path is already in use at pin/"]})
    with answering(
        **{"GET sys/auth": (200, {"data": {}}), "PUT sys/plugins/catalog/auth/pin": (204, None)},
        **{"POST sys/auth/pin": refused},
    ) as server:
        with pytest.raises(DeploymentError, match="path is already in use"):
            steps.install(server.connect(), release, "pin", directory=PLUGINS, report=told.append)
        assert "DELETE sys/auth/pin" not in dict(server.asked)
    assert not any("disable" in step for step in told)


def test_variables_are_registered_each_time_and_not_shown(release: Release) -> None:
    """A server does not tell those that it has, so a mount that runs this version is started again."""
    secret = canary("variable")
    given = replace(release, env=(f"TOKEN={secret}", "AUTHKIT_METRICS=127.0.0.1:9102"))
    told: list[str] = []
    running = {"type": "pin", "running_plugin_version": "v1.0.0", "running_sha256": release.sha256}
    with answering(
        **{"GET sys/auth": (200, {"data": {"pin/": running}}), f"GET {CATALOG}": entry(release)},
        **{f"PUT {CATALOG}": (204, None), "POST sys/auth/pin/tune": (204, None)},
        **{"PUT sys/plugins/reload/backend": (204, None)},
    ) as server:
        steps.install(server.connect(), given, "pin", directory=PLUGINS, report=told.append)
        assert server.bodies[f"PUT {CATALOG}"]["env"] == list(given.env)
        assert server.bodies["PUT sys/plugins/reload/backend"] == {"mounts": ["auth/pin/"]}
        server.bodies.clear()
        steps.install(server.connect(), release, "pin", directory=PLUGINS, report=told.append)
        assert server.bodies == {}
    assert f"register pin v1.0.0 with sha256 {release.sha256} and TOKEN, AUTHKIT_METRICS" in told
    assert secret not in repr(given) + "".join(told)


@pytest.mark.parametrize("is_registered", [True, False])
def test_variables_that_do_not_work_are_told_to_stay(release: Release, is_registered: bool) -> None:
    """Nobody can read those of before, so that the mount does not get them back with the version."""
    given = replace(release, env=("AUTHKIT_METRICS=127.0.0.1:9102",))
    running = {"type": "pin", "running_plugin_version": "v1.0.0", "running_sha256": release.sha256}
    probe = steps.Probe(path="login", body={})
    with (
        answering(
            **{"GET sys/auth": (200, {"data": {"pin/": running}}), f"GET {CATALOG}": entry(release)},
            **{f"PUT {CATALOG}": (204, None) if is_registered else (403, {"errors": ["denied"]})},
            **{"POST sys/auth/pin/tune": (204, None), "PUT sys/plugins/reload/backend": (204, None)},
            **{"POST auth/pin/login": (400, {"errors": ["denied"]})},
        ) as server,
        pytest.raises(DeploymentError, match="denied") as failed,
    ):
        steps.install(server.connect(), given, "pin", directory=PLUGINS, report=lambda _: None, probe=probe)
    assert ("; pin v1.0.0 keeps the new variables: register" in str(failed.value)) is is_registered


def test_a_variable_has_a_name(tmp_path: Path) -> None:
    """A value alone would be one without."""
    (tmp_path / "pin-1.0.0").write_bytes(b"x")
    for wrong in ("AUTHKIT_METRICS", "=x", "A B=x", ""):
        with pytest.raises(DeploymentError, match="--env takes KEY=VALUE"):
            read_release(tmp_path / "pin-1.0.0", env=(wrong,))


def entry(release: Release) -> Answer:
    """Answer with the catalog's entry of a version."""
    return 200, {"data": {"sha256": release.sha256}}


def fail_to_enable(release: Release, **answers: Answer | list[Answer]) -> tuple[str, list[str]]:
    """Install a version that the server does not start; return the error, and what was asked but by GET."""
    usual: dict[str, Answer | list[Answer]] = {
        "GET sys/auth": (200, {"data": {}}),
        f"PUT {CATALOG}": (204, None),
        f"DELETE {CATALOG}": (204, None),
        "POST sys/auth/pin": (400, {"errors": ["Unrecognized remote plugin message"]}),
    }
    with answering(**usual | answers) as server:
        with pytest.raises(DeploymentError, match="Unrecognized remote plugin") as raised:
            steps.install(server.connect(), release, "pin", directory=PLUGINS, report=lambda _: None)
        return str(raised.value), [asked for asked, _ in server.asked if not asked.startswith("GET")]


def test_what_was_registered_in_vain_leaves_the_catalog(release: Release) -> None:
    """Its file stays, and the error says how to remove that."""
    error, asked = fail_to_enable(release, **{f"GET {CATALOG}": [(404, {"errors": []}), entry(release)]})
    assert asked == [f"PUT {CATALOG}", "POST sys/auth/pin", f"DELETE {CATALOG}"]
    assert error.endswith("; the file stays for authkit doctor: rm '/opt/my plugins/pin-1.0.0' removes it")


def test_what_was_registered_before_stays_in_the_catalog(release: Release) -> None:
    """Somebody may have put it there for another mount."""
    error, asked = fail_to_enable(release, **{f"GET {CATALOG}": entry(release)})
    assert asked == ["POST sys/auth/pin"]
    assert "which had it before: vault plugin deregister -version=v1.0.0 auth pin removes it;" in error


def test_what_a_mount_uses_stays_in_the_catalog(release: Release) -> None:
    """Also one that will run it after its next reload."""
    tuned = {"type": "pin", "plugin_version": release.version, "running_plugin_version": "v0.9.0"}
    mounts: list[Answer] = [(200, {"data": {}}), (200, {"data": {"team/": tuned}})]
    error, asked = fail_to_enable(release, **{"GET sys/auth": mounts})
    assert f"DELETE {CATALOG}" not in asked
    assert "rm " not in error


def test_what_cannot_be_deregistered_is_told(release: Release) -> None:
    """With the command for somebody who may."""
    registered: list[Answer] = [(404, {"errors": []}), entry(release)]
    refused: Answer = (403, {"errors": ["permission denied"]})
    error, _ = fail_to_enable(release, **{f"GET {CATALOG}": registered, f"DELETE {CATALOG}": refused})
    assert "pin v1.0.0 may still be in the catalog (" in error
    assert "permission denied" in error
    assert "vault plugin deregister -version=v1.0.0 auth pin" in error


@pytest.mark.parametrize("plugin", ["pin", "other"])
def test_what_a_mount_runs_is_not_replaced(release: Release, plugin: str) -> None:
    """Neither its file nor its entry in the catalog: it could not be started again."""
    running = {"type": plugin, "running_plugin_version": release.version, "running_sha256": "0" * 64}
    with answering(**{"GET sys/auth": (200, {"data": {"team/pin/": running}})}) as server:
        refusal = pytest.raises(DeploymentError, match=r"auth/team/pin/ runs pin .* from another file")
        with refusal if plugin == "pin" else contextlib.nullcontext():
            steps.verify_unused(server.connect(), release)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_no_redirect_gets_the_token(method: str) -> None:
    """Neither the operator's token nor what a probe logs in with."""
    with answering() as other:
        there = f"http://localhost:{other.server_port}/v1/sys/auth"
        with answering(**{f"{method} sys/auth": (307, there), f"{method} login": (307, there)}) as server:
            asked = server.connect()
            call = {"GET": lambda: asked.find_mount("pin"), "POST": lambda: asked.log_in("login", {"a": "b"})}
            with pytest.raises(DeploymentError, match=f"redirects to {there}"):
                call[method]()
        assert not other.asked


def test_what_is_no_answer_of_a_server_is_told() -> None:
    """Such as that of a proxy: the caller can undo what it has begun."""
    with (
        answering(**{"GET sys/auth": (203, {})}) as server,
        pytest.raises(DeploymentError, match="not that of a Vault server"),
    ):
        server.connect().find_mount("pin")


def test_a_token_that_cannot_be_revoked_is_told() -> None:
    """The login has succeeded all the same: batch tokens cannot be revoked, nor those without policies."""
    granted = (200, {"auth": {"client_token": "hvb.granted"}})
    refused = (400, {"errors": ["batch tokens cannot be revoked"]})
    with answering(**{"POST login": granted, "POST auth/token/revoke-self": refused}) as server:
        assert "batch tokens cannot be revoked" in server.connect().log_in("login", {})
        assert server.asked == [("POST login", None), ("POST auth/token/revoke-self", "hvb.granted")]


@pytest.mark.parametrize(
    ("entry", "is_refused"),
    [
        ({"type": "auth", "name": "pin", "version": "v0.9.0"}, True),  # nothing could go back to it
        ({"type": "database", "name": "pin", "version": "v1.0.0"}, True),
        ({"type": "auth", "name": "other", "version": ""}, True),
        ({"type": "auth", "name": "pin", "version": "v1.0.0"}, False),  # of this version: `verify_unused`
    ],
)
def test_the_file_of_something_else_is_not_replaced(
    release: Release, tmp_path: Path, entry: dict[str, str], is_refused: bool
) -> None:
    """It would start no more."""
    directory = tmp_path / "plugins"
    directory.mkdir()
    (directory / "pin-1.0.0").write_bytes(b"another")
    sha256 = hashlib.sha256(b"another").hexdigest()
    listed = {"data": {"detailed": [{"type": "auth", "name": "b"}, entry | {"sha256": sha256}]}}
    with answering(**{"GET sys/plugins/catalog": (200, listed)}) as server:
        refusal = pytest.raises(DeploymentError, match="which this one would replace")
        with refusal if is_refused else contextlib.nullcontext():
            steps.verify_free(server.connect(), release, directory)
        (directory / "pin-1.0.0").unlink()
        steps.verify_free(server.connect(), release, directory)
